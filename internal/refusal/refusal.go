// Package refusal defines the errors of parsers: the kind of a refusal, the byte
// offset, and the tensor.
package refusal

import (
	"errors"
	"fmt"
	"io"
)

// The kinds of refusal; the third is io.ErrUnexpectedEOF for an input that
// ends too early. Errors that match none of the three come from the reader.
var (
	ErrMalformed   = errors.New("malformed")
	ErrUnsupported = errors.New("unsupported")
)

// Error is a refusal and the place that caused it.
type Error struct {
	Offset int64  // of the byte in the file
	Tensor string // its name, "" when it is not about one
	Err    error  // what was wrong, of one of the kinds above, or the reader's error
}

func (e *Error) Error() string {
	if e.Tensor != "" {
		return fmt.Sprintf("%v: byte %d, tensor %q", e.Err, e.Offset, e.Tensor)
	}
	return fmt.Sprintf("%v: byte %d", e.Err, e.Offset)
}

func (e *Error) Unwrap() error { return e.Err }

// reason is a sentence that is also of a kind.
type reason struct {
	kind error
	text string
}

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return r.kind }

// Reason makes an error that reads as the sentence alone and that errors.Is
// finds to be of the kind.
func Reason(kind error, format string, args ...any) error {
	return &reason{kind, fmt.Sprintf(format, args...)}
}

// Malformed says that the byte at off breaks the format's rules.
func Malformed(off int64, tensor, format string, args ...any) error {
	return &Error{off, tensor, Reason(ErrMalformed, format, args...)}
}

// Unsupported says that the byte at off begins something which is allowed by
// the format but not read here.
func Unsupported(off int64, tensor, format string, args ...any) error {
	return &Error{off, tensor, Reason(ErrUnsupported, format, args...)}
}

// Truncated says that the input ends before what was announced at off.
func Truncated(off int64, tensor, format string, args ...any) error {
	return &Error{off, tensor, Reason(io.ErrUnexpectedEOF, format, args...)}
}

// Named adds a tensor's name to an *Error that does not know it.
func Named(err error, name string) error {
	if e, ok := err.(*Error); ok && e.Tensor == "" {
		return &Error{Offset: e.Offset, Tensor: name, Err: e.Err}
	}
	return err
}
