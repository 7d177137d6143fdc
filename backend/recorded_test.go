package backend_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/koala"
)

// recorded is a request to a real server and its response.
type recorded struct {
	Name    string
	Request struct {
		Path string
		Body json.RawMessage
	}
	Response struct {
		Status      int
		ContentType string `json:"content_type"`
		JSON        json.RawMessage
		Raw         *string
		Text        string
	}
}

// body returns what the server sent. A line of its own marks where the recording
// leaves lines out.
func (c *recorded) body() string {
	switch {
	case c.Response.Raw != nil:
		before, after, cut := strings.Cut(*c.Response.Raw, "… (more of the same left out)\n")
		if cut {
			return before + after
		}
		return *c.Response.Raw
	case c.Response.JSON != nil:
		return string(c.Response.JSON)
	}
	return c.Response.Text
}

var recordedFolders = map[string]backend.Kind{
	"llama-server-0c1e57098":  backend.LlamaCPP,
	"xllamacpp-2026.10.11549": backend.LlamaCPP,
	"llama-cpp-python-0.3.36": backend.OpenAI,
	"ollama-0.17.4":           backend.Ollama,
	"vllm-0.32.0":             backend.OpenAI,
	"easylm-fe5b2c3":          backend.EasyLM,
}

var recordedPaths = map[string]backend.Kind{
	"/completion": backend.LlamaCPP, "/v1/completions": backend.OpenAI, "/api/generate": backend.Ollama,
	"/generate": backend.EasyLM, "/chat": backend.EasyLMChat,
}

func recordings(t *testing.T, each func(t *testing.T, file string, k backend.Kind, c *recorded)) int {
	n := 0
	for folder, kind := range recordedFolders {
		files, err := filepath.Glob(filepath.Join(fixture.Path(t, "vectors", "servers", folder), "*.json"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			var all struct{ Cases []recorded }
			require.NoError(t, json.Unmarshal(data, &all))
			for i := range all.Cases {
				c := &all.Cases[i]
				k, known := recordedPaths[c.Request.Path]
				if !known {
					k = kind
				}
				n++
				each(t, folder+"/"+filepath.Base(file), k, c)
			}
		}
	}
	return n
}

// TestRecorded replays every response of the real servers, also those of other
// paths, and compares with a simple reader.
func TestRecorded(t *testing.T) {
	text, failed := 0, 0
	n := recordings(t, func(t *testing.T, file string, k backend.Kind, c *recorded) {
		name := file + " " + c.Name
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.Response.ContentType)
			w.WriteHeader(c.Response.Status)
			_, _ = w.Write([]byte(c.body()))
		})
		want, ok := reading(k, c)
		got, rep, err := ask(t, k, backend.Options{URL: url, Model: want.model})
		if !ok {
			failed++
			var e *backend.Error
			require.ErrorAs(t, err, &e, name)
			requireRefusal(t, name, c, e)
			return
		}
		text++
		require.NoError(t, err, name)
		require.Equal(t, want.text, got, name)
		require.Equal(t, want.finish, rep.Finish, name)
		require.Equal(t, want.stop, rep.Stop, name)
		require.Equal(t, want.prompt, rep.PromptTokens, name)
		require.Equal(t, want.reply, rep.ReplyTokens, name)
		require.Equal(t, 1, rep.Tries, name)
	})
	t.Logf("%d replies: %d with text, %d with an error", n, text, failed)
	require.Greater(t, n, 500)
	require.Greater(t, text, 150)
}

// requireRefusal checks an error against the recorded status and words.
func requireRefusal(t *testing.T, name string, c *recorded, e *backend.Error) {
	t.Helper()
	switch status := c.Response.Status; {
	case status == 200:
		require.Contains(t, []error{backend.ErrBroken, backend.ErrAborted}, e.Kind, name)
		return
	case status == 503:
		require.Equal(t, backend.ErrOverloaded, e.Kind, name)
	case status >= 500:
		require.Equal(t, backend.ErrServer, e.Kind, name)
	default:
		require.Contains(t, []error{backend.ErrRefused, koala.ErrContext, backend.ErrModel}, e.Kind, name)
	}
	require.Equal(t, c.Response.Status, e.Status, name)
	// The error quotes the server's first words.
	for word := range strings.FieldsSeq(c.body()) {
		if len(word) > 4 && strings.Trim(strings.ToLower(word), "abcdefghijklmnopqrstuvwxyz") == "" {
			require.Contains(t, e.Words, word, name)
			break
		}
	}
}

// reply is the content of a recorded response.
type reply struct {
	text, stop, model string
	finish            koala.Finish
	prompt, reply     int
	ended             bool
}

