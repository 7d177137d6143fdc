//go:build unix

package vfs

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Mapped returns a file system that reads its files through memory maps where
// the system can map them. Reading a file that shrank while it was mapped is an
// error: Mapped catches the fault of the missing page.
func Mapped(fsys FS) FS { return mappedFS{fsys} }

type mappedFS struct{ FS }

func (m mappedFS) Open(path string) (File, error) { return mapFile(m.FS.Open(path)) }

func (m mappedFS) OpenIn(dir, name string, follow bool) (File, error) {
	return mapFile(m.FS.OpenIn(dir, name, follow))
}

// mapFile maps an open file. A file that cannot be mapped is read as usual: an
// empty one, and one that is larger than the address space.
func mapFile(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	descriptor, ok := f.(interface{ Fd() uintptr })
	if !ok || f.Size() == 0 || f.Size() != int64(int(f.Size())) {
		return f, nil
	}
	data, err := unix.Mmap(int(descriptor.Fd()), 0, int(f.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return f, nil
	}
	return &mappedFile{f, data}, nil
}

type mappedFile struct {
	File
	data []byte
}

// ReadAt copies out of the map. If a page is gone, because the file was cut or
// its disk fails, the access faults. The fault would end the process;
// SetPanicOnFault makes it a panic of this goroutine, which ReadAt returns as
// an error.
func (m *mappedFile) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off >= int64(len(m.data)) {
		return 0, io.EOF
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		if _, ok := fault.(interface{ Addr() uintptr }); !ok {
			panic(fault)
		}
		n, err = 0, errShrunk
	}()
	n = copy(p, m.data[off:])
	// The rest of the last page of a file that was cut reads as zeros, without
	// a fault.
	info, err := m.File.Stat()
	switch {
	case err != nil:
		return 0, err
	case info.Size() < int64(len(m.data)):
		return 0, errShrunk
	case n < len(p):
		return n, io.EOF
	}
	return n, nil
}

var errShrunk = fmt.Errorf("the file shrank after it was opened, or its disk fails: %w", io.ErrUnexpectedEOF)

// Close unmaps and closes the file. No ReadAt may be under way.
func (m *mappedFile) Close() error {
	data := m.data
	m.data = nil
	if data == nil {
		return m.File.Close()
	}
	return errors.Join(unix.Munmap(data), m.File.Close())
}
