package backend_test

import (
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// TestBadOptions checks that New refuses options that cannot be used.
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

// TestBadRequests checks that bad requests are refused before anything is sent.
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

// TestBadStreams checks that every bad stream gives a typed error, and that the
// text before the error is written.
func TestBadStreams(t *testing.T) {
	long := strings.Repeat("x", 9<<20)
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
			"half an end":       {[]string{one, s.end[:len(s.end)/3]}, backend.ErrBroken, "Hi"},
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

// frame returns an event of a stream.
func frame(s stream, event string) string {
	if s.kind == backend.Ollama {
		return event + "\n"
	}
	return "data: " + event + "\n\n"
}

// TestBadDocuments checks bad replies of one document.
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

// TestBadResponses checks responses whose status is not 200.
func TestBadResponses(t *testing.T) {
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

// TestRedirects checks that redirects to another host or with another method are
// refused, and others followed.
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

// TestConnections checks errors below HTTP.
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

// TestHugeLine checks that a line of 100 MB takes little memory.
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

// TestWrongModel checks the warning for a server that answers for another model,
// which may be an alias: the reply is complete.
func TestWrongModel(t *testing.T) {
	for _, s := range streams {
		url := serve(t, s.says(s.event("Hi"), s.end))
		_, rep, err := ask(t, s.kind, backend.Options{URL: url, Model: "vicuna"})
		require.NoError(t, err)
		require.Equal(t, "asked for the model vicuna, the server answered for koala-tiny", rep.Warning)
		_, rep, err = ask(t, s.kind, backend.Options{URL: url, Model: "koala-tiny:latest"})
		require.NoError(t, err)
		require.Equal(t, "koala-tiny", rep.Model)
		require.Empty(t, rep.Warning)
	}
}

// TestWriter checks that an error of the caller's writer ends the request and is
// returned.
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
