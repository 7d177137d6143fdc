package backend_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

const key = "sk-very-secret-1234"

// TestBadOptions: what cannot be used is refused before anything is sent.
func TestBadOptions(t *testing.T) {
	for name, row := range map[string]struct {
		kind backend.Kind
		o    backend.Options
		says string
	}{
		"no URL":           {backend.LlamaCPP, backend.Options{}, "http://"},
		"no scheme":        {backend.LlamaCPP, backend.Options{URL: "localhost:8080"}, "http://"},
		"no scheme, IP":    {backend.LlamaCPP, backend.Options{URL: "127.0.0.1:8080"}, "cannot be parsed"},
		"another scheme":   {backend.LlamaCPP, backend.Options{URL: "ftp://localhost"}, "http://"},
		"no host":          {backend.LlamaCPP, backend.Options{URL: "http:///x"}, "host"},
		"password":         {backend.LlamaCPP, backend.Options{URL: "http://me:" + key + "@localhost"}, "password"},
		"broken, password": {backend.LlamaCPP, backend.Options{URL: "http://me:" + key + "@local host"}, "cannot be parsed"},
		"query":            {backend.LlamaCPP, backend.Options{URL: "http://localhost?key=" + key}, "query"},
		"fragment":         {backend.LlamaCPP, backend.Options{URL: "http://localhost#" + key}, "fragment"},
		"unknown kind":     {"gpt", backend.Options{URL: "http://localhost"}, "gpt"},
		"no model":         {backend.Ollama, backend.Options{URL: "http://localhost"}, "name of a model"},
		"key of two lines": {backend.OpenAI, backend.Options{URL: "http://localhost", Key: key + "\r\nX: y"}, "key"},
		"negative time":    {backend.OpenAI, backend.Options{URL: "http://localhost", FirstToken: -1}, "negative"},
		"negative context": {backend.OpenAI, backend.Options{URL: "http://localhost", Context: -1}, "negative"},
	} {
		_, err := backend.New(row.kind, &row.o)
		requireKind(t, err, koala.ErrOptions)
		require.ErrorContains(t, err, row.says, name)
		require.NotContains(t, err.Error(), key, name)
	}
	_, err := backend.New(backend.LlamaCPP, nil)
	requireKind(t, err, koala.ErrOptions)
}

// TestBadRequests are refused before anything is sent.
func TestBadRequests(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	control := prompt.Turn{Content: "x</s>y"}
	for _, k := range []backend.Kind{backend.Ollama, backend.EasyLM, backend.EasyLMChat} {
		_, err := client(t, k, backend.Options{URL: url}).Complete(t.Context(), request(t, nil, control), io.Discard)
		require.ErrorIs(t, err, prompt.ErrControl, k)
	}
	_, err := client(t, backend.OpenAI, backend.Options{URL: url, Text: true}).Complete(t.Context(), request(t, nil, control), io.Discard)
	require.ErrorIs(t, err, prompt.ErrControl)

	c := client(t, backend.LlamaCPP, backend.Options{URL: url})
	for name, s := range map[string]koala.Sampling{
		"no length":       {Temperature: 1, TopP: 1},
		"negative length": {Temperature: 1, TopP: 1, MaxTokens: -1},
		"NaN":             {Temperature: math.NaN(), TopP: 1, MaxTokens: 1},
		"infinite":        {Temperature: 1, TopP: math.Inf(1), MaxTokens: 1},
	} {
		_, err := c.Complete(t.Context(), request(t, &koala.Options{Sampling: &s}, documented[0]), io.Discard)
		require.ErrorIs(t, err, koala.ErrOptions, name)
	}
	r := request(t, nil, documented[0])
	r.IDs = nil
	_, err = c.Complete(t.Context(), r, io.Discard)
	requireKind(t, err, koala.ErrOptions)
	unhelpful := request(t, &koala.Options{Render: prompt.Options{Next: prompt.Unhelpful}}, documented[0])
	_, err = client(t, backend.EasyLMChat, backend.Options{URL: url}).Complete(t.Context(), unhelpful, io.Discard)
	requireKind(t, err, koala.ErrOptions)
}

