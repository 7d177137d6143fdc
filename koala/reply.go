package koala

import (
	"context"
	"io"

	"github.com/koala-go/sdk/prompt"
)

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

	// With a moderator:
	ctx  context.Context
	gate *gate
	at   int // bytes given to w
}

// Reply begins to take the reply that is due. What is certain of it goes to w
// at once, as whole UTF-8; a nil w is allowed. With a moderator, what it has let
// through goes to w.
func (c *Chat) Reply(w io.Writer) *Reply { return c.reply(context.Background(), w) }

// reply is Reply with a context for the moderator.
func (c *Chat) reply(ctx context.Context, w io.Writer) *Reply {
	c.lock()
	defer c.mu.Unlock()
	if w == nil {
		w = io.Discard
	}
	limit := c.m.Render.MaxContent
	if limit == 0 {
		limit = prompt.DefaultMaxContent
	}
	r := &Reply{
		limit: limit, chat: c, w: w, filter: c.m.Dialect.NewFilter(c.m.sampling().Stops...),
		turn: len(c.h.turns), quality: c.m.Render.Next, ctx: ctx,
	}
	if c.m.Moderator != nil {
		r.gate = &gate{step: c.m.ModerateStep}
		if r.gate.step == 0 {
			r.gate.step = defaultModerateStep
		}
	}
	return r
}

// Write takes a piece of the stream. The error is ErrEnded when nothing more
// will count, a *prompt.TurnError of the kind prompt.ErrTooLong when the reply
// is over Render.MaxContent, that of Chat.Moderate, or that of w.
func (r *Reply) Write(p []byte) (int, error) {
	r.text = r.filter.Append(r.text, p)
	if err := r.give(false); err != nil {
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
func (r *Reply) give(last bool) error {
	end := len(r.text)
	if r.gate != nil {
		if err := r.gate.open(r.ctx, r.chat, r.text, last); err != nil {
			return err
		}
		end = r.gate.shown
	}
	if r.at == end {
		return nil
	}
	_, err := r.w.Write(r.text[r.at:end])
	r.at = end
	return err
}

// Close says that the stream has ended, and adds the reply to the chat. The
// error is that of w or of Chat.Moderate, or a *prompt.TurnError when the chat has changed
// meanwhile. To leave a reply out, do not close it.
func (r *Reply) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.text = r.filter.Close(r.text)
	if err := r.give(true); err != nil {
		return err
	}
	r.chat.lock()
	defer r.chat.mu.Unlock()
	if len(r.chat.h.turns) != r.turn {
		return &prompt.TurnError{Turn: r.turn, Offset: -1, Err: prompt.ErrOrder}
	}
	return r.chat.add(prompt.Turn{Role: prompt.Assistant, Quality: r.quality, Content: string(r.text)})
}

// Text is the reply as far as it is certain, also what a moderator withholds.
func (r *Reply) Text() string { return string(r.text) }

// Ending says how the reply ended and what was left out.
func (r *Reply) Ending() prompt.Ending { return r.filter.Ending() }
