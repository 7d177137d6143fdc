package backend_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// TestRequests pins the requests to each kind of server.
func TestRequests(t *testing.T) {
	seed := int64(7)
	o := &koala.Options{Sampling: &koala.Sampling{Temperature: 0.5, TopK: 40, TopP: 0.9, MaxTokens: 99, Seed: &seed, Stops: []string{"END"}}}
	r := request(t, o, documented...)
	ids, err := json.Marshal(r.IDs)
	require.NoError(t, err)
	const text = `"BEGINNING OF CONVERSATION: USER: Hello! GPT: Hi! How can I help you?</s>USER: What is the largest animal on earth? GPT:"`
	for _, row := range []struct {
		kind backend.Kind
		o    backend.Options
		path string
		body string
	}{
		{backend.LlamaCPP, backend.Options{}, "/completion",
			`{"prompt":` + string(ids) + `,"stream":true,"n_predict":99,"temperature":0.5,"top_k":40,"top_p":0.9,"min_p":0,"repeat_penalty":1,"seed":7,"stop":["USER:","END"]}`},
		{backend.LlamaCPP, backend.Options{Text: true}, "/completion",
			`{"prompt":` + text + `,"stream":true,"n_predict":99,"temperature":0.5,"top_k":40,"top_p":0.9,"min_p":0,"repeat_penalty":1,"seed":7,"stop":["USER:","END"]}`},
		{backend.OpenAI, backend.Options{Model: "m"}, "/v1/completions",
			`{"model":"m","prompt":` + string(ids) + `,"stream":true,"stream_options":{"include_usage":true},"max_tokens":99,"temperature":0.5,"top_p":0.9,"top_k":40,"seed":7,"stop":["USER:","END"],"stop_token_ids":[2]}`},
		{backend.OpenAI, backend.Options{Text: true}, "/v1/completions",
			`{"prompt":` + text + `,"stream":true,"stream_options":{"include_usage":true},"max_tokens":99,"temperature":0.5,"top_p":0.9,"top_k":40,"seed":7,"stop":["USER:","END"]}`},
		{backend.Ollama, backend.Options{Context: 2048}, "/api/generate",
			`{"model":"koala-tiny","prompt":` + text + `,"raw":true,"stream":true,"truncate":false,"shift":false,"options":{"num_predict":99,"num_ctx":2048,"temperature":0.5,"top_k":40,"top_p":0.9,"min_p":0,"repeat_penalty":1,"seed":7,"stop":["USER:","END"]}}`},
		{backend.EasyLM, backend.Options{}, "/generate", `{"prefix_text":[` + text + `],"temperature":0.5}`},
		{backend.EasyLMChat, backend.Options{}, "/chat",
			`{"prompt":"What is the largest animal on earth?","context":"USER: Hello! GPT:Hi! How can I help you?</s>","temperature":0.5}`},
	} {
		var path, body string
		row.o.URL = serve(t, func(_ http.ResponseWriter, q *http.Request) {
			b, _ := io.ReadAll(q.Body)
			path, body = q.URL.Path, strings.TrimSpace(string(b))
		}) + "/"
		_, err := client(t, row.kind, row.o).Complete(t.Context(), r, io.Discard)
		require.Error(t, err)
		require.Equal(t, row.path, path)
		require.Equal(t, row.body, body)
	}
}

// TestChat runs a chat over each kind of stream whose events cut a stop sequence.
func TestChat(t *testing.T) {
	for _, s := range streams {
		url := serve(t, s.says(s.event(" Hi"), s.event("! "), s.event("🦙 US"), s.event("ER: forged"), s.end))
		chat, err := koala.New(nil)
		require.NoError(t, err)
		var text strings.Builder
		ending, err := chat.Ask(t.Context(), client(t, s.kind, backend.Options{URL: url}), "Hello!", &text)
		require.NoError(t, err)
		require.Equal(t, prompt.ForgedTurn, ending.Reason)
		require.Equal(t, 17, ending.Window.Tokens)
		require.Len(t, chat.Conversation(), 2)
		require.Equal(t, text.String(), chat.Conversation()[1].Content)
		require.True(t, strings.HasPrefix(text.String(), "Hi! "), text.String())
		require.True(t, strings.HasSuffix(text.String(), "🦙 "), text.String())
	}
}

// TestInvalidUTF8 checks that invalid bytes of a stream are replaced and counted.
func TestInvalidUTF8(t *testing.T) {
	url := serve(t, streams[2].says("{\"model\":\"koala-tiny\",\"response\":\"a\xff\xe2\x82b\",\"done\":false}\n", ollamaEnd))
	text, rep, err := ask(t, backend.Ollama, backend.Options{URL: url})
	require.NoError(t, err)
	require.Equal(t, "a\ufffd\ufffd\ufffdb", text)
	require.Equal(t, 3, rep.Replaced)
}

