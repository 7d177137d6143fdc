package forward

import (
	"errors"
	"fmt"
)

// ErrEmpty: there are no tokens to work on.
var ErrEmpty = errors.New("there are no tokens: forward: give one at least")

// TokenError says that a token is none of the model's.
type TokenError struct {
	Index int   // of the token in what was given
	Token int32 // its id
	Vocab int   // the model's ids are below
}

// Error reads "what: where: what to do".
func (e *TokenError) Error() string {
	return fmt.Sprintf("id %d is not in a vocabulary of %d: token %d: take the model's own tokenizer", e.Token, e.Vocab, e.Index)
}

// ContextError says that a text is longer than the model can read.
type ContextError struct {
	Tokens  int // of the whole text
	Context int // that there may be
}

// Error reads "what: where: what to do".
func (e *ContextError) Error() string {
	return fmt.Sprintf("%d tokens are more than a context of %d: forward: give fewer", e.Tokens, e.Context)
}

// NonFiniteError says that a weight, or what was computed with it, is infinite
// or NaN.
type NonFiniteError struct {
	Tensor string // as the file names it
	// Index is the weight's, row-major in Meta's layout; -1 when all weights of
	// the tensor that were used are finite, and their products with finite
	// numbers are too large.
	Index int64
}

// Error reads "what: where: what to do".
func (e *NonFiniteError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("a product is infinite or NaN: tensor %q: compare the checkpoint's digests", e.Tensor)
	}
	return fmt.Sprintf("a weight is infinite or NaN: tensor %q, element %d: compare the checkpoint's digests", e.Tensor, e.Index)
}

// MemoryError says that a limit of memory is too low for what is asked.
type MemoryError struct {
	Need, Limit int64 // bytes
	For         string
}

// Error reads "what: where: what to do".
func (e *MemoryError) Error() string {
	return fmt.Sprintf("%s needs %d KiB: the limit is %d KiB: allow more memory, or give fewer tokens or workers", e.For, (e.Need+1023)>>10, e.Limit>>10)
}
