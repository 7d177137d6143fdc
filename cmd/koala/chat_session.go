package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// session is a chat on a terminal or with a script.
type session struct {
	*app
	server   koala.Completer
	chat     *koala.Chat
	context  int  // the number of tokens that the meter shows
	quiet    bool // print only errors on stderr
	terminal bool // a person types the queries
}

const chatHelp = `/reset               forget the conversation
/retry               ask for another reply
/save FILE           save the chat
/load FILE           continue a saved chat
/temperature [T]     show or set the temperature
/help                show this list
/quit                leave; so does Ctrl-D
//text               send a query that begins with a slash
A backslash at the end of a line continues the query on the next line. Pasted lines are
one query. Ctrl-C stops a reply.
`

// errQuit ends the chat.
var errQuit = errors.New("quit")

// line executes a line: a command or a query.
func (s *session) line(ctx context.Context, text string) error {
	if rest, escaped := strings.CutPrefix(text, "//"); escaped {
		return s.ask(ctx, "/"+rest)
	}
	if !strings.HasPrefix(text, "/") {
		return s.ask(ctx, text)
	}
	name, argument, _ := strings.Cut(text, " ")
	argument = strings.TrimSpace(argument)
	switch name {
	case "/reset":
		s.chat.Reset()
		return nil
	case "/retry":
		return s.retry(ctx)
	case "/save":
		return s.save(argument)
	case "/load":
		return s.load(argument)
	case "/temperature":
		return s.temperature(argument)
	case "/help":
		_, err := io.WriteString(s.stderr, chatHelp)
		return err
	case "/quit":
		return errQuit
	}
	return fmt.Errorf("unknown command: %.40q: /help lists the commands; begin a query with // to send a slash", name)
}

// ask requests a reply and prints it. If the person stops a reply, its beginning stays
// in the chat.
func (s *session) ask(ctx context.Context, text string) error {
	var shown strings.Builder
	ending, err := s.chat.Ask(ctx, s.server, text, io.MultiWriter(s.output(), &shown))
	if s.terminal && errors.Is(err, context.Canceled) && shown.Len() > 0 {
		if err := s.chat.User(text); err != nil {
			return err
		}
		if err := s.chat.Add(prompt.Turn{Role: prompt.Assistant, Content: shown.String()}); err != nil {
			return err
		}
	}
	return s.replied(ending, err, shown.Len() > 0)
}

// retry requests another reply to the last query. If that fails, the old reply stays.
func (s *session) retry(ctx context.Context) error {
	turns := s.chat.Conversation()
	if len(turns) == 0 {
		return errors.New("no query yet: /retry: send a query first")
	}
	old := turns[len(turns)-1]
	if old.Role == prompt.Assistant {
		s.chat.Undo()
	}
	var shown strings.Builder
	ending, err := s.chat.Answer(ctx, s.server, io.MultiWriter(s.output(), &shown))
	if err != nil && old.Role == prompt.Assistant {
		if again := s.chat.Add(old); again != nil {
			return again
		}
	}
	return s.replied(ending, err, shown.Len() > 0)
}

// replied prints the newline after a reply and the number of tokens.
func (s *session) replied(ending koala.Ending, err error, shown bool) error {
	if err == nil || shown {
		if _, err := io.WriteString(s.stdout, "\n"); err != nil {
			return err
		}
	}
	if err != nil || s.quiet {
		return err
	}
	if w := ending.Window; w.Dropped > 0 {
		fmt.Fprintf(s.stderr, "koala chat: the %d oldest turns were left out\n", w.Dropped)
	}
	for _, note := range replyNotes(&ending.Report) {
		fmt.Fprintf(s.stderr, "koala chat: %s\n", note)
	}
	if s.terminal {
		fmt.Fprintf(s.stderr, "[%d of %d tokens]\n", ending.Window.Tokens+ending.Report.ReplyTokens, s.context)
	}
	return nil
}

// replyNotes returns what a person should know about how a reply ended.
func replyNotes(r *koala.Report) (notes []string) {
	if r.Finish == koala.Limit {
		notes = append(notes, "the reply was cut at the limit of tokens: raise --max-tokens or --context")
	}
	if r.Truncated {
		notes = append(notes, "the server dropped a part of the prompt or of the reply: run it with a longer context")
	}
	if r.Warning != "" {
		notes = append(notes, r.Warning)
	}
	return notes
}

// output returns the writer for replies. On a terminal it removes control characters,
// with which a model could control the terminal.
func (s *session) output() io.Writer {
	if s.terminal {
		return plainWriter{s.stdout}
	}
	return s.stdout
}

// plainWriter removes control characters other than tabs and newlines.
type plainWriter struct{ w io.Writer }

func (p plainWriter) Write(text []byte) (int, error) {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, string(text))
	if _, err := io.WriteString(p.w, plain); err != nil {
		return 0, err
	}
	return len(text), nil
}

func (s *session) temperature(argument string) error {
	o := s.chat.Sampling()
	if argument != "" {
		t, err := strconv.ParseFloat(argument, 64)
		if err != nil || !(t >= 0 && t <= 100) {
			return fmt.Errorf("%.40q is not a temperature: /temperature: use a number from 0, like 0.7", argument)
		}
		o.Temperature = t
		s.chat.SetSampling(o)
	}
	if s.terminal {
		fmt.Fprintf(s.stderr, "temperature %v\n", o.Temperature)
	}
	return nil
}

// save writes the chat to a file in one step: the file is replaced by the whole chat or
// not at all.
func (s *session) save(path string) error {
	if path == "" {
		return errors.New("no file: /save FILE: name the file")
	}
	data, err := json.Marshal(s.chat)
	if err != nil {
		return err
	}
	// On a terminal, Ctrl-C ends the context of the program, but not the chat.
	ctx := vfs.NewContext(context.WithoutCancel(s.ctx), privateFS{vfs.FromContext(s.ctx)})
	return vfs.WriteFile(ctx, path, true, func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}

// privateFS creates files that only their owner can read, because chats are
// private.
type privateFS struct{ vfs.FS }

// Create creates a file and changes its mode while it is empty.
func (p privateFS) Create(path string, size int64) (vfs.File, error) {
	f, err := p.FS.Create(path, size)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// maxSaved bounds the size of a saved chat in bytes.
const maxSaved = 64 << 20

func (s *session) load(path string) error {
	if path == "" {
		return errors.New("no file: /load FILE: name the file")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSaved+1))
	if err != nil {
		return err
	}
	if len(data) > maxSaved {
		return fmt.Errorf("larger than %s: %s: not a saved chat", bytesText(maxSaved), path)
	}
	return s.chat.UnmarshalJSON(data)
}
