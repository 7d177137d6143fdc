package backend_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/koala"
)

// fieldCase is a stream as servers in the field sent it, and what it means.
type fieldCase struct {
	kind        backend.Kind
	contentType string
	stream      string
	text        string
	report      koala.Report
	err         error  // the kind of the error
	says        string // part of its text
	shared      string // the file of the shared cases with a stream of the same meaning
}

const (
	half     = `data: {"choices":[{"index":0,"text":"Half a","finish_reason":null}]}` + "\n\n"
	stop     = `data: {"choices":[{"index":0,"text":"","finish_reason":"stop"}]}` + "\n\n"
	done     = "data: [DONE]\n\n"
	sseType  = "text/event-stream"
	jsonType = "application/json"
)

var (
	stopped = koala.Report{Finish: koala.Stopped, Reason: "stop", Tries: 1}
	counted = koala.Report{Finish: koala.Stopped, Reason: "stop", PromptTokens: 17, ReplyTokens: 3, Tries: 1}
)

var fieldCases = map[string]fieldCase{
	"aborted":        {backend.OpenAI, sseType, half + strings.Replace(stop, "stop", "abort", 1) + done, "Half a", koala.Report{Reason: "abort", Tries: 1}, backend.ErrAborted, "abort", "abort/reply.sse"},
	"filtered":       {backend.OpenAI, sseType, half + strings.Replace(stop, "stop", "content_filter", 1) + done, "Half a", koala.Report{Reason: "content_filter", Tries: 1}, backend.ErrAborted, "content_filter", ""},
	"empty reason":   {backend.OpenAI, sseType, half + strings.Replace(stop, "stop", "length", 1) + strings.Replace(stop, "stop", "", 1) + done, "Half a", koala.Report{Finish: koala.Limit, Reason: "length", Tries: 1}, nil, "", ""},
	"no choices":     {backend.OpenAI, sseType, half + stop + `data: {"usage":{"prompt_tokens":17,"completion_tokens":3}}` + "\n\n" + done, "Half a", counted, nil, "", "choices-missing/missing.sse"},
	"null choices":   {backend.OpenAI, sseType, half + stop + `data: {"choices":null,"usage":{"prompt_tokens":17,"completion_tokens":3}}` + "\n\n" + done, "Half a", counted, nil, "", "choices-missing/null.sse"},
	"float counts":   {backend.OpenAI, sseType, half + stop + `data: {"choices":[],"usage":{"prompt_tokens":17.0,"completion_tokens":3.0}}` + "\n\n" + done, "Half a", counted, nil, "", ""},
	"no text":        {backend.OpenAI, sseType, half + `data: {"choices":[{"index":0,"finish_reason":"stop"}]}` + "\n\n" + done, "Half a", stopped, nil, "", ""},
	"mark":           {backend.OpenAI, sseType, "\ufeff" + half + stop + done, "Half a", stopped, nil, "", "empty-data/bom.sse"},
	"empty data":     {backend.OpenAI, sseType, "data:\n\n" + half + "event: ping\ndata: {}\n\n" + stop + done, "Half a", stopped, nil, "", "empty-data/empty.sse"},
	"no blank line":  {backend.OpenAI, sseType, half + stop + "data: [DONE]", "Half a", stopped, nil, "", "sse-tail/done.sse"},
	"trailing space": {backend.OpenAI, sseType, half + stop + "data: [DONE] \n\n", "Half a", stopped, nil, "", ""},
	"no end mark":    {backend.OpenAI, sseType, half + stop, "Half a", stopped, nil, "", ""},
	"as JSON":        {backend.OpenAI, jsonType, half + stop + done, "Half a", stopped, nil, "", ""},
	"surrogates":     {backend.OpenAI, sseType, `data: {"choices":[{"index":0,"text":"a\ud83e","finish_reason":null}]}` + "\n\n" + `data: {"choices":[{"index":0,"text":"\udd99b","finish_reason":"stop"}]}` + "\n\n" + done, "a🦙b", stopped, nil, "", "surrogate-halves/reply.sse"},
	"lone surrogate": {backend.OpenAI, sseType, `data: {"choices":[{"index":0,"text":"a\ud83e","finish_reason":"stop"}]}` + "\n\n" + done, "a\ufffd", koala.Report{Finish: koala.Stopped, Reason: "stop", Replaced: 1, Tries: 1}, nil, "", ""},
	"error object":   {backend.OpenAI, sseType, `data: {"object":"error","message":"prompt too long for me","code":400}` + "\n\n" + done, "", koala.Report{Tries: 1}, backend.ErrBroken, "prompt too long for me", "error-200-words/object.sse"},
	"error code":     {backend.OpenAI, sseType, `data: {"text":"out of memory, sorry","error_code":50001}` + "\n\n", "", koala.Report{Tries: 1}, backend.ErrBroken, "out of memory, sorry", "error-200-words/fastchat.sse"},
	"error detail":   {backend.OpenAI, jsonType, `{"detail":"quota exhausted"}`, "", koala.Report{Tries: 1}, backend.ErrBroken, "quota exhausted", "error-200-words/detail.json"},

	"old limit": {backend.LlamaCPP, sseType, `data: {"content":"Half a sent","stop":false}` + "\n\n" + `data: {"content":"","stop":true,"stopped_eos":false,"stopped_limit":true,"stopped_word":false,"truncated":true,"tokens_evaluated":17,"tokens_predicted":3}` + "\n\n",
		"Half a sent", koala.Report{Finish: koala.Limit, Reason: "limit", Truncated: true, PromptTokens: 17, ReplyTokens: 3, Tries: 1}, nil, "", "stopped-limit/reply.sse"},
	"old word": {backend.LlamaCPP, sseType, `data: {"content":"Hi","stop":true,"stopped_word":true,"stopping_word":"USER:"}` + "\n\n", "Hi", koala.Report{Finish: koala.StopText, Reason: "word", Stop: "USER:", Tries: 1}, nil, "", ""},
	"truncated": {backend.LlamaCPP, sseType, `data: {"content":"Half","stop":false}` + "\n\n" + `data: {"content":"","stop":true,"stop_type":"eos","truncated":true,"tokens_evaluated":17,"tokens_predicted":5}` + "\n\n",
		"Half", koala.Report{Finish: koala.EndToken, Reason: "eos", Truncated: true, PromptTokens: 17, ReplyTokens: 5, Tries: 1}, nil, "", "llama-truncated/reply.sse"},
	"unknown stop": {backend.LlamaCPP, sseType, `data: {"content":"Half","stop":true,"stop_type":"cancelled"}` + "\n\n", "", koala.Report{Reason: "cancelled", Tries: 1}, backend.ErrAborted, "cancelled", ""},

	"lines as JSON": {backend.Ollama, jsonType, `{"model":"m","response":"Hi","done":false}` + "\n" + `{"model":"m","response":"","done":true,"done_reason":"stop"}` + "\n", "Hi", koala.Report{Finish: koala.Stopped, Reason: "stop", Model: "m", Tries: 1}, nil, "", "sse-as-json/ollama.ndjson"},
	"no newline":    {backend.Ollama, "application/x-ndjson", `{"model":"m","response":"Hi","done":false}` + "\n" + `{"model":"m","done":true,"done_reason":"stop"}`, "Hi", koala.Report{Finish: koala.Stopped, Reason: "stop", Model: "m", Tries: 1}, nil, "", ""},
	"load":          {backend.Ollama, "application/x-ndjson", `{"model":"m","response":"","done":true,"done_reason":"load"}` + "\n", "", koala.Report{Reason: "load", Model: "m", Tries: 1}, backend.ErrAborted, "load", ""},
}

