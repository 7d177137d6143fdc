package vfs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// largeFile opens files of 2 GiB and more on 32-bit systems. os.Root does not
// set it there.
const largeFile = unix.O_LARGEFILE

// reserve sets the length of the file and reserves its blocks, so that a full
// disk shows before the work instead of in the middle of it. If the file system
// cannot reserve blocks, reserve sets the length only.
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

// prefetchPiece is the number of bytes that are advised at once: the system
// takes no more of one call than it reads ahead by itself.
const prefetchPiece = 128 << 10

// Prefetch drops the errors of the system: the advice affects speed only.
func (f osFile) Prefetch(off, n int64) {
	for end := off + n; off < end; off += prefetchPiece {
		_ = unix.Fadvise(int(f.Fd()), off, min(prefetchPiece, end-off), unix.FADV_WILLNEED)
	}
}

// StartSync ignores errors of the system, because Sync returns them.
func (f osFile) StartSync(off, n int64) {
	if n > 0 { // the system takes 0 for the whole file
		_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
	}
}

// Release waits until the range is written, because the system drops written
// pages only.
func (f osFile) Release(off, n int64) {
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	if n > 0 && unix.SyncFileRange(int(f.Fd()), off, n, all) == nil {
		_ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_DONTNEED)
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

// lockHolder returns the process that holds the lock of an open directory, 0 if
// the system does not state it. /proc/locks has a line for each lock with its
// kind, the process, and the device and inode: "1: FLOCK ADVISORY WRITE 42
// fe:00:123 0 EOF".
func lockHolder(d *os.File) int {
	var stat unix.Stat_t
	locks, err := os.ReadFile("/proc/locks")
	if err != nil || unix.Fstat(int(d.Fd()), &stat) != nil {
		return 0
	}
	suffix := fmt.Sprintf(":%d", stat.Ino)
	for line := range strings.Lines(string(locks)) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] != "FLOCK" || !strings.HasSuffix(fields[5], suffix) {
			continue
		}
		if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
