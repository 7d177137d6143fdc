package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
)

// Kinds of ModelError, for errors.Is. A file that ends too early is
// io.ErrUnexpectedEOF. An error that is none of the three came from the
// reader.
var (
	// ErrMalformed: the bytes break the rules of their format.
	ErrMalformed = refusal.ErrMalformed
	// ErrUnsupported: a valid model, but of a kind that is not read here.
	ErrUnsupported = refusal.ErrUnsupported
)

// ModelError says that a file cannot be read as a tokenizer, and where.
type ModelError struct {
	Kind   Kind   // "" when none was recognized
	Path   string // "" when it was no file
	Offset int64  // of the byte in the file, -1 when it is about the whole
	Err    error
}

// Error reads "what: where: what to do".
func (e *ModelError) Error() string {
	where := make([]string, 0, 3)
	if e.Path != "" {
		where = append(where, e.Path)
	}
	if e.Kind != "" {
		where = append(where, string(e.Kind))
	}
	if e.Offset >= 0 {
		where = append(where, fmt.Sprintf("byte %d", e.Offset))
	}
	if len(where) == 0 {
		where = append(where, "the model")
	}
	return fmt.Sprintf("%v: %s: %s", e.Err, strings.Join(where, ", "), e.cure())
}

// Unwrap gives the cause, which is of one of the kinds.
func (e *ModelError) Unwrap() error { return e.Err }

func (e *ModelError) cure() string {
	switch {
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "the file is cut short; fetch it again and compare its checksum"
	case errors.Is(e.Err, ErrMalformed):
		return "the file is damaged or not what it seems; fetch it again and compare its checksum"
	case errors.Is(e.Err, ErrUnsupported):
		return "give a LLaMA-like BPE model: tokenizer.model, tokenizer.json or GGUF"
	}
	return "see whether the file can be read"
}

// modelError puts a parser's error in its file.
func modelError(kind Kind, err error) error {
	e := &ModelError{Kind: kind, Offset: -1, Err: err}
	var at *refusal.Error
	if errors.As(err, &at) {
		e.Offset, e.Err = at.Offset, at.Err
	}
	return e
}

// RangeError says that an id is none of the vocabulary's.
type RangeError struct {
	Position int // in the list of ids
	ID       Token
	Len      int // of the vocabulary
}

// Error reads "what: where: what to do".
func (e *RangeError) Error() string {
	return fmt.Sprintf("token id %d is out of range: position %d: give ids from 0 to %d", e.ID, e.Position, e.Len-1)
}

// TextError says that a text is not UTF-8.
type TextError struct {
	Offset int // of the first bad byte
}

// Error reads "what: where: what to do".
func (e *TextError) Error() string {
	return fmt.Sprintf("text is not UTF-8: byte %d: mend it, or have each bad byte read as U+FFFD", e.Offset)
}
