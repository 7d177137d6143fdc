package local

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

var model = sync.OnceValues(func() (*Model, error) {
	c, err := modeltest.Scripted()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return New(context.Background(), c, &Options{Workers: 2, Context: 128})
})

func open(t *testing.T) *Model {
	t.Helper()
	m, err := model()
	require.NoError(t, err)
	return m
}

// request returns a request for the continuation of a text.
func request(text string, stops ...string) *koala.Request {
	t := tokenizer.Default()
	return &koala.Request{
		IDs: t.Encode(text, nil), Stops: stops, StopIDs: []tokenizer.Token{t.EOS()},
		Sampling: koala.Sampling{TopP: 1, MaxTokens: 20},
	}
}

// TestChat runs a chat of three turns. The state that the model keeps must not change
// the replies.
func TestChat(t *testing.T) {
	m := open(t)
	chat, err := koala.New(nil)
	require.NoError(t, err)
	for range 3 {
		var text strings.Builder
		ending, err := chat.Ask(t.Context(), m, "Hello!", &text)
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(modeltest.Greeting), text.String())
		require.Equal(t, koala.EndToken, ending.Report.Finish)
		require.Equal(t, 15, ending.Report.ReplyTokens)
		require.Equal(t, ending.Window.Tokens, ending.Report.PromptTokens)
	}
}

func TestReplies(t *testing.T) {
	m := open(t)
	for _, row := range []struct {
		prompt, reply string
		stops         []string
		limit         int
		want          koala.Report
	}{
		{prompt: "GPT:", reply: modeltest.Greeting, want: koala.Report{Finish: koala.EndToken, ReplyTokens: 15}},
		{prompt: "x end", want: koala.Report{Finish: koala.EndToken, ReplyTokens: 1}},
		{prompt: "x loop", limit: 5, reply: strings.Repeat(" la", 5), want: koala.Report{Finish: koala.Limit, ReplyTokens: 5}},
		{prompt: "x loop", limit: 20, reply: strings.Repeat(" la", 20), want: koala.Report{Finish: koala.Limit, ReplyTokens: 20}},
		{prompt: "x smile", reply: " 🤗)", want: koala.Report{Finish: koala.EndToken, ReplyTokens: 7}},
		{prompt: "x smile", limit: 3, reply: " \ufffd\ufffd", want: koala.Report{Finish: koala.Limit, ReplyTokens: 3}},
		{prompt: "x broken", reply: "\ufffd~", want: koala.Report{Finish: koala.EndToken, ReplyTokens: 3}},
		{prompt: "x stop", stops: []string{"USER:"}, reply: " well then; ", want: koala.Report{Finish: koala.StopText, Stop: "USER:", ReplyTokens: 6}},
		{prompt: "x stop", stops: []string{"SER", "USE", "USER"}, reply: " well then; ", want: koala.Report{Finish: koala.StopText, Stop: "USER", ReplyTokens: 5}},
		{prompt: "x stop", stops: []string{"then; x"}, limit: 3, reply: " well then;", want: koala.Report{Finish: koala.Limit, ReplyTokens: 3}},
		{prompt: "x loop", stops: []string{"la la"}, reply: " ", want: koala.Report{Finish: koala.StopText, Stop: "la la", ReplyTokens: 2}},
	} {
		r := request(row.prompt, row.stops...)
		if row.limit > 0 {
			r.Sampling.MaxTokens = row.limit
		}
		var text strings.Builder
		report, err := m.Complete(t.Context(), r, &text)
		require.NoError(t, err)
		require.Equal(t, row.reply, text.String(), row.prompt)
		row.want.Model, row.want.PromptTokens, row.want.Tries = "scripted.gguf", len(r.IDs), 1
		require.Equal(t, row.want, report, row.prompt)
	}
}

// TestContext fills the context to its end, and checks that a prompt which leaves no
// room is refused.
func TestContext(t *testing.T) {
	m := open(t)
	r := request("x" + strings.Repeat(" loop", 120))
	require.Len(t, r.IDs, 121)
	r.Sampling.MaxTokens = 1000
	report, err := m.Complete(t.Context(), r, io.Discard)
	require.NoError(t, err)
	require.Equal(t, koala.Limit, report.Finish)
	require.Equal(t, 128-121+1, report.ReplyTokens) // the last token need not pass through the model

	r = request("x" + strings.Repeat(" loop", 127))
	_, err = m.Complete(t.Context(), r, io.Discard)
	require.ErrorIs(t, err, koala.ErrContext)
	var e *koala.ContextError
	require.ErrorAs(t, err, &e)
	require.Equal(t, [2]int{128, 128}, [2]int{e.Prompt, e.Context})
}

// TestBadOptions checks that options which cannot be used are option errors.
func TestBadOptions(t *testing.T) {
	for option, o := range map[string]*Options{"Workers": {Workers: -1}, "Context": {Context: -1}} {
		c, err := modeltest.Scripted()
		require.NoError(t, err)
		_, err = New(t.Context(), c, o)
		require.ErrorIs(t, err, koala.ErrOptions)
		require.ErrorContains(t, err, "option "+option)
		require.NoError(t, c.Close())
	}
}

