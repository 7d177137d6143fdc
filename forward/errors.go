package forward

import (
	"errors"
	"fmt"

	"github.com/koala-go/sdk/weights"
)

// ErrEmpty is the error for a text of no tokens.
var ErrEmpty = errors.New("there are no tokens: forward: give at least one")

// errShort is the error for a text in which no token has another before it.
var errShort = errors.New("a text of one token has no likelihood: forward: give at least two")

// OptionError reports a wrong value in Options.
type OptionError struct {
	Option  string // Option is the name of the field.
	Problem string
	Cure    string
}

// Error returns a message of the form "what: where: what to do".
func (e *OptionError) Error() string { return e.Problem + ": option " + e.Option + ": " + e.Cure }

// Unwrap returns weights.ErrOptions, the kind of all errors about options.
func (e *OptionError) Unwrap() error { return weights.ErrOptions }

// TokenError reports a token that the model does not have.
type TokenError struct {
	Index int   // Index is the index of the token in the tokens that were given.
	Token int32 // Token is its id.
	Vocab int   // Vocab is the size of the vocabulary: ids are below it.
}

// Error returns a message of the form "what: where: what to do".
func (e *TokenError) Error() string {
	return fmt.Sprintf("id %d is not in a vocabulary of %d: token %d: take the model's own tokenizer", e.Token, e.Vocab, e.Index)
}

// ContextError reports a text that is longer than the model's context.
type ContextError struct {
	Tokens  int // Tokens is the length of the whole text.
	Context int // Context is the greatest length.
}

// Error returns a message of the form "what: where: what to do".
func (e *ContextError) Error() string {
	return fmt.Sprintf("%d tokens are more than a context of %d: forward: give fewer", e.Tokens, e.Context)
}

// nonFinite returns the error for a weight of a tensor, or for a product with
// it, that is infinite or NaN.
func nonFinite(what, tensor string, index int64) error {
	return &weights.NonFiniteError{What: what, Tensor: tensor, Index: index, Cure: "compare the checkpoint's digests"}
}

// tooLittleMemory returns the error for a pass that Options.Memory is too low
// for.
func tooLittleMemory(what string, need, limit int64) error {
	return &weights.MemoryError{What: what, Need: need, Limit: limit, Cure: "allow more memory, or give fewer tokens or workers"}
}
