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

// Kinds of FormatError, for errors.Is. A file that ends too early is
// io.ErrUnexpectedEOF. An error that is none of the three came from the
// system.
var (
	// ErrMalformed: the bytes break the rules of their format.
	ErrMalformed = refusal.ErrMalformed
	// ErrUnsupported: the bytes may be valid, but are of a kind not read here.
	ErrUnsupported = refusal.ErrUnsupported
)

// ErrOptions is the kind of errors about a Spec that asks for what cannot be
// written.
var ErrOptions = errors.New("invalid option")

// Errors of the file system, for errors.Is.
var (
	// ErrBusy: another run is writing the same output.
	ErrBusy = vfs.ErrBusy
	// ErrLink: a shard is a symbolic link out of its directory; see
	// OpenOptions.FollowLinks.
	ErrLink = vfs.ErrLink
)

// FormatError says that a file cannot be read as a checkpoint, and where.
type FormatError struct {
	Format Format // "" when no format was recognized
	Path   string
	Offset int64  // of the byte in the file, -1 when it is about the whole
	Tensor string // as the file names it, "" when it is not about one
	Err    error

	todo string // what to do, "" for what the kind of error asks for
}

// Error reads "what: where: what to do".
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
	if todo := cmp.Or(e.todo, e.cure()); todo != "" {
		b.WriteString(": " + todo)
	}
	return b.String()
}

// Unwrap gives the cause, which is of one of the kinds.
func (e *FormatError) Unwrap() error { return e.Err }

func (e *FormatError) cure() string {
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

// formatError puts a parser's error in its file.
func formatError(format Format, path string, err error) error {
	e := &FormatError{Format: format, Path: path, Offset: -1, Err: err}
	var at *refusal.Error
	if errors.As(err, &at) {
		e.Offset, e.Tensor, e.Err = at.Offset, at.Tensor, at.Err
	}
	return e
}

// whole is a FormatError about a file and no byte of it.
func whole(format Format, path string, kind error, text string, args ...any) error {
	return &FormatError{Format: format, Path: path, Offset: -1, Err: refusal.Reason(kind, text, args...)}
}

// unsupported is a FormatError about a file of a kind that is not read, and
// what to do with it.
func unsupported(path, todo, text string, args ...any) error {
	return &FormatError{Path: path, Offset: -1, Err: refusal.Reason(ErrUnsupported, text, args...), todo: todo}
}

// readError names the file of an error of reading.
func readError(path string, err error) error { return fmt.Errorf("reading %s: %w", path, err) }

// optionError makes an error of the kind ErrOptions.
func optionError(text string, args ...any) error { return refusal.Reason(ErrOptions, text, args...) }

// ModelError says why well-formed tensors are not one whole LLaMA model.
type ModelError struct {
	Problem string
	Path    string
	Cure    string
}

// Error reads "what: where: what to do".
func (e *ModelError) Error() string { return e.Problem + ": " + e.Path + ": " + e.Cure }

// notExist says whether nothing stands at a path.
func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