func TestBadRequests(t *testing.T) {
	m := open(t)
	for name, change := range map[string]func(*koala.Request){
		"no ids":        func(r *koala.Request) { r.IDs = nil },
		"temperature":   func(r *koala.Request) { r.Sampling.Temperature = -1 },
		"no number":     func(r *koala.Request) { r.Sampling.Temperature = math.NaN() },
		"top-k":         func(r *koala.Request) { r.Sampling.TopK = -1 },
		"top-p":         func(r *koala.Request) { r.Sampling.TopP = 0 },
		"top-p above":   func(r *koala.Request) { r.Sampling.TopP = 1.5 },
		"no tokens":     func(r *koala.Request) { r.Sampling.MaxTokens = 0 },
		"id of nothing": func(r *koala.Request) { r.IDs[0] = 32000 },
	} {
		r := request("GPT:")
		change(r)
		_, err := m.Complete(t.Context(), r, io.Discard)
		require.ErrorIs(t, err, koala.ErrOptions, name)
	}
	report, err := m.Complete(t.Context(), request("GPT:"), io.Discard) // as if nothing had been
	require.NoError(t, err)
	require.Equal(t, 15, report.ReplyTokens)
}

// cancelWriter is a writer that ends a context at the first text.
type cancelWriter struct {
	cancel func()
	texts  int
}

func (w *cancelWriter) Write(p []byte) (int, error) {
	w.texts++
	w.cancel()
	return len(p), nil
}

// failingWriter is a writer that fails.
type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestCancel checks that a reply ends within one token after the context, and that
// the next reply is right.
func TestCancel(t *testing.T) {
	m := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := &cancelWriter{cancel: cancel}
	r := request("x loop")
	report, err := m.Complete(ctx, r, w)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, w.texts)
	require.Equal(t, 1, report.ReplyTokens)
	require.Equal(t, koala.Unfinished, report.Finish)

	failed := errors.New("full")
	_, err = m.Complete(t.Context(), r, failingWriter{failed})
	require.ErrorIs(t, err, failed)

	// The context ends while another reply is being made.
	text := <-m.idle
	_, err = m.Complete(ctx, r, io.Discard)
	m.idle <- text
	require.ErrorIs(t, err, context.Canceled)
	report, err = m.Complete(t.Context(), r, io.Discard)
	require.NoError(t, err)
	require.Equal(t, koala.Limit, report.Finish)
}

// TestChatsAtOnce runs several chats on one model.
func TestChatsAtOnce(t *testing.T) {
	m := open(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			var text strings.Builder
			_, err := m.Complete(t.Context(), request("Hi GPT:"), &text)
			if err != nil || text.String() != modeltest.Greeting {
				t.Errorf("%q, %v", text.String(), err)
			}
		})
	}
	group.Wait()
}

// TestOpen opens files: the scripted model, and some that cannot be used.
func TestOpen(t *testing.T) {
	file, err := modeltest.ScriptedGGUF()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, os.WriteFile(path, file, 0o644))
	m, err := Open(t.Context(), path, nil)
	require.NoError(t, err)
	var text strings.Builder
	_, err = m.Complete(t.Context(), request("GPT:"), &text)
	require.NoError(t, err)
	require.Equal(t, modeltest.Greeting, text.String())

	long := request("x" + strings.Repeat(" loop", 600))
	text.Reset()
	report, err := m.Complete(t.Context(), long, &text)
	require.NoError(t, err)
	require.Equal(t, 601, report.PromptTokens)
	require.Equal(t, strings.Repeat(" la", 20), text.String())

	_, err = Open(t.Context(), path+"x", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	small := filepath.Join(t.TempDir(), "small")
	require.NoError(t, modeltest.Tiny.Write(small, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16, Values: modeltest.Tiny.Base}))
	_, err = Open(t.Context(), small, nil)
	require.ErrorContains(t, err, "a tokenizer of 32000 tokens for a model of 128: "+small+": use the tokenizer")
}

// TestSlow checks that a sparse file of the size of 65B is refused before it is read.
func TestSlow(t *testing.T) {
	if testing.Short() {
		t.Skip("sparse files of 130 GB")
	}
	huge := modeltest.Model{Layers: 80, Dim: 8192, FFN: 22016, Vocab: 32000, Heads: 64}
	path := filepath.Join(t.TempDir(), "huge")
	require.NoError(t, huge.Write(path, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16}))
	_, err := Open(t.Context(), path, nil)
	var slow *SlowError
	require.ErrorAs(t, err, &slow)
	require.Less(t, slow.Rate, 1.)
	require.Greater(t, slow.Bytes, int64(128e9))
	require.ErrorContains(t, err, "tokens per second: "+path+": write it as GGUF")
	require.Contains(t, (&SlowError{Path: "m", Rate: 0.25, Bytes: 1e11}).Error(), "a model of 100.0 GB would make about 0.25 tokens per second: m: ")
}
