package koala

import (
	"context"
	"io"

	"github.com/koala-go/sdk/prompt"
)

// Reply receives the stream of a reply. It is an io.WriteCloser: write the
// output of the model to it, in pieces of any size, and close it to add the reply
// to the chat. Use it from one goroutine. See prompt.Filter for what ends a
// reply.
type Reply struct {
	chat    *Chat
	w       io.Writer
	filter  *prompt.Filter
	text    []byte
	turn    int // the index of the reply in the chat
	quality prompt.Quality
	limit   int // the maximum length of text in bytes, negative for no limit
	closed  bool

	ctx     context.Context // for the moderator
	gate    *gate           // nil without a moderator
	written int             // bytes of text written to w
}

// Reply returns the receiver of the reply to the last query. It writes text to w
// as soon as the text is certain, in whole characters of UTF-8. With a moderator
// it writes only what has passed. w may be nil.
func (c *Chat) Reply(w io.Writer) *Reply { return c.reply(context.Background(), w) }

// reply is like Reply, with a context for the moderator.
func (c *Chat) reply(ctx context.Context, w io.Writer) *Reply {
	c.lock()
	defer c.mu.Unlock()
	if w == nil {
		w = io.Discard
	}
	limit := c.s.Render.MaxContent
	if limit == 0 {
		limit = prompt.DefaultMaxContent
	}
	r := &Reply{
		limit: limit, chat: c, w: w, filter: c.s.Dialect.NewFilter(c.s.sampling().Stops...),
		turn: len(c.h.turns), quality: c.s.Render.Next, ctx: ctx,
	}
	if c.s.Moderator != nil {
		r.gate = &gate{step: c.s.ModerateStep}
		if r.gate.step == 0 {
			r.gate.step = defaultModerateStep
		}
	}
	return r
}

// Write receives a piece of the stream. The error is ErrEnded if the reply has
// ended, a *prompt.TurnError of the kind prompt.ErrTooLong if the reply is longer
// than Render.MaxContent, or the error of Chat.Moderate or of the writer below.
func (r *Reply) Write(p []byte) (int, error) {
	r.text = r.filter.Append(r.text, p)
	if err := r.flush(false); err != nil {
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

// flush writes the part of the text that is new and that the moderator has
// passed.
func (r *Reply) flush(last bool) error {
	end := len(r.text)
	if r.gate != nil {
		if err := r.gate.open(r.ctx, r.chat, r.text, last); err != nil {
			return err
		}
		end = r.gate.shown
	}
	if r.written == end {
		return nil
	}
	_, err := r.w.Write(r.text[r.written:end])
	r.written = end
	return err
}

// Close ends the stream and adds the reply to the chat. The error is that of the
// writer below or of Chat.Moderate, or a *prompt.TurnError if the chat has
// changed since Chat.Reply. To discard a reply, do not close it.
func (r *Reply) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.text = r.filter.Close(r.text)
	if err := r.flush(true); err != nil {
		return err
	}
	r.chat.lock()
	defer r.chat.mu.Unlock()
	if len(r.chat.h.turns) != r.turn {
		return &prompt.TurnError{Turn: r.turn, Offset: -1, Err: prompt.ErrOrder}
	}
	return r.chat.add(prompt.Turn{Role: prompt.Assistant, Quality: r.quality, Content: string(r.text)})
}

// Text returns the part of the reply that is certain, including text that a
// moderator withholds.
func (r *Reply) Text() string { return string(r.text) }

// Ending returns how the reply ended and what was left out of it.
func (r *Reply) Ending() prompt.Ending { return r.filter.Ending() }
