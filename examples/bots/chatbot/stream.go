package chatbot

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
)

// Place is where the reply to a message is shown.
type Place interface {
	// Send posts a message and gives its id. An error may be a *WaitError.
	Send(ctx context.Context, text string) (id string, err error)
	// Edit changes what a message says.
	Edit(ctx context.Context, id, text string) error
}

// WaitError is the error of a platform that asks for a pause.
type WaitError struct {
	After time.Duration
	Err   error
}

// Error is the platform's error.
func (e *WaitError) Error() string { return e.Err.Error() }

// Unwrap is the platform's error.
func (e *WaitError) Unwrap() error { return e.Err }

// Style is how a platform shows messages.
type Style struct {
	Max   int           // the longest message, in UTF-16 units
	Every time.Duration // from one edit to the next
	// Escape takes the meaning from single characters that the platform would
	// read as markup or as a mention: what a model says is shown as it is.
	Escape *strings.Replacer
}

// split cuts a text into messages, at white space where there is some in the
// second half of one. More text changes the last message only, but for what
// moves from it to a new one.
func (s *Style) split(text string) []string {
	var parts []string
	for {
		end, size, space := 0, 0, 0
		for i, r := range text {
			size += s.size(r)
			if size > s.Max {
				break
			}
			end = i + len(string(r))
			if (r == ' ' || r == '\n') && size > s.Max/2 {
				space = end
			}
		}
		if end == len(text) {
			return append(parts, text)
		}
		if space > 0 {
			end = space
		}
		parts = append(parts, text[:end])
		text = text[end:]
	}
}

// size is the number of UTF-16 units that a character takes.
func (s *Style) size(r rune) int {
	n := 0
	for _, r := range s.Escape.Replace(string(r)) {
		n += utf16.RuneLen(r)
	}
	return n
}

// stream shows a reply while it comes: a message that is edited, and another one
// when it is full. Write never waits for the platform.
type stream struct {
	ctx   context.Context // of the platform, not of the reply
	place Place
	style *Style

	mu   sync.Mutex
	text strings.Builder

	shown   []message
	done    chan struct{} // closed by Close
	stopped chan struct{} // closed when nothing is shown any more
}

type message struct{ id, text string }

func newStream(ctx context.Context, place Place, style *Style) *stream {
	s := &stream{ctx: ctx, place: place, style: style, done: make(chan struct{}), stopped: make(chan struct{})}
	go s.run()
	return s
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// run shows what has come, now and then. Its errors are not told: Close shows
// everything again.
func (s *stream) run() {
	defer close(s.stopped)
	for pause := s.style.Every; ; {
		select {
		case <-s.done:
			return
		case <-time.After(pause):
		}
		pause = s.style.Every
		var slow *WaitError
		if errors.As(s.show(), &slow) {
			pause = max(pause, slow.After)
		}
	}
}

// show makes the platform show what has come.
func (s *stream) show() error {
	text := s.String()
	if strings.TrimSpace(text) == "" {
		return nil // platforms refuse empty messages
	}
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	for i, part := range s.style.split(text) {
		escaped := s.style.Escape.Replace(part)
		if i == len(s.shown) {
			if strings.TrimSpace(part) == "" {
				break
			}
			id, err := s.place.Send(ctx, escaped)
			if err != nil {
				return err
			}
			s.shown = append(s.shown, message{id, part})
		} else if s.shown[i].text != part {
			if err := s.place.Edit(ctx, s.shown[i].id, escaped); err != nil {
				return err
			}
			s.shown[i].text = part
		}
	}
	return nil
}

// maxTries is how often the end of a reply is shown before it is given up.
const maxTries = 6

// Close adds a note, shows all, and waits as long as the platform asks for.
func (s *stream) Close(note string) error {
	close(s.done)
	<-s.stopped
	_, _ = s.Write([]byte(note))
	for try, pause := 1, s.style.Every; ; try, pause = try+1, 2*pause {
		err := s.show()
		if err == nil || try == maxTries {
			return err
		}
		var slow *WaitError
		if errors.As(err, &slow) {
			pause = max(pause, slow.After)
		}
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return err
		}
	}
}
