// Package refusal defines the errors that parsers return for bad input: the
// kind of the fault, its byte offset and the tensor concerned.
//
// Parsers call Malformed, Unsupported and Truncated. Their callers test the
// kind with errors.Is.
package refusal

import (
	"errors"
	"fmt"
	"io"
)

// The kinds of refusal. A third kind is io.ErrUnexpectedEOF, for input that
// ends too early. An error that matches no kind comes from the
// underlying reader.
var (
	ErrMalformed   = errors.New("malformed")   // the input breaks the rules of its format
	ErrUnsupported = errors.New("unsupported") // the format allows the input, but this module does not read it
)

// Error is a refusal together with its position.
type Error struct {
	Offset int64  // Offset is the byte offset in the file.
	Tensor string // Tensor is the tensor's name, or "" if the fault concerns no single tensor.
	Err    error  // Err is the reason, which matches one of the kinds, or the reader's error.
}

// Error returns the reason followed by the position.
func (e *Error) Error() string {
	if e.Tensor != "" {
		return fmt.Sprintf("%v: byte %d, tensor %q", e.Err, e.Offset, e.Tensor)
	}
	return fmt.Sprintf("%v: byte %d", e.Err, e.Offset)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// reason is an error with a text of its own that unwraps to its kind.
type reason struct {
	kind error
	text string
}

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return r.kind }

// Reason returns an error whose text is the formatted sentence alone and that
// errors.Is matches with kind.
func Reason(kind error, format string, args ...any) error {
	return &reason{kind, fmt.Sprintf(format, args...)}
}

// Malformed returns an *Error: the byte at off breaks the rules of the format.
func Malformed(off int64, tensor, format string, args ...any) error {
	return &Error{off, tensor, Reason(ErrMalformed, format, args...)}
}

// Unsupported returns an *Error: the byte at off begins something that the
// format allows but this module does not read.
func Unsupported(off int64, tensor, format string, args ...any) error {
	return &Error{off, tensor, Reason(ErrUnsupported, format, args...)}
}

// Truncated returns an *Error: the input ends before the bytes that the byte at
// off announces.
func Truncated(off int64, tensor, format string, args ...any) error {
	return &Error{off, tensor, Reason(io.ErrUnexpectedEOF, format, args...)}
}

// Named returns err with a tensor's name, if err is an *Error without one. It
// returns any other error unchanged.
func Named(err error, name string) error {
	if e, ok := err.(*Error); ok && e.Tensor == "" {
		return &Error{Offset: e.Offset, Tensor: name, Err: e.Err}
	}
	return err
}
