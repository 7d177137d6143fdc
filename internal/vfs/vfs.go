// Package vfs is the one way in which the module touches files, so that tests
// can put faults under everything, and so that a remote store can stand in.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// File is a file open for reading, or a new one open for writing.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	// Expect tells the system that a part of the file is about to be read,
	// StartSync that it may begin to write what it holds of it, and Forget
	// that its memory is better used for something else: this one waits until
	// the part is written. None fails: where the system takes no advice they
	// do nothing.
	Expect(off, n int64)
	StartSync(off, n int64)
	Forget(off, n int64)
	// Size is the length when the file was opened.
	Size() int64
	// Stat is what the open file is now.
	Stat() (fs.FileInfo, error)
}

// FS is what the module needs of a file system.
type FS interface {
	// Open opens a regular file for reading. Devices, directories and FIFOs
	// are refused, without blocking.
	Open(path string) (File, error)

	// OpenIn opens the file that an untrusted text names in a directory: a
	// plain name, a regular file, and no symbolic link that leaves the
	// directory, but for Hugging Face's cache (snapshots/REV/NAME →
	// ../../blobs/HASH) or when follow allows all.
	OpenIn(dir, name string, follow bool) (File, error)

	// Create makes a new file of the given length, with its blocks reserved
	// where the system can.
	Create(path string, size int64) (File, error)

	// Reopen opens a file that Create made for reading and writing.
	Reopen(path string) (File, error)

	Stat(path string) (fs.FileInfo, error)
	ReadDir(path string) ([]fs.DirEntry, error)
	Mkdir(path string) error
	// MkdirAll makes a directory and its parents. The umask alone decides who
	// may write there, so that several users can share the directory.
	MkdirAll(path string) error
	// CreateTemp makes a new file that only its owner can read, and returns its
	// path too. Directory and pattern are as in os.CreateTemp.
	CreateTemp(dir, pattern string) (File, string, error)
	Rename(from, to string) error
	Remove(path string) error
	RemoveAll(path string) error

	// Exchange swaps two paths in one step, or returns errors.ErrUnsupported.
	Exchange(a, b string) error
	// SyncDir makes renames within a directory durable.
	SyncDir(path string) error
	// Lock takes a directory for this process, or returns ErrBusy.
	Lock(path string) (io.Closer, error)
	// Free is the number of bytes that the caller may still write below a
	// directory, or errors.ErrUnsupported.
	Free(path string) (int64, error)
}

// writePiece is how much WriteFull writes at once. Of larger pieces Linux keeps
// the pages in larger folios, for which it takes memory that was not in use
// lately: on a virtual machine that costs as much again as the writing.
const writePiece = 256 << 10

// WriteFull writes all of p at off. A writer that takes less without saying
// why is an error too.
func WriteFull(w io.WriterAt, p []byte, off int64) error {
	for len(p) > 0 {
		piece := p[:min(len(p), writePiece)]
		n, err := w.WriteAt(piece, off)
		if err == nil && n < len(piece) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// Errors that callers tell apart.
var (
	ErrBusy       = errors.New("in use by another run")
	ErrNotRegular = errors.New("not a regular file")
	ErrName       = errors.New("not a plain file name")
	ErrLink       = errors.New("symbolic link out of its directory")
)

// busyError is ErrBusy, with the process that holds the lock where the system
// tells.
type busyError struct{ pid int }

func (e *busyError) Error() string {
	if e.pid == 0 {
		return ErrBusy.Error()
	}
	return fmt.Sprintf("%v, process %d", ErrBusy, e.pid)
}
func (e *busyError) Unwrap() error { return ErrBusy }