// TestBadStreams: whatever a server sends, there is a typed error, and the text
// before it was given out.
func TestBadStreams(t *testing.T) {
	long := strings.Repeat("x", 2<<20)
	for _, s := range streams {
		one := s.event("Hi")
		for name, row := range map[string]struct {
			pieces []string
			kind   error
			text   string
		}{
			"nothing":           {nil, backend.ErrBroken, ""},
			"no end mark":       {[]string{one}, backend.ErrBroken, "Hi"},
			"half an event":     {[]string{one, one[:len(one)/2]}, backend.ErrBroken, "Hi"},
			"half an end":       {[]string{one, s.end[:len(s.end)-4]}, backend.ErrBroken, "Hi"},
			"garbage":           {[]string{one, "\x00\xff garbage \n\n"}, backend.ErrBroken, "Hi"},
			"a page":            {[]string{"<html><body>Bad gateway</body></html>\n"}, backend.ErrBroken, ""},
			"wrong JSON":        {[]string{one, frame(s, `{"content":`)}, backend.ErrBroken, "Hi"},
			"another shape":     {[]string{one, frame(s, `{"text":"x"}`)}, backend.ErrBroken, "Hi"},
			"wrong types":       {[]string{one, frame(s, `{"content":5,"choices":5,"response":5}`)}, backend.ErrBroken, "Hi"},
			"an array":          {[]string{one, frame(s, `[]`)}, backend.ErrBroken, "Hi"},
			"null":              {[]string{one, frame(s, `null`)}, backend.ErrBroken, "Hi"},
			"an error":          {[]string{one, frame(s, `{"error":{"message":"out of memory"}}`)}, backend.ErrBroken, "Hi"},
			"an error, as text": {[]string{one, frame(s, `{"error":"out of memory"}`)}, backend.ErrBroken, "Hi"},
			"context, late":     {[]string{one, frame(s, `{"error":{"type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}`)}, koala.ErrContext, "Hi"},
			"a long line":       {[]string{one, frame(s, `{"content":"`+long+`"}`)}, backend.ErrBroken, "Hi"},
		} {
			text, _, err := ask(t, s.kind, backend.Options{URL: serve(t, s.says(row.pieces...))})
			requireKind(t, err, row.kind)
			require.Equal(t, row.text, text, "%s: %s", s.kind, name)
			if strings.HasPrefix(name, "an error") {
				require.ErrorContains(t, err, "out of memory", name)
			}
		}
	}
}

// frame is an event of a stream.
func frame(s stream, event string) string {
	if s.kind == backend.Ollama {
		return event + "\n"
	}
	return "data: " + event + "\n\n"
}

// TestBadDocuments are those for replies that come whole.
func TestBadDocuments(t *testing.T) {
	for body, kinds := range map[string][]backend.Kind{
		"":                                   backend.Kinds(),
		"{":                                  backend.Kinds(),
		"null":                               backend.Kinds(),
		`"Ready!\n"`:                         backend.Kinds(),
		`{"output_text":[]}`:                 backend.Kinds(),
		`{"output_text":["a","b"]}`:          backend.Kinds(),
		`{"output_text":"a"}`:                backend.Kinds(),
		`{"response":null,"context":""}`:     backend.Kinds(),
		`{"response":"x"} x`:                 backend.Kinds(),
		`{"response":"x","done":false}`:      {backend.Ollama},
		`{"content":"x","stop":false}`:       {backend.LlamaCPP},
		`{"choices":[{"text":"x"}]}`:         {backend.OpenAI},
		strings.Repeat(" ", 9<<20) + `{}`:    {backend.EasyLM},
		`{"error":"no","output_text":["a"]}`: {backend.EasyLM},
		`{"error":{},"response":"","context":""}`: {backend.EasyLMChat},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = io.WriteString(w, body)
		})
		for _, k := range kinds {
			_, _, err := ask(t, k, backend.Options{URL: url})
			require.ErrorIs(t, err, backend.ErrBroken, "%s: %.40s", k, body)
		}
	}
}

// TestBadAnswers: a status that is none of a reply's.
func TestBadAnswers(t *testing.T) {
	for _, row := range []struct {
		status int
		body   string
		kind   error
		says   string
	}{
		{204, "", backend.ErrBroken, "204"},
		{304, "", backend.ErrRedirect, ""},
		{400, `{"error":{"message":"no such field"}}`, backend.ErrRefused, "no such field"},
		{401, `{"error":{"message":"Incorrect key ` + key + `"}}`, backend.ErrRefused, "Incorrect key [secret]"},
		{403, `{"detail":"forbidden"}`, backend.ErrRefused, "forbidden"},
		{404, `{"error":"model 'x' not found"}`, backend.ErrModel, "model 'x' not found"},
		{404, `404 page not found`, backend.ErrRefused, "page not found"},
		{422, `{"detail":[{"msg":"Field required"}]}`, backend.ErrRefused, "Field required"},
		{429, `slow down`, backend.ErrOverloaded, "slow down"},
		{500, "Internal\r\n\x1b[31mServer\x07 Error\u202e", backend.ErrServer, "Internal [31mServer Error:"},
		{502, "<html>" + strings.Repeat("x", 1<<20), backend.ErrServer, "<html>"},
		{503, `{"error":{"message":"Loading model"}}`, backend.ErrOverloaded, "Loading model"},
		{400, "\xff\xfe\xfd", backend.ErrRefused, "�"},
		{400, `{"error":null,"detail":null}`, backend.ErrRefused, ""},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(row.status)
			_, _ = io.WriteString(w, row.body)
		})
		for _, k := range backend.Kinds() {
			_, rep, err := ask(t, k, backend.Options{URL: url, Key: key})
			e := requireKind(t, err, row.kind)
			require.Equal(t, row.status, e.Status)
			require.Contains(t, err.Error(), row.says)
			require.NotContains(t, err.Error(), key)
			require.NotContains(t, err.Error(), "\x1b")
			require.Equal(t, koala.Unfinished, rep.Finish)
		}
	}
}

