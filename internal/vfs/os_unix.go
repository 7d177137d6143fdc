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
			err = &busyError{holder(d)}
		}
		d.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	if !stillNames(path, d) { // the other run finished and took it away
		d.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: ErrBusy}
	}
	return d, nil
}

// stillNames says whether a path still names an open directory.
func stillNames(path string, d *os.File) bool {
	is, err := os.Stat(path)
	if err != nil {
		return false
	}
	was, err := d.Stat()
	return err == nil && os.SameFile(is, was)
}
