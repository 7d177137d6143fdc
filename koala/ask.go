package koala

import (
	"context"
	"errors"
	"io"

	"github.com/koala-go/sdk/prompt"
)

// Completer is a server or a model that completes a prompt. Package backend has
// clients of servers; CompleterFunc makes a Completer of a function.
type Completer interface {
	// Complete writes the text of the reply to w as it arrives. It returns when
	// the reply has ended, or with the error of w when w returns one. The
	// report holds what is known, also if there is an error. Complete must not
	// change r.
	Complete(ctx context.Context, r *Request, w io.Writer) (Report, error)
}

// CompleterFunc is a function that is used as a Completer. Its reports are
// empty.
type CompleterFunc func(ctx context.Context, r *Request, w io.Writer) error

// Complete calls f.
func (f CompleterFunc) Complete(ctx context.Context, r *Request, w io.Writer) (Report, error) {
	return Report{}, f(ctx, r, w)
}

// Ending describes how a reply ended: what the chat found in the stream, and
// what the server reported.
type Ending struct {
	prompt.Ending
	Text   string // the reply, as it is in the history; "" after an error
	Window Window // the part of the conversation that was sent
	Report Report // the report of the Completer
}

// Ask adds a query to the chat, requests the reply from m, writes the reply to w
// as it arrives and adds it to the history. w may be nil. If Ask returns an
// error, or m panics, the history is unchanged. The error is a *FlaggedError if
// Options.Moderator withheld the query or the reply, ErrBusy if another Ask or
// Answer of the chat has not returned, and of the kind ErrOptions if m is nil.
func (c *Chat) Ask(ctx context.Context, m Completer, text string, w io.Writer) (ending Ending, err error) {
	if err := c.begin(m); err != nil {
		return Ending{}, err
	}
	defer c.end()
	if err := c.Moderate(ctx, prompt.User, text); err != nil {
		return Ending{}, err
	}
	if err := c.User(text); err != nil {
		return Ending{}, err
	}
	reply, answered := c.reply(ctx, w), false
	defer func() { // also when m panics
		if !answered {
			c.undo(reply.turn)
		}
	}()
	ending, err = c.answer(ctx, m, reply)
	answered = err == nil
	return ending, err
}

// Answer is like Ask for a query that is already in the history. Call Undo and
// Answer to get another reply. If Answer returns an error, the query stays in
// the history.
func (c *Chat) Answer(ctx context.Context, m Completer, w io.Writer) (Ending, error) {
	if err := c.begin(m); err != nil {
		return Ending{}, err
	}
	defer c.end()
	return c.answer(ctx, m, c.reply(ctx, w))
}

// begin marks the chat as busy with a request to m.
func (c *Chat) begin(m Completer) error {
	if m == nil {
		return optionError("Completer", "the Completer is nil: give a server, such as a client of package backend")
	}
	c.lock()
	defer c.mu.Unlock()
	if c.busy {
		return ErrBusy
	}
	c.busy = true
	return nil
}

// end ends what begin began.
func (c *Chat) end() {
	c.lock()
	defer c.mu.Unlock()
	c.busy = false
}

// answer requests the reply to the last query.
func (c *Chat) answer(ctx context.Context, m Completer, reply *Reply) (Ending, error) {
	r, err := c.Request()
	if err != nil {
		return Ending{}, err
	}
	report, err := m.Complete(ctx, r, reply)
	// ErrEnded comes from reply.Write: the reply was complete before the
	// stream was, for example because the model went on with a forged turn.
	if err == nil || errors.Is(err, ErrEnded) {
		err = reply.Close()
	}
	ending := Ending{Ending: reply.Ending(), Window: r.Window, Report: report}
	if err == nil { // after an error the text may be one that a moderator withholds
		ending.Text = reply.Text()
	}
	return ending, err
}
