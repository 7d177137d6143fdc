package backend_test

import (
	"context"
	"io"
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

// TestRealLlamaCPP runs on llama.cpp's server at KOALA_LLAMACPP, with the model
// whose reply is chosen by the prompt (../shared/vectors/servers/mkgguf.py), 256
// tokens of context for each chat, and fewer places than 32.
func TestRealLlamaCPP(t *testing.T) {
	url := os.Getenv("KOALA_LLAMACPP")
	if url == "" {
		t.Skip("KOALA_LLAMACPP names no server")
	}
	sampling := &koala.Sampling{TopP: 1, MaxTokens: 20}
	const hi = " Hi! How can I help you?"
	for _, k := range []backend.Kind{backend.LlamaCPP, backend.OpenAI} {
		for _, text := range []bool{false, true} {
			c := client(t, k, backend.Options{URL: url, Text: text})
			complete := func(ctx context.Context, r *backend.Request, w io.Writer) (backend.Report, error) {
				return c.Complete(ctx, r, w)
			}

			// The server counts the ids of the training; text gets a BOS.
			r := request(t, &koala.Options{Sampling: sampling}, documented...)
			var got strings.Builder
			rep, err := complete(t.Context(), r, &got)
			require.NoError(t, err)
			require.Equal(t, hi, got.String())
			require.Equal(t, len(r.IDs)+map[bool]int{true: 1}[text], rep.PromptTokens)
			require.Equal(t, 9, rep.ReplyTokens)
			require.Equal(t, 40, len(r.IDs))

			// The end of a limit, and a context that is too short.
			short := *sampling
			short.MaxTokens = 3
			rep, err = complete(t.Context(), request(t, &koala.Options{Sampling: &short}, documented[0]), io.Discard)
			require.NoError(t, err)
			require.Equal(t, backend.Limit, rep.Finish)
			require.Equal(t, 3, rep.ReplyTokens)
			_, err = complete(t.Context(), request(t, &koala.Options{Sampling: sampling}, prompt.Turn{Content: strings.Repeat("hello ", 400)}), io.Discard)
			e := requireKind(t, err, backend.ErrContext)
			require.Equal(t, 256, e.Context)
			require.Greater(t, e.Prompt, 400)

			// A context that ends while the text comes.
			ctx, cancel := context.WithCancel(t.Context())
			var at time.Time
			_, err = complete(ctx, r, writerFunc(func() { at = time.Now(); cancel() }))
			require.ErrorIs(t, err, context.Canceled)
			require.Less(t, time.Since(at), time.Second)

			// More chats than the server has places for.
			var all sync.WaitGroup
			errs := make([]error, 32)
			for i := range errs {
				all.Go(func() {
					chat, err := koala.New(&koala.Options{Sampling: sampling})
					if err == nil {
						_, err = chat.Ask(t.Context(), c, "Hello!", nil)
					}
					errs[i] = err
				})
			}
			all.Wait()
			for _, err := range errs {
				require.NoError(t, err)
			}
		}
	}
}
