// Package vfs is the only way in which the module opens and writes local files,
// so that tests can inject faults below all of it. A job takes its file system
// from its context: call FromContext.
//
// To write one file, call WriteFile. To write an output of several files that
// appears in one step, call NewStage, Stage.Create and Stage.Publish. Source
// presents a file system to the packages that read from a source.Source.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// File is a file that is open for reading, or a new one that is open for
// writing too.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error // writes the file through to the disk

	// Prefetch, StartSync and Release give the system advice on a range of the
	// file. They affect speed only, and do nothing where the system takes no
	// advice.

	// Prefetch says that the range is about to be read.
	Prefetch(off, n int64)
	// StartSync says that the system may begin to write the range to the disk.
	StartSync(off, n int64)
	// Release says that the memory that caches the range is free for other
	// use. It waits until the range is written.
	Release(off, n int64)

	// Size returns the length at the time of opening, in bytes.
	Size() int64
	// Stat describes the open file as it is now.
	Stat() (fs.FileInfo, error)
}

// FS is what the module needs of a file system.
type FS interface {
	// Open opens a regular file for reading. It refuses devices, directories
	// and FIFOs, without blocking.
	Open(path string) (File, error)

	// OpenIn opens a file in a directory whose name comes from an untrusted
	// text. The name must be plain, the file regular. A symbolic link must stay
	// in the directory, or be one of Hugging Face's cache (snapshots/REV/NAME →
	// ../../blobs/HASH), unless follow allows all links.
	OpenIn(dir, name string, follow bool) (File, error)

	// Create makes a new file of the given length. It reserves the blocks of
	// the file if the system can.
	Create(path string, size int64) (File, error)

	// Reopen opens a file that Create made, for reading and writing.
	Reopen(path string) (File, error)

	// The following methods are those of package os.

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

	// Exchange swaps two paths in one step. It returns errors.ErrUnsupported if
	// the system cannot.
	Exchange(a, b string) error
	// SyncDir makes the renames within a directory durable.
	SyncDir(path string) error
	// Lock locks a directory for this process until the lock is closed. It
	// returns ErrBusy if another process holds the lock.
	Lock(path string) (io.Closer, error)
	// Free returns the number of bytes that the caller may still write below a
	// directory, or errors.ErrUnsupported.
	Free(path string) (int64, error)
}

// writePiece is the number of bytes that WriteFull writes at once. Linux keeps
// the pages of larger writes in larger folios, and takes memory for them that
// was not in use lately: on a virtual machine that costs as much again as the
// write.
const writePiece = 256 << 10

// WriteFull writes all of p at off. A short write without an error is an error
// too.
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

// The errors that callers tell apart.
var (
	ErrBusy       = errors.New("in use by another run")
	ErrNotRegular = errors.New("not a regular file")
	ErrName       = errors.New("not a plain file name")
	ErrLink       = errors.New("symbolic link out of its directory")
)

// busyError is ErrBusy with the process that holds the lock, where the system
// states it.
type busyError struct{ pid int }

func (e *busyError) Error() string {
	if e.pid == 0 {
		return ErrBusy.Error()
	}
	return fmt.Sprintf("%v, process %d", ErrBusy, e.pid)
}
func (e *busyError) Unwrap() error { return ErrBusy }
