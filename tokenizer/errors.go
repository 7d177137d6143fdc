package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
)

// Errors that callers tell apart with errors.Is. A *ModelError matches
// ErrMalformed or ErrUnsupported, or io.ErrUnexpectedEOF if the input ends too
// early. One that matches none of the three comes from the reader.
var (
	// ErrMalformed means that the bytes break the rules of their format.
	ErrMalformed = refusal.ErrMalformed
	// ErrUnsupported means that the model is valid, but that this package does
	// not support it.
	ErrUnsupported = refusal.ErrUnsupported
	// ErrOptions means that an option has a value that does not exist.
	ErrOptions = errors.New("invalid options")
)

// ModelError reports that an input cannot be read as a tokenizer, or that a
// tokenizer cannot be written in a format.
type ModelError struct {
	Kind   Kind   // the detected kind, "" if none was detected
	Path   string // the file, "" if the model was not read from a file
	Offset int64  // offset of the byte in the file, -1 if the error concerns the whole file
	Err    error  // the cause
}

// Error returns the message: what is wrong, where, and what to do.
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
	return fmt.Sprintf("%v: %s: %s", e.Err, strings.Join(where, ", "), e.remedy())
}

// Unwrap returns the cause.
func (e *ModelError) Unwrap() error { return e.Err }

// remedy returns what the user can do about the error.
func (e *ModelError) remedy() string {
	switch {
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "the file is cut short; download it again and compare its checksum"
	case errors.Is(e.Err, ErrMalformed):
		return "the file is damaged or is not a tokenizer; download it again and compare its checksum"
	case errors.Is(e.Err, ErrUnsupported):
		return "use a BPE model like LLaMA's: tokenizer.model, tokenizer.json or GGUF"
	}
	return "check that the file can be read"
}

// modelError adds the kind to a parser's error and takes the offset out of it.
func modelError(kind Kind, err error) error {
	e := &ModelError{Kind: kind, Offset: -1, Err: err}
	var at *refusal.Error
	if errors.As(err, &at) {
		e.Offset, e.Err = at.Offset, at.Err
	}
	return e
}

// RangeError reports a token id that is not in the vocabulary.
type RangeError struct {
	Position int   // index of the id among all ids
	ID       Token // the id
	Len      int   // size of the vocabulary
}

// Error returns the message: what is wrong, where, and what to do.
func (e *RangeError) Error() string {
	return fmt.Sprintf("token id %d is out of range: position %d: give ids from 0 to %d", e.ID, e.Position, e.Len-1)
}

// TextError reports a text that is not UTF-8.
type TextError struct {
	Offset int // offset of the first invalid byte
}

// Error returns the message: what is wrong, where, and what to do.
func (e *TextError) Error() string {
	return fmt.Sprintf("text is not UTF-8: byte %d: correct the text, or allow invalid bytes to be read as U+FFFD", e.Offset)
}

// optionError returns an error that matches ErrOptions.
func optionError(format string, args ...any) error {
	return refusal.Reason(ErrOptions, format, args...)
}

// malformed returns an error that matches ErrMalformed.
func malformed(format string, args ...any) error {
	return refusal.Reason(ErrMalformed, format, args...)
}

// unsupported returns an error that matches ErrUnsupported.
func unsupported(format string, args ...any) error {
	return refusal.Reason(ErrUnsupported, format, args...)
}
