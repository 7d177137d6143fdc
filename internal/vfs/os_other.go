//go:build !linux

package vfs

import (
	"errors"
	"os"
)

// largeFile is needed on Linux only.
const largeFile = 0

func reserve(f *os.File, size int64) error { return f.Truncate(size) }

// Expect does nothing.
func (osFile) Expect(off, n int64) {}

// StartSync does nothing.
func (osFile) StartSync(off, n int64) {}

// Forget does nothing.
func (osFile) Forget(off, n int64) {}

func (osFS) Exchange(a, b string) error { return errors.ErrUnsupported }
