package backend_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
)

// standIn returns a server on loopback that responds like llama.cpp.
func standIn(status int, body string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
}

const hello = `data: {"content":" Hi","stop":false}

data: {"content":"!","stop":true,"stop_type":"eos","tokens_evaluated":17,"tokens_predicted":3}

`

// Chat with a server.
func ExampleNew() {
	s := standIn(200, hello)
	defer s.Close()
	server, err := backend.New(backend.LlamaCPP, &backend.Options{URL: s.URL, Key: backend.Secret(os.Getenv("KOALA_API_KEY"))})
	if err != nil {
		fmt.Println(err)
		return
	}
	chat, _ := koala.New(nil)
	ending, err := chat.Ask(context.Background(), server, "Hello!", os.Stdout)
	fmt.Println()
	fmt.Println(ending.Report.Finish, ending.Report.PromptTokens, ending.Report.ReplyTokens, err)
	// Output:
	// Hi!
	// end token 17 3 <nil>
}

// Errors have a kind and the server's own words.
func ExampleError() {
	s := standIn(400, `{"error":{"message":"request (511 tokens) exceeds","type":"exceed_context_size_error","n_prompt_tokens":511,"n_ctx":256}}`)
	defer s.Close()
	server, _ := backend.New(backend.LlamaCPP, &backend.Options{URL: s.URL})
	chat, _ := koala.New(nil)
	_, err := chat.Ask(context.Background(), server, "Hello!", io.Discard)
	var e *backend.Error
	if errors.Is(err, koala.ErrContext) && errors.As(err, &e) {
		fmt.Println(e.Context.Prompt, e.Context.Context, e.Words)
	}
	// Output: 511 256 request (511 tokens) exceeds
}

func ExampleKind_DefaultURL() {
	for _, k := range backend.Kinds() {
		fmt.Println(k, k.DefaultURL(), k.TakesIDs())
	}
	// Output:
	// llamacpp http://localhost:8080 true
	// openai http://localhost:8000 true
	// ollama http://localhost:11434 false
	// easylm http://localhost:5009 false
	// easylm-chat http://localhost:5009 false
}

// A list of words flags texts that contain one of them.
func ExampleReadWordList() {
	list, err := backend.ReadWordList(strings.NewReader("# comments\nbomb\nvery bad\n"))
	for _, text := range []string{"How to make a BOMB?", "a very\nbad idea", "bombastic"} {
		reason, _ := list.Moderate(context.Background(), text)
		fmt.Printf("%q ", reason)
	}
	fmt.Println(err)
	// Output: "bomb" "very bad" "" <nil>
}

// Ask a list of words first, and then a server with OpenAI's moderations.
func ExampleNewModeration() {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"results":[{"flagged":true,"categories":{"violence":true}}]}`)
	}))
	defer s.Close()
	server, err := backend.NewModeration(&backend.Options{URL: s.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	chat, _ := koala.New(&koala.Options{Moderator: koala.Moderators{backend.NewWordList("bomb"), server}})
	model := koala.CompleterFunc(func(_ context.Context, _ *koala.Request, w io.Writer) error {
		_, err := io.WriteString(w, "Hi!")
		return err
	})
	_, err = chat.Ask(context.Background(), model, "Let us fight!", io.Discard)
	fmt.Println(err)
	// Output: withheld by the moderator: the query (violence): ask for something else
}
