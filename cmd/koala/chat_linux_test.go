package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
)

// openTerminal makes a pseudo-terminal: the person's side and the program's.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	require.NoError(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = program.Close(); _ = person.Close() })
	return person, program
}

// TestPerson chats on a terminal.
func TestPerson(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(fakeServer))
	defer server.Close()
	client, err := backend.New(backend.LlamaCPP, &backend.Options{URL: server.URL})
	require.NoError(t, err)
	evil := koala.CompleterFunc(func(ctx context.Context, r *koala.Request, w io.Writer) error {
		if len(r.Conversation) == 3 {
			_, err := io.WriteString(w, " a\x1b[31mb\x07c")
			return err
		}
		_, err := client.Complete(ctx, r, w)
		return err
	})
	person, program := openTerminal(t)
	var seen screen
	go func() { _, _ = io.Copy(&seen, person) }()
	chat, err := koala.New(nil)
	require.NoError(t, err)
	s := &session{app: &app{ctx: t.Context(), stdin: program, stdout: program, stderr: program}, server: evil, chat: chat, context: 2048}
	done := make(chan error, 1)
	go func() { done <- s.talk() }()
	for _, step := range []struct{ typed, shown string }{
		{"Hello!\r", "got 17 ids at 1"},
		{"\x1b[A\r", "a[31mbc"}, // the line before, out of the history
		{"/temperature 0.5\r", "temperature 0.5"},
		{"/nope\r", "koala chat: unknown command"},
		{"/reset\r", "/reset"},
		{"one\\\rtwo\r", "got 18 ids at 0.5"},
	} {
		_, err := io.WriteString(person, step.typed)
		require.NoError(t, err)
		require.True(t, seen.shows(step.shown), "%q, and no %q", seen.String(), step.shown)
	}
	require.Contains(t, seen.String(), "of 2048 tokens]")
	require.Equal(t, "one\ntwo", chat.Conversation()[0].Content)
	_, err = io.WriteString(person, "\x04")
	require.NoError(t, err)
	require.NoError(t, <-done)
}

// screen is what a terminal shows.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// shows waits for a text and the prompt behind it.
func (s *screen) shows(text string) bool {
	for range 500 {
		if _, after, found := strings.Cut(s.String(), text); found && strings.Contains(after, "> ") {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}