// reading reads a recorded response in the simplest way. ok is false if it does not
// contain exactly one complete reply.
func reading(k backend.Kind, c *recorded) (r reply, ok bool) {
	if c.Response.Status != 200 {
		return r, false
	}
	events := []string{c.body()}
	if c.Response.Raw != nil {
		events = strings.Split(c.body(), "\n")
	}
	for _, line := range events {
		line = strings.TrimPrefix(line, "data: ")
		if line == "" {
			continue
		}
		if line == "[DONE]" {
			return r, r.ended
		}
		var event map[string]any
		if json.Unmarshal([]byte(line), &event) != nil {
			return r, false
		}
		text, ok := readers[k](&r, event)
		if !ok {
			return r, false
		}
		r.text += text
		if r.ended && k == backend.LlamaCPP {
			return r, true // more would be the reply to another prompt of the request
		}
	}
	return r, r.ended // OpenAI's [DONE] is optional after a reason
}

// readers read an event of each kind of server into a reply. They return the text
// that it adds, and false for an event that is not part of a single reply.
var readers = map[backend.Kind]func(r *reply, e map[string]any) (text string, ok bool){
	backend.LlamaCPP:   (*reply).llamaCPP,
	backend.OpenAI:     (*reply).openAI,
	backend.Ollama:     (*reply).ollama,
	backend.EasyLM:     (*reply).easyLM,
	backend.EasyLMChat: (*reply).easyLMChat,
}

// number returns a member as an int, 0 if it is not a number.
func number(e map[string]any, name string) int { n, _ := e[name].(float64); return int(n) }

func (r *reply) llamaCPP(e map[string]any) (text string, ok bool) {
	if text, ok = e["content"].(string); !ok || e["stop"] == nil || number(e, "index") != 0 {
		return "", false
	}
	r.prompt, r.reply = number(e, "tokens_evaluated"), number(e, "tokens_predicted")
	if r.ended = e["stop"].(bool); r.ended {
		r.finish = map[any]koala.Finish{"eos": koala.EndToken, "word": koala.StopText, "limit": koala.Limit, "none": koala.Stopped}[e["stop_type"]]
		r.stop, _ = e["stopping_word"].(string)
	}
	return text, true
}

func (r *reply) openAI(e map[string]any) (text string, ok bool) {
	choices, isList := e["choices"].([]any)
	if !isList || len(choices) > 1 {
		return "", false
	}
	if usage, has := e["usage"].(map[string]any); has {
		r.prompt, r.reply = number(usage, "prompt_tokens"), number(usage, "completion_tokens")
	}
	if len(choices) == 0 {
		return "", true
	}
	choice := choices[0].(map[string]any)
	if text, ok = choice["text"].(string); !ok || number(choice, "index") != 0 {
		return "", false
	}
	reason := choice["finish_reason"]
	if reason == nil {
		return text, true
	}
	r.ended = true
	stop, hasStop := choice["stop_reason"]
	stopText, isText := stop.(string)
	switch {
	case reason == "length":
		r.finish = koala.Limit
	case isText:
		r.finish, r.stop = koala.StopText, stopText
	case hasStop:
		r.finish = koala.EndToken
	default:
		r.finish = koala.Stopped
	}
	return text, true
}

func (r *reply) ollama(e map[string]any) (text string, ok bool) {
	if text, ok = e["response"].(string); !ok {
		return "", false
	}
	if r.ended = e["done"].(bool); r.ended {
		r.prompt, r.reply, r.finish = number(e, "prompt_eval_count"), number(e, "eval_count"), koala.Stopped
		switch e["done_reason"] {
		case "length":
			r.finish = koala.Limit
		case "stop", nil:
		default: // such as load: there is no reply
			return "", false
		}
	}
	r.model, _ = e["model"].(string)
	return text, true
}

func (r *reply) easyLM(e map[string]any) (text string, ok bool) {
	list, _ := e["output_text"].([]any)
	if len(list) != 1 {
		return "", false
	}
	r.ended, r.finish = true, koala.Stopped
	return list[0].(string), true
}

func (r *reply) easyLMChat(e map[string]any) (text string, ok bool) {
	if text, ok = e["response"].(string); !ok {
		return "", false
	}
	r.ended, r.finish = true, koala.Stopped
	return text, true
}

// recordedWant is what a recorded reply contains.
type recordedWant struct {
	text   string
	finish koala.Finish
	prompt int
	reply  int
}

const hi = " Hi! How can I help you?"

