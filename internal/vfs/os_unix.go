//go:build unix

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

func (osFS) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (osFS) Lock(path string) (io.Closer, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = &busyError{lockHolder(d)}
		}
		d.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	if !isSameFile(path, d) { // the other run ended and removed the directory
		d.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: ErrBusy}
	}
	return d, nil
}

// isSameFile reports whether a path still names an open directory.
func isSameFile(path string, d *os.File) bool {
	is, err := os.Stat(path)
	if err != nil {
		return false
	}
	was, err := d.Stat()
	return err == nil && os.SameFile(is, was)
}
