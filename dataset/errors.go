package dataset

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
)

// The kinds of an Error, for errors.Is. An input that ends too early is of kind
// io.ErrUnexpectedEOF.
var (
	// ErrMalformed reports that the bytes break the rules of their format, or
	// that a value is missing or has the wrong type.
	ErrMalformed = refusal.ErrMalformed
	// ErrUnsupported reports a valid input of a kind that this package does not
	// read.
	ErrUnsupported = refusal.ErrUnsupported
	// ErrDefect reports a record that the reference trains on and that nobody
	// wants to train on.
	ErrDefect = errors.New("defect")
)

// Errors about a call instead of its input.
var (
	// ErrOptions reports an option with an unknown or impossible value.
	ErrOptions = errors.New("invalid option")
	// ErrExists reports that the output exists and is not this run's.
	ErrExists = errors.New("the output exists")
	// ErrBusy reports that another run is writing the same output.
	ErrBusy = vfs.ErrBusy
)

// badOption returns an error of kind ErrOptions.
func badOption(format string, args ...any) error { return refusal.Reason(ErrOptions, format, args...) }

// Error describes what is wrong with a record or a file, and where.
type Error struct {
	File  string // name of the input
	Line  int64  // line on which the record begins, or row in a Parquet file, from 1; 0 if the error is about the file
	Group int    // row group in a Parquet file, from 1; 0 in other files, or if the error is about the file
	Field string // name of the field; empty if the error is about the whole record
	Err   error  // cause: of one of the kinds above, or the reader's error
}

// Error returns a sentence of the form "what: where: what to do".
func (e *Error) Error() string {
	var where []string
	if e.File != "" {
		where = append(where, e.File)
	}
	switch {
	case e.Group > 0:
		where = append(where, fmt.Sprintf("row group %d", e.Group), fmt.Sprintf("row %d", e.Line))
	case e.Line > 0:
		where = append(where, fmt.Sprintf("line %d", e.Line))
	}
	if e.Field != "" {
		where = append(where, fmt.Sprintf("field %q", e.Field))
	}
	text := fmt.Sprintf("%v: %s", e.Err, strings.Join(where, ", "))
	if advice := e.advice(); advice != "" {
		text += ": " + advice
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// advice returns what the user can do about the error, or nothing.
func (e *Error) advice() string {
	var own advised
	switch {
	case errors.As(e.Err, &own):
		return own.advice
	case errors.Is(e.Err, ErrDefect):
		return "correct the record, skip bad records, or accept what the reference does (compat)"
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "the file is cut short; fetch it again and compare its checksum"
	case errors.Is(e.Err, ErrUnsupported) && e.Line > 0:
		return "change or remove the record"
	case errors.Is(e.Err, ErrUnsupported):
		return "convert the file to JSON lines"
	case errors.Is(e.Err, ErrMalformed) && e.Line > 0:
		return "correct the record, or skip bad records"
	case errors.Is(e.Err, ErrMalformed):
		return "check that this is the right file"
	}
	return ""
}

// badField returns an error about a field of a record whose position is not yet
// known.
func badField(kind error, field, format string, args ...any) *Error {
	return &Error{Field: field, Err: refusal.Reason(kind, format, args...)}
}

// locate adds a position to an error. An error of another type becomes an
// *Error. The byte offset of a parser's error is dropped, because it counts from
// the beginning of the record and not of the file.
func locate(err error, pos *Position) *Error {
	e, ok := err.(*Error)
	if !ok {
		e = &Error{Err: err}
		if w := (*refusal.Error)(nil); errors.As(err, &w) {
			e.Err = w.Err
		}
	}
	e.File, e.Line, e.Group = pos.File, pos.Line, max(e.Group, pos.Group)
	return e
}

// aboutFile removes the line from an error about a file.
func (e *Error) aboutFile() *Error {
	e.Line = 0
	return e
}
