package dataset

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
)

// ErrExists: an output stands there already that is not this run's.
var ErrExists = errors.New("the output exists")

// partialEnd ends the names of files in the making.
const partialEnd = ".koala-partial"

// partial is the name under which a file is made.
func partial(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+partialEnd)
}

// replaceFile puts a file in its place in one step: whoever sees it sees it
// whole, also after a crash.
func replaceFile(path string, data []byte) error { return replaceVia(partial(path), path, data) }

// replaceVia is replaceFile by way of a name that no other run uses.
func replaceVia(temp, path string, data []byte) error {
	if err := replaceSoon(temp, path, data); err != nil {
		return err
	}
	return vfs.OS.SyncDir(filepath.Dir(path))
}

// replaceSoon leaves it to the next SyncDir that the name lasts.
func replaceSoon(temp, path string, data []byte) error {
	if err := vfs.OS.RemoveAll(temp); err != nil {
		return err
	}
	f, err := vfs.OS.Create(temp, int64(len(data)))
	if err != nil {
		return err
	}
	if len(data) > 0 {
		_, err = f.WriteAt(data, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = vfs.OS.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, vfs.OS.RemoveAll(temp))
	}
	return nil
}

// Fingerprint is a digest of what decides on an output: the inputs' names,
// sizes and first and last MiB, and whatever else is given, as JSON. A change
// in the middle of a large file that leaves its size is not seen.
func Fingerprint(paths []string, settings ...any) (string, error) {
	h := sha256.New()
	for _, path := range paths {
		if err := fingerprintFile(h, path); err != nil {
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

// fingerprintEnds is how much of each end of a file goes into a fingerprint.
const fingerprintEnds = 1 << 20

func fingerprintFile(w io.Writer, path string) error {
	f, err := vfs.OS.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintf(w, "%q %d\n", filepath.Base(path), f.Size())
	for _, from := range []int64{0, max(fingerprintEnds, f.Size()-fingerprintEnds)} {
		if _, err := io.Copy(w, io.NewSectionReader(f, from, fingerprintEnds)); err != nil {
			return err
		}
	}
	return nil
}

// readJSON reads a small file of ours; false when there is none.
func readJSON(path string, v any) (bool, error) {
	data, err := os.ReadFile(path)
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

// writeJSON puts such a file in its place.
func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, append(text, '\n'))
}

// LineWriter writes lines to a file that appears whole, when it is published.
type LineWriter struct {
	*bufio.Writer
	file vfs.File
	path string
}

// CreateLines begins a file of lines. What a killed run left is written over;
// a file that stands there is replaced only with force, and only in the end.
func CreateLines(path string, force bool) (*LineWriter, error) {
	if _, err := os.Stat(path); err == nil && !force {
		return nil, fmt.Errorf("%w: %s: remove it, or force", ErrExists, path)
	}
	if err := vfs.OS.RemoveAll(partial(path)); err != nil {
		return nil, err
	}
	f, err := vfs.OS.Create(partial(path), 0)
	if err != nil {
		return nil, err
	}
	return &LineWriter{bufio.NewWriterSize(io.NewOffsetWriter(f, 0), 1<<20), f, path}, nil
}

// Publish puts the file in its place.
func (w *LineWriter) Publish() error {
	err := w.Flush()
	if err == nil {
		err = w.file.Sync()
	}
	if err = errors.Join(err, w.file.Close()); err == nil {
		err = vfs.OS.Rename(partial(w.path), w.path)
	}
	if err != nil {
		return errors.Join(err, vfs.OS.RemoveAll(partial(w.path)))
	}
	return vfs.OS.SyncDir(filepath.Dir(w.path))
}

// Discard leaves what stood there as it was.
func (w *LineWriter) Discard() error {
	return errors.Join(w.file.Close(), vfs.OS.RemoveAll(partial(w.path)))
}