// recordedReplies pins what some recordings contain.
var recordedReplies = map[string]recordedWant{
	"llama-server-0c1e57098/stream.json sse_eos":         {hi, koala.EndToken, 18, 9},
	"llama-server-0c1e57098/stream.json sse_ids":         {hi, koala.EndToken, 41, 9},
	"llama-server-0c1e57098/stream.json sse_limit":       {" la la la", koala.Limit, 3, 3},
	"llama-server-0c1e57098/stream.json sse_stop_word":   {" well then. ", koala.StopText, 3, 6},
	"llama-server-0c1e57098/stream.json sse_eos_at_once": {"", koala.EndToken, 3, 1},
	"vllm-0.32.0/stream.json sse_eos":                    {hi, koala.EndToken, 0, 0},
	"vllm-0.32.0/stream.json sse_stop_word":              {" well then. ", koala.StopText, 0, 0},
	"vllm-0.32.0/stream.json sse_usage":                  {"", koala.EndToken, 3, 1},
	"llama-cpp-python-0.3.36/stream.json sse_limit":      {" la la la", koala.Limit, 0, 0},
	"easylm-fe5b2c3/generate.json one":                   {"reply to 44 characters", koala.Stopped, 0, 0},
	"easylm-fe5b2c3/chat.json second_turn":               {"reply to 117 characters", koala.Stopped, 0, 0},
	"xllamacpp-2026.10.11549/stream.json sse_stop_word":  {" well then. ", koala.StopText, 3, 6},
	"xllamacpp-2026.10.11549/completion.json ids_no_bos": {hi, koala.EndToken, 17, 9},
}

// recordedErrors pins the kinds of some errors.
var recordedErrors = map[string]error{
	"llama-server-0c1e57098/errors.json context_overflow_ids":     koala.ErrContext,
	"llama-server-0c1e57098/stream.json sse_context_overflow":     koala.ErrContext,
	"vllm-0.32.0/errors.json context_overflow_ids":                koala.ErrContext,
	"vllm-0.32.0/errors.json context_overflow_string":             koala.ErrContext,
	"vllm-0.32.0/errors.json context_exact":                       koala.ErrContext,
	"ollama-0.17.4/errors.json context_overflow_truncate_false":   koala.ErrContext,
	"vllm-0.32.0/errors.json unknown_model":                       backend.ErrModel,
	"ollama-0.17.4/errors.json unknown_model":                     backend.ErrModel,
	"ollama-0.17.4/long_replies.json same_token_repeated":         backend.ErrBroken,
	"ollama-0.17.4/long_replies.json same_token_repeated_stream":  backend.ErrBroken,
	"ollama-0.17.4/mid_stream_error.json runner_dies_mid_stream":  backend.ErrBroken,
	"llama-cpp-python-0.3.36/stream.json sse_context_overflow":    backend.ErrBroken,
	"llama-server-0c1e57098/loading.json loading_completion":      backend.ErrOverloaded,
	"llama-server-0c1e57098/api_key.json wrong_key_completion":    backend.ErrRefused,
	"llama-cpp-python-0.3.36/errors.json context_overflow_string": backend.ErrServer,
}

// recordedNumbers pins the tokens of the prompt and of the context in some errors.
var recordedNumbers = map[string][2]int{
	"llama-server-0c1e57098/errors.json context_overflow_ids": {300, 256},
	"vllm-0.32.0/errors.json context_overflow_ids":            {200, 128},
}

// TestRecordedByName compares recordings with recordedReplies and recordedErrors.
func TestRecordedByName(t *testing.T) {
	wants, fails := maps.Clone(recordedReplies), maps.Clone(recordedErrors)
	recordings(t, func(t *testing.T, file string, k backend.Kind, c *recorded) {
		name := file + " " + c.Name
		w, pinned := wants[name]
		kind, fail := fails[name]
		if !pinned && !fail {
			return
		}
		delete(wants, name)
		delete(fails, name)
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.Response.ContentType)
			w.WriteHeader(c.Response.Status)
			_, _ = w.Write([]byte(c.body()))
		})
		text, rep, err := ask(t, k, backend.Options{URL: url, Model: map[bool]string{true: "koala-loop"}[strings.Contains(name, "same_token")]})
		if fail {
			e := requireKind(t, err, kind)
			if n, has := recordedNumbers[name]; has {
				require.Equal(t, n, [2]int{e.Context.Prompt, e.Context.Context}, name)
			}
			return
		}
		require.NoError(t, err, name)
		require.Equal(t, w, recordedWant{text, rep.Finish, rep.PromptTokens, rep.ReplyTokens}, name)
	})
	require.Empty(t, wants, "recordings that do not exist")
	require.Empty(t, fails, "recordings that do not exist")
}
