//go:build !linux

package vfs

import (
	"errors"
	"os"
)

// largeFile is needed on Linux only.
const largeFile = 0

func reserve(f *os.File, size int64) error { return f.Truncate(size) }

func (osFS) Exchange(a, b string) error { return errors.ErrUnsupported }
