//go:build !linux

package vfs

import (
	"errors"
	"os"
)

// largeFile is needed on Linux only.
const largeFile = 0

func reserve(f *os.File, size int64) error { return f.Truncate(size) }

// WillRead is advice that only Linux is given.
func WillRead(File, int64, int64) {}

func (osFS) Exchange(a, b string) error { return errors.ErrUnsupported }
