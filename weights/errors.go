package weights

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
)

// The kinds of a FormatError, for errors.Is. The third kind is
// io.ErrUnexpectedEOF, for a file that ends too early.
var (
	// ErrMalformed says that the bytes break the rules of their format.
	ErrMalformed = refusal.ErrMalformed
	// ErrUnsupported says that the bytes may be valid, but that this package
	// does not read their kind.
	ErrUnsupported = refusal.ErrUnsupported
)

// ErrOptions is the kind of errors about a Spec that asks for something that
// cannot be written.
var ErrOptions = errors.New("invalid option")

// The errors of the file system that callers tell apart, for errors.Is.
var (
	// ErrBusy says that another run is writing the same output.
	ErrBusy = vfs.ErrBusy
	// ErrLink says that a file is a symbolic link out of its directory. See
	// OpenOptions.FollowLinks.
	ErrLink = vfs.ErrLink
)

// FormatError says that a file cannot be read as a checkpoint, and where.
type FormatError struct {
	Format Format // "" if no format was recognized
	Path   string // of the file
	Offset int64  // of the byte in the file, -1 for an error about the whole file
	Tensor string // its name in the file, "" for an error that is not about one
	Err    error  // the reason, of one of the three kinds

	remedy string // what to do, "" for the remedy of the error's kind
}

// Error returns the text "what: where: what to do".
func (e *FormatError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %s", e.Err, e.Path)
	if e.Format != "" {
		fmt.Fprintf(&b, ", %s", e.Format)
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, ", byte %d", e.Offset)
	}
	if e.Tensor != "" {
		fmt.Fprintf(&b, ", tensor %q", e.Tensor)
	}
	if remedy := cmp.Or(e.remedy, e.defaultRemedy()); remedy != "" {
		b.WriteString(": " + remedy)
	}
	return b.String()
}

// Unwrap returns the reason.
func (e *FormatError) Unwrap() error { return e.Err }

// defaultRemedy returns what to do about errors of the kind.
func (e *FormatError) defaultRemedy() string {
	switch {
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "the file is cut short; fetch it again and compare its checksum"
	case errors.Is(e.Err, ErrMalformed):
		return "the file is damaged or not what it seems; fetch it again and compare its checksum"
	case errors.Is(e.Err, ErrUnsupported):
		return cmp.Or(e.Format.row().remedy, "convert it to safetensors first")
	}
	return ""
}

// formatError turns the error of a parser into one that names the file.
func formatError(format Format, path string, err error) error {
	e := &FormatError{Format: format, Path: path, Offset: -1, Err: err}
	var at *refusal.Error
	if errors.As(err, &at) {
		e.Offset, e.Tensor, e.Err = at.Offset, at.Tensor, at.Err
	}
	return e
}

// whole returns a FormatError about a whole file.
func whole(format Format, path string, kind error, text string, args ...any) error {
	return &FormatError{Format: format, Path: path, Offset: -1, Err: refusal.Reason(kind, text, args...)}
}

// unsupported returns a FormatError about a file of a kind that is not read.
func unsupported(path, remedy, text string, args ...any) error {
	return &FormatError{Path: path, Offset: -1, Err: refusal.Reason(ErrUnsupported, text, args...), remedy: remedy}
}

// readError adds the name of the file to an error of reading.
func readError(path string, err error) error { return fmt.Errorf("reading %s: %w", path, err) }

// optionError returns an error of the kind ErrOptions.
func optionError(text string, args ...any) error { return refusal.Reason(ErrOptions, text, args...) }

// ModelError says why well-formed tensors are not one whole LLaMA model.
type ModelError struct {
	Problem string // what is wrong
	Path    string // of the checkpoint, or the format for an output
	Cure    string // what to do
}

// Error returns the text "what: where: what to do".
func (e *ModelError) Error() string { return e.Problem + ": " + e.Path + ": " + e.Cure }

// notExist reports whether an error says that a file does not exist.
func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
