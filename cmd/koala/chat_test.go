package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/term"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// fakeServer is a server of every kind. It replies with what it received: the number of
// ids or the text, and the temperature. Its moderations flag bombs, and its own reply in
// a second turn.
func fakeServer(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Prompt      any
		Prefix      []string `json:"prefix_text"`
		Context     string
		Input       string
		Temperature float64
		Options     struct{ Temperature float64 }
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if key := r.Header.Get("Authorization"); key == "Bearer wrong" {
		http.Error(w, `{"error":{"message":"Invalid API Key wrong"}}`, http.StatusUnauthorized)
		return
	}
	got := fmt.Sprint(request.Prompt)
	if ids, ok := request.Prompt.([]any); ok {
		got = fmt.Sprintf("%d ids", len(ids))
	} else if request.Prompt == nil {
		got = fmt.Sprint(request.Prefix)
	}
	text := fmt.Sprintf(" got %s at %v", strings.NewReplacer("BEGINNING OF CONVERSATION:", "H", "GPT:", "G", "USER:", "U", "</s>", "|").Replace(got), request.Temperature+request.Options.Temperature)
	if strings.Contains(got, "esc") {
		text = " \x1b[31mred\x07"
	}
	quoted, _ := json.Marshal(text)
	switch r.URL.Path {
	case "/completion":
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: {\"content\":%s,\"stop\":false}\n\ndata: {\"content\":\"\",\"stop\":true,\"stop_type\":\"eos\",\"tokens_predicted\":5}\n\n", quoted)
	case "/v1/completions":
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"text\":%s,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", quoted)
	case "/api/generate":
		fmt.Fprintf(w, "{\"response\":%s,\"done\":true,\"done_reason\":\"stop\"}\n", quoted)
	case "/generate":
		fmt.Fprintf(w, "{\"output_text\":[%s]}", quoted)
	case "/chat":
		fmt.Fprintf(w, "{\"response\":%s,\"context\":\"\"}", quoted)
	case "/v1/moderations":
		if r.Header.Get("Authorization") != "Bearer moderation-key" {
			http.Error(w, `{"error":{"message":"Incorrect API key moderation-k"}}`, http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"results":[{"flagged":%t,"categories":{"violence":true}}]}`, strings.Contains(request.Input, "bomb") || strings.Contains(request.Input, "got 33 ids"))
	case "/broken/completion":
		fmt.Fprint(w, "data: {\"content\":\"half\",\"stop\":false}\n\n")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// stopped is a server that stops during its reply, as if the person had stopped it.
var stopped = koala.CompleterFunc(func(_ context.Context, _ *koala.Request, w io.Writer) error {
	if _, err := io.WriteString(w, " Once upon"); err != nil {
		return err
	}
	return context.Canceled
})

// TestStoppedReply checks that the beginning of a stopped reply stays in the chat, and that
// a stopped retry keeps the old reply.
func TestStoppedReply(t *testing.T) {
	chat, err := koala.New(nil)
	require.NoError(t, err)
	var out, notes strings.Builder
	s := &session{app: &app{stdout: &out, stderr: &notes}, server: stopped, chat: chat, terminal: true}
	require.ErrorIs(t, s.line(t.Context(), "Tell!"), context.Canceled)
	want := prompt.Conversation{{Content: "Tell!"}, {Role: prompt.Assistant, Content: "Once upon"}}
	require.Equal(t, want, chat.Conversation())
	require.ErrorIs(t, s.line(t.Context(), "/retry"), context.Canceled)
	require.Equal(t, want, chat.Conversation())
	require.Equal(t, "Once upon\nOnce upon\n", out.String())

	s.terminal = false // the chat of a script does not change
	require.ErrorIs(t, s.line(t.Context(), "More!"), context.Canceled)
	require.Equal(t, want, chat.Conversation())
}

// TestJoinLines checks which lines make one query.
func TestJoinLines(t *testing.T) {
	type typed struct {
		text string
		err  error
	}
	for name, row := range map[string]struct {
		lines []typed
		want  string
		err   error
	}{
		"one":       {[]typed{{"a", nil}}, "a", nil},
		"backslash": {[]typed{{`a\`, nil}, {`b\`, nil}, {"c", nil}}, "a\nb\nc", nil},
		"pasted":    {[]typed{{`a\`, term.ErrPasteIndicator}, {"b", nil}}, "a\\\nb", nil},
		"end":       {[]typed{{`a\`, nil}, {"", io.EOF}}, "", io.EOF},
		"broken":    {[]typed{{"", io.ErrClosedPipe}}, "", io.ErrClosedPipe},
	} {
		text, err := joinLines(func(string) (string, error) {
			next := row.lines[0]
			row.lines = row.lines[1:]
			return next.text, next.err
		})
		require.Equal(t, row.want, text, name)
		require.True(t, errors.Is(err, row.err), name)
	}
}
