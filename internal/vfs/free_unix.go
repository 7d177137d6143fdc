//go:build linux || darwin || freebsd

package vfs

import (
	"math"

	"golang.org/x/sys/unix"
)

func (osFS) Free(path string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, err
	}
	blocks, size := max(int64(s.Bavail), 0), int64(s.Bsize)
	if size > 0 && blocks > math.MaxInt64/size {
		return math.MaxInt64, nil
	}
	return blocks * size, nil
}
