package backend_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// TestRealLlamaCPP uses the llama.cpp server at KOALA_LLAMACPP with the key
// KOALA_API_KEY, as interop/check_servers.py starts it. The next token of its model
// is a function of the last one, so that a prompt chooses its reply
// (../shared/vectors/servers/mkgguf.py). It has four slots of 256 tokens of
// context.
func TestRealLlamaCPP(t *testing.T) {
	url := os.Getenv("KOALA_LLAMACPP")
	if url == "" {
		t.Skip("KOALA_LLAMACPP names no server")
	}
	for _, k := range []backend.Kind{backend.LlamaCPP, backend.OpenAI} {
		for _, text := range []bool{false, true} {
			r := realServer{k, backend.Options{URL: url, Text: text, Key: backend.Secret(os.Getenv("KOALA_API_KEY"))}}
			t.Run(fmt.Sprintf("%s,%s", k, map[bool]string{false: "ids", true: "text"}[text]), func(t *testing.T) {
				t.Run("same ids", r.sameIDs)
				t.Run("ends", r.ends)
				t.Run("errors", r.errors)
				t.Run("cancel", r.cancel)
				t.Run("busy", r.busy)
				t.Run("32 chats", r.manyChats)
			})
		}
	}
}

// realServer is a client of the real server.
type realServer struct {
	kind backend.Kind
	o    backend.Options
}

// greedy chooses the most probable tokens.
func greedy(tokens int, stops ...string) *koala.Sampling {
	return &koala.Sampling{TopP: 1, MaxTokens: tokens, Stops: stops}
}

// ending returns a dialect whose prompts end with a word, which chooses the reply.
func ending(word string) *prompt.Dialect {
	d := prompt.FastChat
	d.Markers.Helpful = "GPT: x " + word
	return &d
}

// sameIDs checks that the server counts the tokens of the training, and encodes the
// text, before which it puts a BOS, to the same ids.
func (s realServer) sameIDs(t *testing.T) {
	r := request(t, &koala.Options{Sampling: greedy(20)}, documented...)
	require.Len(t, r.IDs, 40)
	bos := map[bool]int{true: 1}[s.o.Text]
	var got pieces
	rep, err := client(t, s.kind, s.o).Complete(t.Context(), r, &got)
	require.NoError(t, err)
	require.Equal(t, " Hi! How can I help you?", got.text.String())
	require.Greater(t, got.n, 4, "not a stream")
	require.Equal(t, []int{len(r.IDs) + bos, 9, 1}, []int{rep.PromptTokens, rep.ReplyTokens, rep.Tries})

	text, err := r.Text()
	require.NoError(t, err)
	body, err := json.Marshal(map[string]any{"content": text, "parse_special": true})
	require.NoError(t, err)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.o.URL+"/tokenize", bytes.NewReader(body))
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer "+os.Getenv("KOALA_API_KEY"))
	answer, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer answer.Body.Close()
	var read struct{ Tokens []koala.Token }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&read))
	require.Equal(t, r.IDs, read.Tokens)
}

// pieces is a writer that counts the pieces of a reply.
type pieces struct {
	text strings.Builder
	n    int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.n++
	return p.text.Write(b)
}

// ends checks every reason for which a reply can end.
func (s realServer) ends(t *testing.T) {
	eos, word := koala.EndToken, koala.StopText
	if s.kind == backend.OpenAI { // does not say which
		eos, word = koala.Stopped, koala.Stopped
	}
	for _, row := range []struct {
		ends     string
		sampling *koala.Sampling
		text     string
		finish   koala.Finish
		stop     string
		tokens   int
	}{
		{"end", greedy(20), "", eos, "", 1},
		{"lines", greedy(20), "\n line two three", eos, "", 5},
		{"smile", greedy(20), " 🤗)", eos, "", 7},
		{"broken", greedy(20), "\ufffd~", eos, "", 3},
		{"stop", greedy(20), " well then. ", word, "USER:", 6},
		{"round", greedy(20, "blue"), " red green ", word, "blue", 3},
		{"loop", greedy(3), " la la la", koala.Limit, "", 3},
		{"loop", greedy(1), " la", koala.Limit, "", 1},
	} {
		var got strings.Builder
		r := request(t, &koala.Options{Dialect: ending(row.ends), Sampling: row.sampling}, documented[0])
		rep, err := client(t, s.kind, s.o).Complete(t.Context(), r, &got)
		require.NoError(t, err, row.ends)
		require.Equal(t, row.text, got.String(), row.ends)
		if s.kind == backend.OpenAI {
			row.stop = ""
		}
		require.Equal(t, row.finish, rep.Finish, row.ends)
		require.Equal(t, row.stop, rep.Stop, row.ends)
		require.Equal(t, row.tokens, rep.ReplyTokens, row.ends)
	}
	// The end of the context is also a limit.
	r := request(t, &koala.Options{Dialect: ending("loop"), Sampling: greedy(2000)}, documented[0])
	rep, err := client(t, s.kind, s.o).Complete(t.Context(), r, io.Discard)
	require.NoError(t, err)
	require.Equal(t, koala.Limit, rep.Finish)
	require.InDelta(t, 256, rep.PromptTokens+rep.ReplyTokens, 1)
}

