package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// largeFile opens files of 2 GiB and more on 32-bit systems, where os.Root
// does not ask for them by itself.
const largeFile = unix.O_LARGEFILE

// reserve gives the file its length and blocks, so that a full disk shows
// before the work and not within it. Where the file system cannot reserve,
// only the length is set.
func reserve(f *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return f.Truncate(size)
		}
		return err
	}
}

func (osFS) Exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}
