package koala

import (
	"context"
	"errors"
	"io"

	"github.com/koala-go/sdk/prompt"
)

// Completer is a server, or a model, that goes on with a prompt. Package
// backend has clients of servers; a function becomes one by CompleterFunc.
type Completer interface {
	// Complete writes the text of the reply to w as it comes. It returns when
	// the reply has ended, or when w returns an error, which it hands on. The
	// report says what is known, also beside an error.
	Complete(ctx context.Context, r *Request, w io.Writer) (Report, error)
}

// CompleterFunc is a function as a Completer that reports nothing.
type CompleterFunc func(ctx context.Context, r *Request, w io.Writer) error

// Complete calls the function.
func (f CompleterFunc) Complete(ctx context.Context, r *Request, w io.Writer) (Report, error) {
	return Report{}, f(ctx, r, w)
}

// Ending says how a reply ended: what the chat made of it, and what the server
// says.
type Ending struct {
	prompt.Ending
	Window Window // what of the conversation was sent
	Report Report
}

// Ask adds what the user said, asks for the reply, writes it to w as it comes
// and adds it to the history. A nil w is allowed. When it returns an error the
// history is as it was before; a *FlaggedError is that of Options.Moderator.
func (c *Chat) Ask(ctx context.Context, m Completer, text string, w io.Writer) (Ending, error) {
	if err := c.Moderate(ctx, prompt.User, text); err != nil {
		return Ending{}, err
	}
	if err := c.User(text); err != nil {
		return Ending{}, err
	}
	reply := c.reply(ctx, w)
	ending, err := c.answer(ctx, m, reply)
	if err != nil {
		c.undo(reply.turn)
	}
	return ending, err
}

// Answer is Ask for a query that is in the history already. After Undo it asks
// for another reply. When it returns an error the query stays.
func (c *Chat) Answer(ctx context.Context, m Completer, w io.Writer) (Ending, error) {
	return c.answer(ctx, m, c.reply(ctx, w))
}

// answer asks for the reply that is due.
func (c *Chat) answer(ctx context.Context, m Completer, reply *Reply) (Ending, error) {
	r, err := c.Request()
	if err != nil {
		return Ending{}, err
	}
	report, err := m.Complete(ctx, r, reply)
	if err == nil || errors.Is(err, ErrEnded) {
		err = reply.Close()
	}
	return Ending{reply.Ending(), r.Window, report}, err
}
