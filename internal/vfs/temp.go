package vfs

import (
	"errors"
	"io"
	"os"
)

func (osFS) MkdirAll(path string) error { return os.MkdirAll(path, 0o777) }

func (osFS) CreateTemp(dir, pattern string) (File, string, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, "", err
	}
	return osFile{f, 0}, f.Name(), nil
}

// TempFile is a temporary file that is written in sequence and then read. Close
// removes it.
type TempFile struct {
	file    File
	path    string
	fs      FS
	written int64
}

// CreateTemp makes a temporary file that only its owner can read, in a
// directory or, if dir is empty, in the system's.
func CreateTemp(fsys FS, dir, pattern string) (*TempFile, error) {
	f, path, err := fsys.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return &TempFile{file: f, path: path, fs: fsys}, nil
}

// Write appends to the file.
func (t *TempFile) Write(p []byte) (int, error) {
	if err := WriteFull(t.file, p, t.written); err != nil {
		return 0, err
	}
	t.written += int64(len(p))
	return len(p), nil
}

// ReadAt reads what was written.
func (t *TempFile) ReadAt(p []byte, off int64) (int, error) { return t.file.ReadAt(p, off) }

// Size returns the number of bytes written.
func (t *TempFile) Size() int64 { return t.written }

// Reader returns a reader of what was written so far.
func (t *TempFile) Reader() io.Reader { return io.NewSectionReader(t.file, 0, t.written) }

// Close closes and removes the file. A nil TempFile has nothing to close.
func (t *TempFile) Close() error {
	if t == nil {
		return nil
	}
	return errors.Join(t.file.Close(), t.fs.Remove(t.path))
}

// ReadFile reads a whole file.
func ReadFile(fsys FS, path string) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	data := make([]byte, f.Size())
	_, err = io.ReadFull(io.NewSectionReader(f, 0, f.Size()), data)
	return data, errors.Join(err, f.Close())
}