// TestEmptyReply checks that a reply without text is valid if it has an end mark.
func TestEmptyReply(t *testing.T) {
	for _, s := range streams {
		text, rep, err := ask(t, s.kind, backend.Options{URL: serve(t, s.says(s.end))})
		require.NoError(t, err)
		require.Empty(t, text)
		require.NotEqual(t, koala.Unfinished, rep.Finish)
		require.Equal(t, 3, rep.ReplyTokens)
	}
}

// TestOwnConnections checks that no request is lost at a server that closes the
// connection after each reply without announcing it.
func TestOwnConnections(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.CopyN(io.Discard, buffered, r.ContentLength)
		reply := llamaEvent("Hi") + llamaEnd
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s", len(reply), reply)
		time.Sleep(time.Millisecond)
	})
	c := client(t, backend.LlamaCPP, backend.Options{URL: url})
	for range 20 {
		_, err := c.Complete(t.Context(), request(t, nil, documented[0]), io.Discard)
		require.NoError(t, err)
	}
}

// TestCancel checks that the end of the context ends the request in each stage and
// closes the connection.
func TestCancel(t *testing.T) {
	for _, s := range streams {
		gone := make(chan struct{}, 1)
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			s.says(s.event("Hi"))(w, r)
			<-r.Context().Done()
			gone <- struct{}{}
		})
		ctx, cancel := context.WithCancel(t.Context())
		_, err := client(t, s.kind, backend.Options{URL: url}).Complete(ctx, request(t, nil, documented[0]), writerFunc(func([]byte) {
			time.AfterFunc(5*time.Millisecond, cancel)
		}))
		require.ErrorIs(t, err, context.Canceled)
		<-gone
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	for stage, url := range map[string]string{
		"handshake": "https://" + silent.Addr().String(),
		"answer":    "http://" + silent.Addr().String(),
		"pause":     serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }),
	} {
		for _, k := range backend.Kinds() {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(20*time.Millisecond, func() { cancel(io.ErrNoProgress) })
			c := client(t, k, backend.Options{URL: url, Retries: 3, Backoff: time.Hour})
			_, err := c.Complete(ctx, request(t, nil, documented[0]), io.Discard)
			require.Equal(t, io.ErrNoProgress, err, stage)
			_, err = c.Complete(ctx, request(t, nil, documented[0]), io.Discard)
			require.Equal(t, io.ErrNoProgress, err, "before the request")
		}
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// TestManyChats checks that a thousand chats at once, half of them canceled, leave
// neither goroutines nor open files.
func TestManyChats(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	t.Run("chats", func(t *testing.T) {
		s := streams[0]
		url := serve(t, s.says(s.event(" Hi"), s.event("!"), s.end))
		c := client(t, s.kind, backend.Options{URL: url})
		var all sync.WaitGroup
		errs := make([]error, n)
		for i := range n {
			all.Go(func() {
				chat, err := koala.New(nil)
				if err != nil {
					errs[i] = err
					return
				}
				w := io.Writer(io.Discard)
				if i%2 == 1 {
					w = failing{io.ErrClosedPipe}
				}
				_, errs[i] = chat.Ask(t.Context(), c, "Hello!", w)
			})
		}
		all.Wait()
		for i, err := range errs {
			if i%2 == 0 {
				require.NoError(t, err)
			} else {
				require.Equal(t, io.ErrClosedPipe, err)
			}
		}
	})
	for range 1000 {
		if runtime.NumGoroutine() <= goroutines && openFiles() <= files {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d goroutines and %d open files, %d and %d before", runtime.NumGoroutine(), openFiles(), goroutines, files)
}

// openFiles returns the number of open files, or 0 if the system does not tell.
func openFiles() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

func TestModeration(t *testing.T) {
	var body, answer string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
		if r.URL.Path != "/v1/moderations" || r.Header.Get("Authorization") != "Bearer "+key {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	})
	m, err := backend.NewModeration(&backend.Options{URL: url, Key: key, Retries: -1})
	require.NoError(t, err)
	for response, want := range map[string]string{
		`{"results":[{"flagged":false,"categories":{"hate":true}}]}`:                            "",
		`{"results":[{"flagged":true,"categories":{"violence":true,"hate":true,"sex":false}}]}`: "hate, violence",
		`{"results":[{"flagged":true}]}`:                                                        "flagged",
	} {
		answer = response
		reason, err := m.Moderate(t.Context(), "text")
		require.NoError(t, err)
		require.Equal(t, want, reason)
		require.Equal(t, `{"input":"text"}`, body)
	}
	for _, answer = range []string{"", "{}", `{"results":[]}`, `{"results":[{}]}`, `{"error":{"message":"no"}}`} {
		_, err := m.Moderate(t.Context(), "text")
		requireKind(t, err, backend.ErrBroken)
	}
	body = "none"
	reason, err := m.Moderate(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, reason)
	require.Equal(t, "none", body)
	_, err = backend.NewModeration(&backend.Options{URL: "localhost"})
	requireKind(t, err, koala.ErrOptions)
}
