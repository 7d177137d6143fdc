package backend_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// serve runs a server until the test ends.
func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// client returns a client without retries, unless the options ask for them.
func client(t testing.TB, k backend.Kind, o backend.Options) *backend.Client {
	t.Helper()
	if o.Retries == 0 {
		o.Retries = -1
	}
	if k == backend.Ollama && o.Model == "" {
		o.Model = "koala-tiny"
	}
	c, err := backend.New(k, &o)
	require.NoError(t, err)
	return c
}

// documented is the conversation of the specification and the recordings.
var documented = prompt.Conversation{
	{Content: "Hello!"},
	{Role: prompt.Assistant, Content: "Hi! How can I help you?"},
	{Content: "What is the largest animal on earth?"},
}

// request returns the request of a chat with some turns.
func request(t testing.TB, o *koala.Options, turns ...prompt.Turn) *koala.Request {
	t.Helper()
	chat, err := koala.New(o)
	require.NoError(t, err)
	for _, turn := range turns {
		require.NoError(t, chat.Add(turn))
	}
	r, err := chat.Request()
	require.NoError(t, err)
	return r
}

// ask requests the reply to a greeting.
func ask(t testing.TB, k backend.Kind, o backend.Options) (string, koala.Report, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var text strings.Builder
	rep, err := client(t, k, o).Complete(ctx, request(t, nil, documented[0]), &text)
	return text.String(), rep, err
}

// requireKind requires an error of a kind and checks its form.
func requireKind(t testing.TB, err, kind error) *backend.Error {
	t.Helper()
	require.ErrorIs(t, err, kind)
	var e *backend.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, kind, e.Kind)
	require.LessOrEqual(t, len(e.Words), 300)
	require.NotContains(t, err.Error(), "\n")
	return e
}

// The functions below return events in the form of each server.

func llamaEvent(text string) string {
	return fmt.Sprintf("data: {\"content\":%q,\"stop\":false,\"tokens_evaluated\":17,\"tokens_predicted\":1}\n\n", text)
}

const llamaEnd = `data: {"content":"","stop":true,"stop_type":"eos","tokens_evaluated":17,"tokens_predicted":3,"model":"koala-tiny"}` + "\n\n"

func openAIEvent(text string) string {
	return fmt.Sprintf("data: {\"model\":\"koala-tiny\",\"choices\":[{\"index\":0,\"text\":%q,\"finish_reason\":null}]}\n\n", text)
}

const openAIEnd = `data: {"choices":[{"index":0,"text":"","finish_reason":"stop","stop_reason":null}]}` + "\n\n" +
	`data: {"choices":[],"usage":{"prompt_tokens":17,"completion_tokens":3}}` + "\n\ndata: [DONE]\n\n"

func ollamaEvent(text string) string {
	return fmt.Sprintf("{\"model\":\"koala-tiny\",\"response\":%q,\"done\":false}\n", text)
}

const ollamaEnd = `{"model":"koala-tiny","response":"","done":true,"done_reason":"stop","prompt_eval_count":18,"eval_count":3}` + "\n"

// stream describes the streams of a kind of server.
type stream struct {
	kind        backend.Kind
	contentType string
	event       func(string) string
	end         string
}

var streams = []stream{
	{backend.LlamaCPP, "text/event-stream", llamaEvent, llamaEnd},
	{backend.OpenAI, "text/event-stream", openAIEvent, openAIEnd},
	{backend.Ollama, "application/x-ndjson", ollamaEvent, ollamaEnd},
}

// says returns a handler that streams pieces without delay.
func (s stream) says(pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", s.contentType)
		for _, p := range pieces {
			_, _ = io.WriteString(w, p)
			_ = http.NewResponseController(w).Flush()
		}
	}
}
