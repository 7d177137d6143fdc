package chatbot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/koala"
)

// board is a Poster that records the messages.
type board struct {
	mu       sync.Mutex
	messages []string
	states   []string // all messages after each call
	calls    int
	fail     func(call int) error
}

func (b *board) Send(_ context.Context, text string) (string, error) {
	return b.change(func() (string, error) {
		b.messages = append(b.messages, text)
		return strconv.Itoa(len(b.messages) - 1), nil
	})
}

func (b *board) Edit(_ context.Context, id, text string) error {
	_, err := b.change(func() (string, error) {
		n, err := strconv.Atoi(id)
		if err == nil {
			b.messages[n] = text
		}
		return "", err
	})
	return err
}

func (b *board) change(change func() (string, error)) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.fail != nil {
		if err := b.fail(b.calls); err != nil {
			return "", err
		}
	}
	id, err := change()
	b.states = append(b.states, strings.Join(b.messages, "|"))
	return id, err
}

func (b *board) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.messages...)
}

// newBot returns a bot with a file of its own, unless o has one.
func newBot(t *testing.T, o Options) *Bot {
	t.Helper()
	if o.Store == nil {
		store, err := OpenStore(t.Context(), filepath.Join(t.TempDir(), "chats.db"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = store.Close() })
		o.Store = store
	}
	if o.Style.Max == 0 {
		o.Style = Style{Max: 4096, Every: 5 * time.Millisecond, Escape: strings.NewReplacer()}
	}
	if o.MaxReplies == 0 {
		o.MaxReplies = 4
	}
	o.Log = slog.New(slog.DiscardHandler)
	b := New(o)
	t.Cleanup(func() { b.Close(done()) })
	return b
}

// done returns a context that has ended.
func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

var ids int

// say handles a message and waits for the reply.
func say(b *Bot, text string, poster Poster) {
	ids++
	b.Handle(Message{Channel: "c", User: "u", ID: fmt.Sprint(ids), Text: text}, poster)
	b.all.Wait()
}

// counting replies with the number of turns and the last query.
var counting = koala.CompleterFunc(func(_ context.Context, r *koala.Request, w io.Writer) error {
	_, err := fmt.Fprintf(w, " %d %s", len(r.Conversation), r.Conversation[len(r.Conversation)-1].Content)
	return err
})

// blocked is a model that writes the beginning of a reply and waits until it may proceed
// or is stopped.
type blocked struct{ started, proceed chan struct{} }

func newBlocked() *blocked { return &blocked{make(chan struct{}, 100), make(chan struct{})} }

func (m *blocked) Complete(ctx context.Context, _ *koala.Request, w io.Writer) (koala.Report, error) {
	if _, err := io.WriteString(w, " Well"); err != nil {
		return koala.Report{}, err
	}
	m.started <- struct{}{}
	select {
	case <-m.proceed:
	case <-ctx.Done():
		return koala.Report{}, ctx.Err()
	}
	_, err := io.WriteString(w, ", yes.")
	return koala.Report{}, err
}

var errBroken = errors.New("secret words of a machine")
