package backend_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
)

// TestTimeouts checks the time limits before the first text and between texts, also
// while empty events arrive.
func TestTimeouts(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	for _, s := range streams {
		for name, row := range map[string]struct {
			first  []string
			again  string
			says   string
			expect string
		}{
			"no headers":   {nil, "", "nothing within 60ms", ""},
			"only headers": {[]string{""}, "", "nothing within 60ms", ""},
			"one text":     {[]string{s.event("Hi")}, "", "nothing more within 90ms", "Hi"},
			"empty events": {[]string{s.event("Hi")}, s.event(""), "nothing more within 90ms", "Hi"},
		} {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // otherwise the server does not notice that the client closes the connection
				if row.first != nil {
					s.says(row.first...)(w, r)
				}
				for {
					select {
					case <-release:
						return
					case <-r.Context().Done():
						return
					case <-time.After(5 * time.Millisecond):
						if row.again != "" {
							s.says(row.again)(w, r)
						}
					}
				}
			})
			text, _, err := ask(t, s.kind, backend.Options{URL: url, FirstToken: 60 * time.Millisecond, BetweenTokens: 90 * time.Millisecond})
			requireKind(t, err, backend.ErrTimeout)
			require.ErrorContains(t, err, row.says, name)
			require.Equal(t, row.expect, text, name)
		}
	}
}

// TestWholeTimeouts checks that FirstToken limits the time of a whole document.
func TestWholeTimeouts(t *testing.T) {
	for _, k := range []backend.Kind{backend.EasyLM, backend.EasyLMChat} {
		for _, start := range []string{"", `{"output_text":["Hi`} {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, start)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done() // until the client closes the connection
			})
			text, _, err := ask(t, k, backend.Options{URL: url, FirstToken: 60 * time.Millisecond, BetweenTokens: time.Millisecond})
			requireKind(t, err, backend.ErrTimeout)
			require.ErrorContains(t, err, "nothing within 60ms")
			require.Empty(t, text)
		}
	}
}

// TestSlowCaller checks that the time of the caller's writer does not count.
func TestSlowCaller(t *testing.T) {
	for _, s := range streams {
		var got strings.Builder
		slow := func(p []byte) { time.Sleep(30 * time.Millisecond); got.Write(p) }
		url := serve(t, s.says(s.event("a"), s.event("b"), s.event("c"), s.end))
		c := client(t, s.kind, backend.Options{URL: url, FirstToken: 20 * time.Millisecond, BetweenTokens: 10 * time.Millisecond})
		_, err := c.Complete(t.Context(), request(t, nil, documented[0]), writerFunc(slow))
		require.NoError(t, err)
		require.Equal(t, "abc", got.String())
	}
}

// TestConnectTimeout checks the time limit for the handshake.
func TestConnectTimeout(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections without a handshake
	require.NoError(t, err)
	defer silent.Close()
	_, _, err = ask(t, backend.LlamaCPP, backend.Options{URL: "https://" + silent.Addr().String(), Connect: 50 * time.Millisecond})
	requireKind(t, err, backend.ErrUnreachable)
}

// TestRetries checks that requests are sent again only if nothing can have been
// generated.
func TestRetries(t *testing.T) {
	var calls atomic.Int32
	busyTwice := func(then http.HandlerFunc) http.HandlerFunc {
		calls.Store(0)
		return func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) <= 2 {
				http.Error(w, `{"error":{"message":"Loading model"}}`, http.StatusServiceUnavailable)
				return
			}
			then(w, r)
		}
	}
	for _, s := range streams {
		o := backend.Options{URL: serve(t, busyTwice(s.says(s.event("Hi"), s.end))), Retries: 3, Backoff: time.Millisecond}
		text, rep, err := ask(t, s.kind, o)
		require.NoError(t, err)
		require.Equal(t, "Hi", text)
		require.Equal(t, 3, rep.Tries)

		o.URL = serve(t, busyTwice(s.says(s.event("Hi"))))
		_, rep, err = ask(t, s.kind, o)
		requireKind(t, err, backend.ErrBroken)
		require.EqualValues(t, 3, calls.Load(), "the request was sent again after text had arrived")
		require.Equal(t, 3, rep.Tries)

		o.URL, o.Retries = serve(t, busyTwice(s.says(s.end))), 1
		_, rep, err = ask(t, s.kind, o)
		requireKind(t, err, backend.ErrOverloaded)
		require.Equal(t, 2, rep.Tries)
	}
	for _, status := range []int{400, 401, 404, 500, 502} {
		calls.Store(0)
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { calls.Add(1); w.WriteHeader(status) })
		_, _, err := ask(t, backend.LlamaCPP, backend.Options{URL: url, Retries: 3, Backoff: time.Millisecond})
		require.Error(t, err)
		require.EqualValues(t, 1, calls.Load(), status)
	}
}

// TestRetryUntilItListens checks retries to a server that starts late.
func TestRetryUntilItListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	s := &http.Server{Handler: streams[0].says(llamaEvent("Hi"), llamaEnd)}
	t.Cleanup(func() { _ = s.Close() })
	go func() {
		time.Sleep(50 * time.Millisecond)
		if l, err := net.Listen("tcp", address); err == nil {
			_ = s.Serve(l)
		}
	}()
	text, rep, err := ask(t, backend.LlamaCPP, backend.Options{URL: "http://" + address, Retries: 10, Backoff: 10 * time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, "Hi", text)
	require.Greater(t, rep.Tries, 1)
}

// TestRetryAfter checks that Retry-After sets the pause, and that the end of the
// context ends it.
func TestRetryAfter(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "20")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	rep, err := client(t, backend.LlamaCPP, backend.Options{URL: url, Retries: 3, Backoff: time.Millisecond}).
		Complete(ctx, request(t, nil, documented[0]), io.Discard)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, 1, rep.Tries)
	require.Less(t, time.Since(start), 5*time.Second)
}
