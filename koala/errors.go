package koala

import (
	"errors"
	"fmt"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/prompt"
)

// Kinds of errors, for errors.Is. The kinds of errors about turns are in
// package prompt, those about HTTP in package backend.
var (
	// ErrOptions reports options, or a request, that cannot be used. It is
	// the same value as prompt.ErrOptions.
	ErrOptions = prompt.ErrOptions
	// ErrTokenizer reports a tokenizer without an end-of-sequence token, or
	// without the beginning-of-sequence token that Options.BOS asks for. An
	// error of this kind is also of the kind ErrOptions.
	ErrTokenizer = errors.New("the tokenizer lacks a token")
	// ErrContext reports a prompt that is longer than the model's context.
	ErrContext = errors.New("the prompt is longer than the model's context")
	// ErrBusy is returned by Ask and Answer while another one of the same chat
	// has not returned. Wait for it, or use another chat.
	ErrBusy = errors.New("the chat is waiting for a reply: ask again when it has arrived")
	// ErrFlagged is the kind of every *FlaggedError.
	ErrFlagged = errors.New("withheld by the moderator")
	// ErrEnded is returned by Reply.Write once the reply has ended: the
	// server can stop.
	ErrEnded = errors.New("the reply has ended")
	// ErrMalformed reports input that is not JSON, or not in the expected
	// form. The error is a *prompt.TurnError.
	ErrMalformed = refusal.ErrMalformed
	// ErrUnsupported reports a saved chat of a newer version. The error is a
	// *prompt.TurnError.
	ErrUnsupported = refusal.ErrUnsupported
)

// optionError returns an error of the kind ErrOptions.
func optionError(option, format string, args ...any) error {
	return &prompt.OptionError{Option: option, Err: fmt.Errorf(format, args...)}
}

// ContextError reports a prompt that is longer than the model's context. Its
// kind is ErrContext.
type ContextError struct {
	Prompt  int // tokens of the prompt, 0 if unknown
	Context int // tokens of the context, 0 if unknown
}

// Error returns "what: what to do".
func (e *ContextError) Error() string {
	text := ErrContext.Error()
	if e.Prompt > 0 && e.Context > 0 {
		text += fmt.Sprintf(" (%d tokens of %d)", e.Prompt, e.Context)
	}
	return text + ": lower the budget of the chat, or run the model with a longer context"
}

// Unwrap returns ErrContext.
func (e *ContextError) Unwrap() error { return ErrContext }

// BudgetError reports that the last exchange alone is longer than the budget.
// It is wrapped in a *prompt.TurnError, which names the turn.
type BudgetError struct {
	Budget int // the budget in tokens
	Need   int // a lower bound for the tokens of the last exchange
}

// Error returns "what: what to do".
func (e *BudgetError) Error() string {
	return fmt.Sprintf("the last exchange alone has %d tokens, over the budget of %d: shorten it, raise the budget or let Overflow cut it", e.Need, e.Budget)
}

// FlaggedError reports that a moderator withheld a text. Its kind is
// ErrFlagged.
type FlaggedError struct {
	Role   prompt.Role // the author of the text
	Reason string      // the moderator's reason
}

// Error returns "what: where: what to do".
func (e *FlaggedError) Error() string {
	what, remedy := "the query", "ask for something else"
	if e.Role == prompt.Assistant {
		what, remedy = "the reply", "ask again, or for something else"
	}
	return fmt.Sprintf("%v: %s (%s): %s", ErrFlagged, what, e.Reason, remedy)
}

// Unwrap returns ErrFlagged.
func (e *FlaggedError) Unwrap() error { return ErrFlagged }
