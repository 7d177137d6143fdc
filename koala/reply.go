package koala

import (
	"errors"
	"io"

	"github.com/koala-go/sdk/prompt"
)

// ErrEnded is what Reply.Write returns once the reply has ended: the server
// can stop.
var ErrEnded = errors.New("the reply has ended")

// Reply takes the stream of a reply. It is an io.WriteCloser: Write takes what
// comes, in pieces of any size, and Close adds the reply to the chat. It is
// for one goroutine. See prompt.Filter for what ends a reply.
type Reply struct {
	chat    *Chat
	w       io.Writer
	filter  *prompt.Filter
	text    []byte
	turn    int
	quality prompt.Quality
	limit   int // of the text in bytes, negative for none
	closed  bool
}

// Reply begins to take the reply that is due. What is certain of it goes to w
// at once, as whole UTF-8; a nil w is allowed.
func (c *Chat) Reply(w io.Writer) *Reply {
	c.lock()
	defer c.mu.Unlock()
	if w == nil {
		w = io.Discard
	}
	limit := c.m.Render.MaxContent
	if limit == 0 {
		limit = prompt.DefaultMaxContent
	}
	return &Reply{
		limit: limit, chat: c, w: w, filter: c.m.Dialect.NewFilter(c.m.sampling().Stops...),
		turn: len(c.h.turns), quality: c.m.Render.Next,
	}
}

// Write takes a piece of the stream. The error is ErrEnded when nothing more
// will count, a *prompt.TurnError of the kind prompt.ErrTooLong when the reply
// is over Render.MaxContent, or that of w.
func (r *Reply) Write(p []byte) (int, error) {
	before := len(r.text)
	r.text = r.filter.Append(r.text, p)
	if err := r.give(before); err != nil {
		return len(p), err
	}
	switch {
	case r.limit >= 0 && len(r.text) > r.limit:
		return len(p), &prompt.TurnError{Turn: r.turn, Offset: -1, Err: prompt.ErrTooLong}
	case r.filter.Done():
		return len(p), ErrEnded
	}
	return len(p), nil
}

// give writes what is new of the text.
func (r *Reply) give(before int) error {
	if len(r.text) == before {
		return nil
	}
	_, err := r.w.Write(r.text[before:])
	return err
}

// Close says that the stream has ended, and adds the reply to the chat. The
// error is that of w, or a *prompt.TurnError when the chat has changed
// meanwhile. To leave a reply out, do not close it.
func (r *Reply) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	before := len(r.text)
	r.text = r.filter.Close(r.text)
	if err := r.give(before); err != nil {
		return err
	}
	r.chat.lock()
	defer r.chat.mu.Unlock()
	if len(r.chat.h.turns) != r.turn {
		return &prompt.TurnError{Turn: r.turn, Offset: -1, Err: prompt.ErrOrder}
	}
	return r.chat.add(prompt.Turn{Role: prompt.Assistant, Quality: r.quality, Content: string(r.text)})
}

// Text is the reply as far as it is certain.
func (r *Reply) Text() string { return string(r.text) }

// Ending says how the reply ended and what was left out.
func (r *Reply) Ending() prompt.Ending { return r.filter.Ending() }