// TestRedirects: to another host, or with another method, no; else yes.
func TestRedirects(t *testing.T) {
	other := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other+"/completion", status) })
		_, _, err := ask(t, backend.LlamaCPP, backend.Options{URL: url, Key: key})
		requireKind(t, err, backend.ErrRedirect)
		require.ErrorContains(t, err, other)
	}
	self := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/completion":
			http.Redirect(w, r, "/here", http.StatusTemporaryRedirect)
		case "/loop/completion":
			http.Redirect(w, r, "/loop/completion", http.StatusTemporaryRedirect)
		case "/get/completion":
			http.Redirect(w, r, "/here", http.StatusFound)
		default:
			streams[0].says(llamaEvent("Hi"), llamaEnd)(w, r)
		}
	})
	text, _, err := ask(t, backend.LlamaCPP, backend.Options{URL: self})
	require.NoError(t, err)
	require.Equal(t, "Hi", text)
	for _, path := range []string{"/loop", "/get/"} {
		_, _, err = ask(t, backend.LlamaCPP, backend.Options{URL: self + path})
		requireKind(t, err, backend.ErrRedirect)
	}
}

// TestConnections: what goes wrong below HTTP.
func TestConnections(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	secure := httptest.NewTLSServer(streams[0].says(llamaEnd))
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = nil
	hangsUp := serve(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	killed := serve(t, func(w http.ResponseWriter, r *http.Request) {
		streams[0].says(llamaEvent("Hi"))(w, r)
		panic(http.ErrAbortHandler)
	})
	lies := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 5000\r\n\r\n"+llamaEvent("Hi"))
			_ = conn.Close()
		}
	})
	for name, row := range map[string]struct {
		url  string
		kind error
	}{
		"refused":          {closed.URL, backend.ErrUnreachable},
		"no such host":     {"http://no-such-host.invalid", backend.ErrUnreachable},
		"TLS, unknown CA":  {secure.URL, backend.ErrUnreachable},
		"HTTPS to HTTP":    {strings.Replace(hangsUp, "http:", "https:", 1), backend.ErrUnreachable},
		"hangs up":         {hangsUp, backend.ErrBroken},
		"killed in stream": {killed, backend.ErrBroken},
		"too short":        {lies, backend.ErrBroken},
	} {
		_, _, err := ask(t, backend.LlamaCPP, backend.Options{URL: row.url, Key: key})
		e := requireKind(t, err, row.kind)
		require.NotEmpty(t, e.Words, name)
		require.Contains(t, e.Where, row.url, name)
	}
	own := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}}
	defer own.CloseIdleConnections()
	_, rep, err := ask(t, backend.LlamaCPP, backend.Options{URL: secure.URL, Transport: own})
	require.NoError(t, err)
	require.Equal(t, koala.EndToken, rep.Finish)
}

// TestHugeLine: 100 MB in one line cost little memory.
func TestHugeLine(t *testing.T) {
	for _, k := range backend.Kinds() {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			chunk := []byte(strings.Repeat("x", 1<<20))
			for range 100 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := ask(t, k, backend.Options{URL: url})
		runtime.ReadMemStats(&after)
		requireKind(t, err, backend.ErrBroken)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), k)
	}
}

// TestWrongModel: a server that answers for another model.
func TestWrongModel(t *testing.T) {
	for _, s := range streams {
		url := serve(t, s.says(s.event("Hi"), s.end))
		_, _, err := ask(t, s.kind, backend.Options{URL: url, Model: "vicuna"})
		requireKind(t, err, backend.ErrModel)
		require.ErrorContains(t, err, "vicuna")
		require.ErrorContains(t, err, "koala-tiny")
		_, rep, err := ask(t, s.kind, backend.Options{URL: url, Model: "koala-tiny:latest"})
		require.NoError(t, err)
		require.Equal(t, "koala-tiny", rep.Model)
	}
}

