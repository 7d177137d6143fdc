package dataset

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
)

// LineWriter writes lines to a file that appears whole when it is published.
type LineWriter struct {
	*bufio.Writer
	file *vfs.FileWriter
}

// CreateLines begins a file of lines. It returns ErrExists if the path exists
// and force is false, and ErrBusy if another run is writing the same path. With
// force, Publish replaces the file. What a killed run left is overwritten.
func CreateLines(ctx context.Context, path string, force bool) (*LineWriter, error) {
	f, err := vfs.CreateFile(ctx, path, force)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("%w: %s: remove it, or force", ErrExists, path)
	case err != nil:
		return nil, busyAdvice(err, path)
	}
	return &LineWriter{bufio.NewWriterSize(f, 1<<20), f}, nil
}

// busyAdvice adds the path and what to do to an error of kind ErrBusy.
func busyAdvice(err error, path string) error {
	if errors.Is(err, ErrBusy) {
		return fmt.Errorf("%w: %s: wait for the other run to end", err, path)
	}
	return err
}

// Publish makes the file durable and visible.
func (w *LineWriter) Publish() error {
	if err := w.Flush(); err != nil {
		return errors.Join(err, w.file.Discard())
	}
	return w.file.Publish()
}

// Discard removes what was written. An existing file at the path is unchanged.
func (w *LineWriter) Discard() error { return w.file.Discard() }

// Fingerprint returns a digest of everything that decides on an output: the base
// names, sizes, and first and last MiB of the inputs, and the settings as JSON.
// It does not notice a change in the middle of a large file that keeps the size.
func Fingerprint(ctx context.Context, inputs []Input, settings ...any) (string, error) {
	h := sha256.New()
	for i := range inputs {
		if err := fingerprintInput(ctx, h, &inputs[i]); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return "", err
	}
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// fingerprintEnd is the length of each end of a file that goes into a
// fingerprint.
const fingerprintEnd = 1 << 20

func fingerprintInput(ctx context.Context, w io.Writer, in *Input) error {
	f, closer, err := in.openSized(ctx)
	if err != nil {
		return err
	}
	defer closer.Close()
	fmt.Fprintf(w, "%q %d\n", filepath.Base(in.Name), f.Size())
	for _, from := range []int64{0, max(fingerprintEnd, f.Size()-fingerprintEnd)} {
		if _, err := io.Copy(w, io.NewSectionReader(f, from, fingerprintEnd)); err != nil {
			return err
		}
	}
	return nil
}

// readJSON reads a small file that this package wrote. It reports whether the
// file exists.
func readJSON(fsys vfs.FS, path string, v any) (bool, error) {
	data, err := vfs.ReadFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		if err = json.Unmarshal(data, v); err != nil {
			err = &Error{File: path, Err: refusal.Reason(ErrMalformed, "%v", err)}
		}
	}
	return err == nil, err
}

// marshalFile returns the text of such a file.
func marshalFile(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return append(text, '\n'), err
}
