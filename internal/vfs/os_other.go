//go:build !linux

package vfs

import (
	"errors"
	"os"
)

// largeFile is needed on Linux only.
const largeFile = 0

func reserve(f *os.File, size int64) error { return f.Truncate(size) }

// Prefetch does nothing.
func (osFile) Prefetch(off, n int64) {}

// StartSync does nothing.
func (osFile) StartSync(off, n int64) {}

// Release does nothing.
func (osFile) Release(off, n int64) {}

func (osFS) Exchange(a, b string) error { return errors.ErrUnsupported }
