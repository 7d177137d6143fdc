package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
)

// openTerminal opens the two sides of a pseudo-terminal.
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
		{"\x1b[A\r", "a[31mbc"}, // the last line, from the history
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

// TestCtrlC runs the program on a terminal of its own. The terminal shows a reply while it
// arrives. Ctrl-C stops the reply and keeps the chat and the beginning of the reply, and
// the program continues. Ctrl-C at the prompt ends the program.
func TestCtrlC(t *testing.T) {
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"content\":\" Once upon\",\"stop\":false}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // until the client closes the connection
		close(gone)
	}))
	defer server.Close()
	person, program := openTerminal(t)
	var seen screen
	go func() { _, _ = io.Copy(&seen, person) }()
	saved := filepath.Join(t.TempDir(), "saved.json")
	c := exec.CommandContext(t.Context(), os.Args[0], "chat", "--backend", "llamacpp", "--url", server.URL)
	c.Args[0] = "koala" // TestMain runs the program under this name
	c.Stdin, c.Stdout, c.Stderr = program, program, program
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, c.Start())
	for _, step := range []struct{ shown, next, typed string }{
		{"> ", "", "Tell!\r"},
		{"Once upon", "", "\x03"},
		{"(stopped)", "> ", "/save " + saved + "\r"},
		{saved, "> ", "\x03"},
	} {
		require.True(t, seen.waits(step.shown, step.next), "%q, and no %q", seen.String(), step.shown)
		_, err := io.WriteString(person, step.typed)
		require.NoError(t, err)
	}
	require.NoError(t, c.Wait())
	<-gone
	data, err := os.ReadFile(saved)
	require.NoError(t, err)
	require.Contains(t, string(data), `"messages":[{"role":"user","content":"Tell!"},{"role":"assistant","content":"Once upon"}]`)
}

// screen records what a terminal shows.
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

// shows waits for a text and the prompt after it.
func (s *screen) shows(text string) bool { return s.waits(text, "> ") }

// waits waits for a text and another one after it.
func (s *screen) waits(text, next string) bool {
	for range 500 {
		if _, after, found := strings.Cut(s.String(), text); found && strings.Contains(after, next) {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}
