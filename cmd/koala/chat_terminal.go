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

// talk reads lines until they end.
func (s *session) talk() error {
	in, ok := s.stdin.(*os.File)
	out, ok2 := s.stdout.(*os.File)
	if ok && ok2 && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) {
		return s.person(in, out)
	}
	return s.script()
}

// maxChatLine bounds a line of a script, in bytes.
const maxChatLine = 1 << 20

// script takes each line for a turn. The first error ends it.
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

// person chats on a terminal. An error is told, and the chat goes on. Ctrl-C
// ends the reply and not the program, so the context of the program does not
// count here.
func (s *session) person(in, out *os.File) error {
	s.terminal = true
	e := &editor{in: in, out: out, t: term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, "")}
	if !s.quiet {
		fmt.Fprintln(s.stderr, "/help lists the commands, Ctrl-D leaves")
	}
	for {
		text, err := e.turn()
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

// editor reads what a person types, with a history. The terminal is raw only
// meanwhile, so that Ctrl-C is a signal while a reply comes.
type editor struct {
	in, out *os.File
	t       *term.Terminal
}

// turn reads a turn: a line, the next ones after a backslash, and all that is
// pasted. The error is io.EOF for Ctrl-C and Ctrl-D.
func (e *editor) turn() (string, error) {
	state, err := term.MakeRaw(int(e.in.Fd()))
	if err != nil {
		return "", err
	}
	restore := func() { _ = term.Restore(int(e.in.Fd()), state) } // there is nothing else to do about it
	defer restore()
	defer onTerminate(restore)()
	if width, height, err := term.GetSize(int(e.out.Fd())); err == nil && width > 0 {
		_ = e.t.SetSize(width, height) // it only looks worse without
	}
	e.t.SetBracketedPasteMode(true)
	defer e.t.SetBracketedPasteMode(false)
	return join(e.line)
}

func (e *editor) line(prompt string) (string, error) {
	e.t.SetPrompt(prompt)
	return e.t.ReadLine()
}

// join reads lines as long as they belong together.
func join(line func(prompt string) (string, error)) (string, error) {
	var text strings.Builder
	for prompt := "> "; ; prompt = ". " {
		one, err := line(prompt)
		pasted := errors.Is(err, term.ErrPasteIndicator)
		if err != nil && !pasted {
			return "", err
		}
		rest, more := strings.CutSuffix(one, `\`)
		if pasted {
			rest = one
		}
		text.WriteString(rest)
		if !more && !pasted {
			return text.String(), nil
		}
		text.WriteByte('\n')
	}
}

// onTerminate puts the terminal right when the program is told to end while a
// person types. It gives what ends the watch.
func onTerminate(restore func()) (stop func()) {
	told := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(told, syscall.SIGTERM)
	go func() {
		select {
		case <-told:
			restore()
			os.Exit(exitInterrupted)
		case <-done:
		}
	}()
	return func() {
		signal.Stop(told)
		close(done)
	}
}
