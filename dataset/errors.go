package dataset

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
)

// Kinds of Error, for errors.Is. An input that ends too early is
// io.ErrUnexpectedEOF.
var (
	// ErrMalformed: the bytes break the rules of their format, or a value is
	// missing or of another type than is due.
	ErrMalformed = refusal.ErrMalformed
	// ErrUnsupported: a valid input of a kind that is not read here.
	ErrUnsupported = refusal.ErrUnsupported
	// ErrDefect: the reference would train on this, and nobody wants to.
	ErrDefect = errors.New("defect")
)

// Error says what is wrong with a record or a file, and where.
type Error struct {
	File  string
	Line  int64  // from 1, where the record begins, or its row in a Parquet file; 0 when it is about the file
	Group int    // row group in a Parquet file, from 1; 0 in others, or when it is about the file
	Field string // "" when it is about the whole record
	Err   error  // of one of the kinds, or the reader's error
}

// Error reads "what: where: what to do".
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
	if cure := e.cure(); cure != "" {
		text += ": " + cure
	}
	return text
}

// Unwrap gives the cause, which is of one of the kinds.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) cure() string {
	switch {
	case errors.Is(e.Err, ErrDefect):
		return "mend or skip bad records, or accept what the reference does (compat)"
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "the file is cut short; fetch it again and compare its checksum"
	case errors.Is(e.Err, ErrUnsupported):
		return "convert the file to JSON lines"
	case errors.Is(e.Err, ErrMalformed) && e.Line > 0:
		return "mend the record, or skip bad records"
	case errors.Is(e.Err, ErrMalformed):
		return "see whether it is the file that it should be"
	}
	return ""
}

// badField is an error about a field, before file and line are known.
func badField(kind error, field, format string, args ...any) *Error {
	return &Error{Field: field, Err: refusal.Reason(kind, format, args...)}
}

// at puts an error in its place. What is no *Error becomes one, with the
// offset of a parser's error left to the words of it.
func at(err error, pos *Position) *Error {
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

// ofFile takes the line away from an error about a file.
func (e *Error) ofFile() *Error {
	e.Line = 0
	return e
}