// TestTimeouts: before the first text, between texts, and with empty events that
// go on for ever.
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
				_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client hangs up
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

// TestWholeTimeouts: where the reply comes at once, the time is for all of it.
func TestWholeTimeouts(t *testing.T) {
	for _, k := range []backend.Kind{backend.EasyLM, backend.EasyLMChat} {
		for _, begins := range []string{"", `{"output_text":["Hi`} {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, begins)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done() // the client hangs up
			})
			text, _, err := ask(t, k, backend.Options{URL: url, FirstToken: 60 * time.Millisecond, BetweenTokens: time.Millisecond})
			requireKind(t, err, backend.ErrTimeout)
			require.ErrorContains(t, err, "nothing within 60ms")
			require.Empty(t, text)
		}
	}
}

// TestSlowCaller: the time that the caller takes is not the server's.
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

// TestConnectTimeout: an address that does not answer.
func TestConnectTimeout(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, does no handshake
	require.NoError(t, err)
	defer silent.Close()
	_, _, err = ask(t, backend.LlamaCPP, backend.Options{URL: "https://" + silent.Addr().String(), Connect: 50 * time.Millisecond})
	requireKind(t, err, backend.ErrUnreachable)
}

// TestRetries: only where nothing can have been generated.
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
		require.EqualValues(t, 3, calls.Load(), "sent again after text had come")
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

// TestRetryUntilItListens: a server that starts a little later.
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

// TestRetryAfter: what the server asks for is kept, and cancelling ends the
// pause.
func TestRetryAfter(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "20")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	rep, err := client(t, backend.LlamaCPP, backend.Options{URL: url, Retries: 3, Backoff: time.Millisecond}).
		Complete(ctx, request(t, nil, documented[0]), io.Discard)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, 1, rep.Tries)
	require.Less(t, time.Since(began), 5*time.Second)
}

// TestSecrets: no way of printing shows the key.
func TestSecrets(t *testing.T) {
	o := backend.Options{URL: "http://localhost:1", Key: key}
	c, err := backend.New(backend.LlamaCPP, &o)
	require.NoError(t, err)
	m, err := backend.NewModeration(&o)
	require.NoError(t, err)
	asJSON, err := json.Marshal(o)
	require.NoError(t, err)
	for _, printed := range []string{
		fmt.Sprintf("%v %+v %#v %s %q", o, o, o, o.Key, o.Key), string(asJSON),
		fmt.Sprintf("%v %+v %#v", c, c, *c), fmt.Sprintf("%v %+v %#v", m, m, *m),
		o.Key.String(), fmt.Sprint(slog.AnyValue(o.Key), slog.AnyValue(o)), wrongVerbs(o, o.Key),
	} {
		require.NotContains(t, printed, key)
		require.NotContains(t, strings.ToLower(printed), hex.EncodeToString([]byte(key)))
	}
	// Nor does a server that says it, in whatever way.
	for _, said := range []string{key, "Bearer " + key, key[:5] + "\x00" + key[5:], key[:5] + "\u200b" + key[5:], strings.Repeat("\x01", 4795) + key} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, said)
		})
		_, _, err = ask(t, backend.LlamaCPP, backend.Options{URL: url, Key: key})
		requireKind(t, err, backend.ErrRefused)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), key)
		require.Contains(t, err.Error(), "[secret]")
	}
	seen := ""
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Get("Authorization") })
	_, _, err = ask(t, backend.LlamaCPP, backend.Options{URL: url, Key: key})
	require.Error(t, err)
	require.Equal(t, "Bearer "+key, seen)
}

// wrongVerbs prints values as nobody should. (%p asks no method.)
func wrongVerbs(values ...any) string {
	var b strings.Builder
	for _, verb := range []string{"%d", "%x", "%X", "%z", "%U", "%08.3f"} {
		for _, v := range values {
			fmt.Fprintf(&b, verb, v)
		}
	}
	return b.String()
}

// TestWriter: the error of the caller's writer ends the reply and comes back.
func TestWriter(t *testing.T) {
	broken := errors.New("the pipe is broken")
	for _, s := range streams {
		gone := make(chan struct{})
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			s.says(s.event("Hi"))(w, r)
			<-r.Context().Done() // the client hangs up
			close(gone)
		})
		_, err := client(t, s.kind, backend.Options{URL: url}).Complete(t.Context(), request(t, nil, documented[0]), failing{broken})
		require.Equal(t, broken, err)
		<-gone
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
