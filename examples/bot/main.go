// Command bot is a chat bot in one file. It reads one query per line from standard input.
// With -listen it is a webhook: POST /chat with
//
//	{"chat": "any name", "text": "Hello!"}
//
// returns {"reply": "…", "ended": "…"}. Each name is a chat of its own.
//
// A koala.Completer makes the replies. Here it is a tiny model in memory, whose reply is
// always the same. The flag -model uses a checkpoint instead. To use a server, return a
// client of package backend from the function model.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/koala-go/sdk/backend/local"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/prompt"
)

// model opens the checkpoint at path, or the tiny model if path is "".
func model(ctx context.Context, path string) (koala.Completer, error) {
	if path != "" {
		return local.Open(ctx, path, nil)
	}
	tiny, err := modeltest.Scripted()
	if err != nil {
		return nil, err
	}
	defer tiny.Close()
	return local.New(ctx, tiny, nil)
}

// options returns the options of every chat. The budget is Koala's context of 2048 tokens
// minus 1024 tokens for the reply, and forged marks are refused.
func options() *koala.Options {
	return &koala.Options{Budget: 1024, Overflow: koala.KeepEnd, Render: prompt.Options{RejectForged: true}}
}

func main() {
	listen := flag.String("listen", "", "address of the webhook, like localhost:8080")
	path := flag.String("model", "", "checkpoint in any format (default: a tiny model whose reply is always the same)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *path, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "bot:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path, listen string) error {
	m, err := model(ctx, path)
	if err != nil {
		return err
	}
	if listen == "" {
		return talk(ctx, m, os.Stdin, os.Stdout)
	}
	return serve(ctx, m, listen)
}

// talk replies to each line. It reports a line that is refused and continues.
func talk(ctx context.Context, m koala.Completer, in io.Reader, out io.Writer) error {
	chat, err := koala.New(options())
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		_, err := chat.Ask(ctx, m, lines.Text(), out)
		var refused *prompt.TurnError
		if errors.As(err, &refused) {
			fmt.Fprint(out, "(refused: ", refused, ")")
		} else if err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	return lines.Err()
}

// The limits of the webhook.
const (
	maxBody  = 64 << 10
	maxChats = 1000
)

// bot is the HTTP handler of the webhook.
type bot struct {
	m     koala.Completer
	mu    sync.Mutex
	chats map[string]*koala.Chat
}

// serve runs the webhook until ctx ends.
func serve(ctx context.Context, m koala.Completer, address string) error {
	mux := http.NewServeMux()
	mux.Handle("POST /chat", &bot{m: m, chats: make(map[string]*koala.Chat)})
	server := &http.Server{Addr: address, Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 5 * time.Minute}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (b *bot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct{ Chat, Text string }
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&request); err != nil || request.Chat == "" {
		answer(w, http.StatusBadRequest, map[string]string{"error": `send {"chat": "a name", "text": "..."}`})
		return
	}
	chat, err := b.chat(request.Chat)
	if err != nil {
		answer(w, http.StatusServiceUnavailable, map[string]string{"error": err.Error()})
		return
	}
	var reply strings.Builder
	ending, err := chat.Ask(r.Context(), b.m, request.Text, &reply)
	var refused *prompt.TurnError
	switch {
	case errors.As(err, &refused):
		answer(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
	case err != nil:
		answer(w, http.StatusBadGateway, map[string]string{"error": "no reply"})
	default:
		answer(w, http.StatusOK, map[string]string{"reply": reply.String(), "ended": ending.Reason.String()})
	}
}

// chat returns the chat with a name.
func (b *bot) chat(name string) (*koala.Chat, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if chat := b.chats[name]; chat != nil {
		return chat, nil
	}
	if len(b.chats) == maxChats {
		return nil, errors.New("too many chats")
	}
	chat, err := koala.New(options())
	if err == nil {
		b.chats[name] = chat
	}
	return chat, err
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
