// Package vfstest provides a file system that injects faults, for tests of
// everything that works on files.
//
// Put an FS into the context of a run with vfs.NewContext. A test that runs
// once for every value of At, from 1 until Fired returns the empty string, sees
// each single operation of the run go wrong:
//
//	for at := int64(1); ; at++ {
//		f := &vfstest.FS{FS: vfs.OS, Fault: fault, At: at}
//		err := run(vfs.NewContext(ctx, f))
//		if f.Fired() == "" {
//			break // the run has fewer operations
//		}
//		…
//	}
package vfstest

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/koala-go/sdk/internal/vfs"
)

// Err is an error for a Fault whose kind does not matter.
var Err = errors.New("injected fault")

// Fault is a way in which an operation goes wrong.
type Fault struct {
	Name string // Name is for test names and messages.
	Err  error  // Err is the error of the operation. It may be nil for reads and writes.

	// Short lets a read or write do half of its work before it returns Err.
	Short bool
	// ReadsOnly restricts the fault to reads.
	ReadsOnly bool
	// Harmless marks a fault that a run must survive, such as io.EOF together
	// with the last bytes of a file.
	Harmless bool
	// Dead lets all later operations fail too, as if the process had been
	// killed. Then not even the cleaning up is done.
	Dead bool
}

// Faults are the ways in which storage goes wrong.
var Faults = []Fault{
	{Name: "EIO", Err: syscall.EIO},
	{Name: "ENOSPC, half written", Err: syscall.ENOSPC, Short: true},
	{Name: "EINTR", Err: syscall.EINTR},
	{Name: "half without an error", Short: true},
	{Name: "half, then the end of the file", Err: io.EOF, Short: true, ReadsOnly: true},
	{Name: "all, and the end of the file", Err: io.EOF, ReadsOnly: true, Harmless: true},
	{Name: "nothing without an error", ReadsOnly: true, Harmless: true},
}

// FS is a file system in which one operation goes wrong. Operations are
// counted from 1 across all files; a Fault without Err counts only reads and
// writes, and a Fault with ReadsOnly only reads.
type FS struct {
	vfs.FS
	Fault Fault
	At    int64 // At is the number of the operation that goes wrong.

	count atomic.Int64
	fired atomic.Pointer[string]
}

// Fired returns the name of the operation that went wrong, or the empty string
// if the run had fewer operations.
func (f *FS) Fired() string {
	if op := f.fired.Load(); op != nil {
		return *op
	}
	return ""
}

// trip counts an operation and reports whether it goes wrong.
func (f *FS) trip(op string, read bool) bool {
	if f.Fault.ReadsOnly && !read {
		return false
	}
	n := f.count.Add(1)
	if n == f.At {
		f.fired.Store(&op)
	}
	return n == f.At || f.Fault.Dead && n > f.At
}

// fail returns the error of an operation other than a read or write.
func (f *FS) fail(op, path string) error {
	if path != "" {
		op += " " + filepath.Base(path)
	}
	if f.Fault.Err != nil && f.trip(op, false) {
		return f.Fault.Err
	}
	return nil
}

func (f *FS) wrap(opened vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &file{opened, f}, nil
}

// Open opens a file, or fails.
func (f *FS) Open(path string) (vfs.File, error) {
	if err := f.fail("open", path); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.Open(path))
}

// OpenIn opens a file of a directory, or fails.
func (f *FS) OpenIn(dir, name string, follow bool) (vfs.File, error) {
	if err := f.fail("open", name); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.OpenIn(dir, name, follow))
}

// Create creates a file, or fails.
func (f *FS) Create(path string, size int64) (vfs.File, error) {
	if err := f.fail("create", path); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.Create(path, size))
}

// Reopen opens a file for reading and writing, or fails.
func (f *FS) Reopen(path string) (vfs.File, error) {
	if err := f.fail("reopen", path); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.Reopen(path))
}

// Stat describes a file, or fails.
func (f *FS) Stat(path string) (fs.FileInfo, error) {
	if err := f.fail("stat", path); err != nil {
		return nil, err
	}
	return f.FS.Stat(path)
}

// ReadDir lists a directory, or fails.
func (f *FS) ReadDir(path string) ([]fs.DirEntry, error) {
	if err := f.fail("readdir", path); err != nil {
		return nil, err
	}
	return f.FS.ReadDir(path)
}

// Mkdir creates a directory, or fails.
func (f *FS) Mkdir(path string) error {
	if err := f.fail("mkdir", path); err != nil {
		return err
	}
	return f.FS.Mkdir(path)
}

// Rename renames a file or directory, or fails.
func (f *FS) Rename(from, to string) error {
	if err := f.fail("rename to", to); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

// Remove removes a file, or fails.
func (f *FS) Remove(path string) error {
	if err := f.fail("remove", path); err != nil {
		return err
	}
	return f.FS.Remove(path)
}

// RemoveAll removes a directory with all it contains, or fails.
func (f *FS) RemoveAll(path string) error {
	if err := f.fail("remove all of", path); err != nil {
		return err
	}
	return f.FS.RemoveAll(path)
}

// Exchange swaps two paths, or fails.
func (f *FS) Exchange(a, b string) error {
	if err := f.fail("exchange", b); err != nil {
		return err
	}
	return f.FS.Exchange(a, b)
}

// SyncDir makes renames durable, or fails.
func (f *FS) SyncDir(path string) error {
	if err := f.fail("sync directory", path); err != nil {
		return err
	}
	return f.FS.SyncDir(path)
}

// Lock locks a directory, or fails.
func (f *FS) Lock(path string) (io.Closer, error) {
	if err := f.fail("lock", path); err != nil {
		return nil, err
	}
	held, err := f.FS.Lock(path)
	if err != nil {
		return nil, err
	}
	return &lock{held, f}, nil
}

type lock struct {
	io.Closer
	f *FS
}

// Close releases the lock even if it fails: a killed process holds no lock.
func (l *lock) Close() error { return errors.Join(l.Closer.Close(), l.f.fail("unlock", "")) }

// file is an open file whose operations go wrong too.
type file struct {
	vfs.File
	f *FS
}

// Sync and Close do their work even if they fail, so that a test finds no file
// left open.

func (w *file) Sync() error  { return errors.Join(w.f.fail("sync", ""), w.File.Sync()) }
func (w *file) Close() error { return errors.Join(w.File.Close(), w.f.fail("close", "")) }

func (w *file) ReadAt(b []byte, off int64) (int, error) {
	if len(b) == 0 || !w.f.trip("read", true) {
		return w.File.ReadAt(b, off)
	}
	fault := w.f.Fault
	switch {
	case fault.Harmless && fault.Err != nil:
		n, err := w.File.ReadAt(b, off)
		return n, errors.Join(err, fault.Err)
	case fault.Short:
		n, _ := w.File.ReadAt(b[:len(b)/2], off)
		return n, fault.Err
	}
	return 0, fault.Err
}

func (w *file) WriteAt(b []byte, off int64) (int, error) {
	if len(b) == 0 || !w.f.trip("write", false) {
		return w.File.WriteAt(b, off)
	}
	if w.f.Fault.Short {
		n, _ := w.File.WriteAt(b[:len(b)/2], off)
		return n, w.f.Fault.Err
	}
	return 0, w.f.Fault.Err
}