// TestField replays streams of the field: those above and, where they are, the
// shared ones that they stand for.
func TestField(t *testing.T) {
	for name, c := range fieldCases {
		t.Run(name, func(t *testing.T) {
			c.require(t, c.stream)
			if c.shared == "" {
				return
			}
			shared, err := os.ReadFile(fixture.Path(t, append([]string{"cases", "text"}, strings.Split(c.shared, "/")...)...))
			require.NoError(t, err)
			c.require(t, string(shared))
		})
	}
}

func (c *fieldCase) require(t *testing.T, stream string) {
	t.Helper()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", c.contentType)
		_, _ = io.WriteString(w, stream)
	})
	o := backend.Options{URL: url}
	if c.kind == backend.Ollama {
		o.Model = "m"
	}
	text, report, err := ask(t, c.kind, o)
	require.Equal(t, c.text, text)
	require.Equal(t, c.report, report)
	if c.err == nil {
		require.NoError(t, err)
		return
	}
	requireKind(t, err, c.err)
	require.ErrorContains(t, err, c.says)
}

// TestContextWords has refusals that say in words that the context is too short.
func TestContextWords(t *testing.T) {
	bodies := []string{
		`{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"invalid_request_error"}}`,
		`{"error":{"message":"too long","code":"context_length_exceeded"}}`,
		"{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2040 `inputs` tokens and 100 `max_new_tokens`\"}",
		`{"error":"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough. The prompt is greater than the context length"}`,
		`{"object":"error","message":"The input (5000 tokens) is longer than the model's context length (4096 tokens).","code":400}`,
	}
	requireContext(t, bodies)
	shared, err := os.ReadFile(fixture.Path(t, "cases", "text", "context-words", "bodies.jsonl"))
	require.NoError(t, err)
	requireContext(t, strings.Split(strings.TrimSpace(string(shared)), "\n"))
}

// requireContext requires ErrContext for each body of a refusal.
func requireContext(t *testing.T, bodies []string) {
	t.Helper()
	for _, body := range bodies {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, body)
		})
		_, _, err := ask(t, backend.OpenAI, backend.Options{URL: url})
		requireKind(t, err, koala.ErrContext)
	}
}

// TestRetryAfterDate waits until the date of a Retry-After.
func TestRetryAfterDate(t *testing.T) {
	asked := 0
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 1 {
			w.Header().Set("Retry-After", time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		streams[0].says(llamaEvent("Hi"), llamaEnd)(w, r)
	})
	start := time.Now()
	_, report, err := ask(t, backend.LlamaCPP, backend.Options{URL: url, Backoff: time.Millisecond, Retries: 1})
	require.NoError(t, err)
	require.Equal(t, 2, report.Tries)
	require.GreaterOrEqual(t, time.Since(start), 900*time.Millisecond, "a date has whole seconds")
}
