//go:build unix

package vfs

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Mapped is a file system whose files are read through memory maps, where the
// system maps them. Reading a file that shrank while it was mapped is an error:
// the fault is caught.
func Mapped(fsys FS) FS { return mappedFS{fsys} }

type mappedFS struct{ FS }

func (m mappedFS) Open(path string) (File, error) { return mapFile(m.FS.Open(path)) }

func (m mappedFS) OpenIn(dir, name string, follow bool) (File, error) {
	return mapFile(m.FS.OpenIn(dir, name, follow))
}

// mapFile maps an open file. One that cannot be mapped is read as ever: an
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

// ReadAt copies out of the map. A page that is gone, because the file was cut
// or its disk fails, is a fault, which would end the process if it were not
// made a panic of this goroutine.
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
	// Behind the end of a file that was cut, the rest of its last page is zero.
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

var errShrunk = fmt.Errorf("the file is shorter than it was, or cannot be read: %w", io.ErrUnexpectedEOF)

// Close ends the map, too: ReadAt must not be under way.
func (m *mappedFile) Close() error {
	data := m.data
	m.data = nil
	if data == nil {
		return m.File.Close()
	}
	return errors.Join(unix.Munmap(data), m.File.Close())
}
