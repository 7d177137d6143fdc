package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// talk executes lines until the input ends.
func (s *session) talk() error {
	in, ok := s.stdin.(*os.File)
	out, ok2 := s.stdout.(*os.File)
	if ok && ok2 && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) {
		return s.interact(in, out)
	}
	return s.script()
}

// maxChatLine bounds a line of a script in bytes.
const maxChatLine = 1 << 20

// script executes the lines of a pipe. The first error ends it.
func (s *session) script() error {
	lines := bufio.NewScanner(s.stdin)
	lines.Buffer(nil, maxChatLine)
	for lines.Scan() {
		switch err := s.line(s.ctx, lines.Text()); {
		case errors.Is(err, errQuit):
			return nil
		case err != nil:
			return err
		}
	}
	return lines.Err()
}

// interact chats on a terminal. It prints errors and continues. Ctrl-C ends the reply and
// not the program, so the requests do not use the context of the program.
func (s *session) interact(in, out *os.File) error {
	s.terminal = true
	e := &editor{in: in, out: out, t: term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, "")}
	if !s.quiet {
		fmt.Fprintln(s.stderr, "/help lists the commands, Ctrl-D leaves")
	}
	for {
		text, err := e.query()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		ctx, stop := signal.NotifyContext(context.WithoutCancel(s.ctx), os.Interrupt)
		err = s.line(ctx, text)
		stop()
		switch {
		case errors.Is(err, errQuit):
			return nil
		case errors.Is(err, context.Canceled):
			fmt.Fprintln(s.stderr, "(stopped)")
		case err != nil:
			fmt.Fprintf(s.stderr, "koala chat: %s\n", oneLine(err))
		}
	}
}

// editor reads queries from a terminal, with a history. The terminal is in raw mode only
// while a person types, so that Ctrl-C is a signal while a reply arrives.
type editor struct {
	in, out *os.File
	t       *term.Terminal
}

// query reads a query: a line, its continuations after a backslash, and pasted lines. The
// error is io.EOF for Ctrl-C and Ctrl-D.
func (e *editor) query() (string, error) {
	state, err := term.MakeRaw(int(e.in.Fd()))
	if err != nil {
		return "", err
	}
	restore := func() { _ = term.Restore(int(e.in.Fd()), state) } // there is no remedy for an error
	defer restore()
	defer onTerminate(restore)()
	if width, height, err := term.GetSize(int(e.out.Fd())); err == nil && width > 0 {
		_ = e.t.SetSize(width, height) // without the size only the layout is worse
	}
	e.t.SetBracketedPasteMode(true)
	defer e.t.SetBracketedPasteMode(false)
	return joinLines(e.line)
}

func (e *editor) line(label string) (string, error) {
	e.t.SetPrompt(label)
	return e.t.ReadLine()
}

// joinLines reads the lines of one query. line reads a line after a label.
func joinLines(line func(label string) (string, error)) (string, error) {
	var text strings.Builder
	for label := "> "; ; label = ". " {
		next, err := line(label)
		pasted := errors.Is(err, term.ErrPasteIndicator)
		if err != nil && !pasted {
			return "", err
		}
		rest, more := strings.CutSuffix(next, `\`)
		if pasted {
			rest = next
		}
		text.WriteString(rest)
		if !more && !pasted {
			return text.String(), nil
		}
		text.WriteByte('\n')
	}
}

// onTerminate restores the terminal and exits when the program gets SIGTERM while a person
// types. The function that it returns ends that.
func onTerminate(restore func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			restore()
			os.Exit(exitInterrupted)
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}
