package chatbot

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
)

// Poster shows messages in a channel of a platform.
type Poster interface {
	// Send posts a message and returns its id. The error may be a *WaitError.
	Send(ctx context.Context, text string) (id string, err error)
	// Edit replaces the text of a message. The error may be a *WaitError.
	Edit(ctx context.Context, id, text string) error
}

// WaitError is the error of a platform that asks for a pause.
type WaitError struct {
	After time.Duration // the pause
	Err   error         // the error of the platform
}

// Error returns the text of e.Err.
func (e *WaitError) Error() string { return e.Err.Error() }

// Unwrap returns e.Err.
func (e *WaitError) Unwrap() error { return e.Err }

// Style describes the messages of a platform.
type Style struct {
	Max   int           // the maximum length of a message in UTF-16 units
	Every time.Duration // the time from one edit to the next
	// Escape escapes the characters that the platform would read as markup or as
	// a mention, so that the text of a model is shown unchanged.
	Escape *strings.Replacer
}

// split cuts a text into messages, at white space if there is any in the second half of a
// message. Appending to the text changes only the last message, whose end may move to a
// new one.
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

// size returns the number of UTF-16 units of a character after Escape.
func (s *Style) size(r rune) int {
	n := 0
	for _, r := range s.Escape.Replace(string(r)) {
		n += utf16.RuneLen(r)
	}
	return n
}

// stream shows a reply while it arrives: it edits a message, and sends another one when
// that is full. Write never waits for the platform.
type stream struct {
	ctx    context.Context // for calls to the platform, not for the reply
	poster Poster
	style  *Style

	mu   sync.Mutex
	text strings.Builder

	shown   []message
	done    chan struct{} // closed by Close
	stopped chan struct{} // closed when run has returned
}

type message struct{ id, text string }

func newStream(ctx context.Context, poster Poster, style *Style) *stream {
	s := &stream{ctx: ctx, poster: poster, style: style, done: make(chan struct{}), stopped: make(chan struct{})}
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

// run shows the new text at intervals. It ignores errors, because Close shows the whole
// text again.
func (s *stream) run() {
	defer close(s.stopped)
	for pause := s.style.Every; ; {
		select {
		case <-s.done:
			return
		case <-time.After(pause):
		}
		pause = s.style.Every
		var wait *WaitError
		if errors.As(s.show(), &wait) {
			pause = max(pause, wait.After)
		}
	}
}

// show sends and edits messages until the platform shows the whole text.
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
			id, err := s.poster.Send(ctx, escaped)
			if err != nil {
				return err
			}
			s.shown = append(s.shown, message{id, part})
		} else if s.shown[i].text != part {
			if err := s.poster.Edit(ctx, s.shown[i].id, escaped); err != nil {
				return err
			}
			s.shown[i].text = part
		}
	}
	return nil
}

// maxTries is the number of attempts to show the end of a reply.
const maxTries = 6

// Close appends a note and shows the whole text. It makes the pauses that the platform
// asks for.
func (s *stream) Close(note string) error {
	close(s.done)
	<-s.stopped
	_, _ = s.Write([]byte(note))
	for try, pause := 1, s.style.Every; ; try, pause = try+1, 2*pause {
		err := s.show()
		if err == nil || try == maxTries {
			return err
		}
		var wait *WaitError
		if errors.As(err, &wait) {
			pause = max(pause, wait.After)
		}
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return err
		}
	}
}