// errors checks a prompt over the context, a wrong key, and an unknown path.
func (s realServer) errors(t *testing.T) {
	long := request(t, &koala.Options{Sampling: greedy(20)}, prompt.Turn{Content: strings.Repeat("hello ", 400)})
	_, err := client(t, s.kind, s.o).Complete(t.Context(), long, io.Discard)
	e := requireKind(t, err, koala.ErrContext)
	require.Equal(t, 256, e.Context.Context)
	require.Equal(t, len(long.IDs)+map[bool]int{true: 1}[s.o.Text], e.Context.Prompt)

	// The prompt of a chat whose budget is the server's context always fits.
	chat, err := koala.New(&koala.Options{Sampling: greedy(20), Budget: 235})
	require.NoError(t, err)
	for range 30 {
		_, err = chat.Ask(t.Context(), client(t, s.kind, s.o), "Tell me about the largest animal on earth!", nil)
		require.NoError(t, err)
	}

	o := s.o
	o.Key = key
	_, _, err = ask(t, s.kind, o)
	e = requireKind(t, err, backend.ErrRefused)
	require.Equal(t, http.StatusUnauthorized, e.Status)
	require.Contains(t, e.Words, "Invalid API Key")
	require.NotContains(t, err.Error(), key)
	o = s.o
	o.URL += "/nowhere"
	_, _, err = ask(t, s.kind, o)
	e = requireKind(t, err, backend.ErrRefused)
	require.Equal(t, http.StatusNotFound, e.Status)
}

// cancel ends the context while text arrives.
func (s realServer) cancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := request(t, &koala.Options{Dialect: ending("loop"), Sampling: greedy(200)}, documented[0])
	n := 0
	rep, err := client(t, s.kind, s.o).Complete(ctx, r, writerFunc(func([]byte) { n++; cancel() }))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, n, "text after the context had ended")
	require.Equal(t, koala.Unfinished, rep.Finish)
}

// busy asks while all slots are taken and other requests wait for them. A request
// with a short timeout gets an error, and the others get their replies.
func (s realServer) busy(t *testing.T) {
	loop := request(t, &koala.Options{Dialect: ending("loop"), Sampling: greedy(200)}, documented[0])
	c := client(t, s.kind, s.o)
	hasty := s.o
	hasty.FirstToken = 3 * time.Millisecond
	var all sync.WaitGroup
	errs := make([]error, 24)
	begun := make(chan struct{}, len(errs))
	for i := range errs {
		all.Go(func() {
			var once sync.Once
			_, errs[i] = c.Complete(t.Context(), loop, writerFunc(func([]byte) { once.Do(func() { begun <- struct{}{} }) }))
		})
	}
	for range 4 {
		<-begun
	}
	_, _, err := ask(t, s.kind, hasty)
	all.Wait()
	requireKind(t, err, backend.ErrTimeout)
	require.NoError(t, errors.Join(errs...))
	_, _, err = ask(t, s.kind, s.o)
	require.NoError(t, err)
}

// manyChats runs 32 chats of three turns at once.
func (s realServer) manyChats(t *testing.T) {
	c := client(t, s.kind, s.o)
	var all sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		all.Go(func() {
			chat, err := koala.New(&koala.Options{Sampling: greedy(20)})
			for turn := 0; turn < 3 && err == nil; turn++ {
				_, err = chat.Ask(t.Context(), c, fmt.Sprintf("Hello for the %d. time!", i), nil)
			}
			if err == nil && chat.Conversation()[5].Content != "Hi! How can I help you?" {
				err = fmt.Errorf("chat %d: %+v", i, chat.Conversation())
			}
			errs[i] = err
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}
