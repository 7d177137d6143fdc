//go:build !linux

package vfs

import (
	"errors"
	"os"
)

func reserve(f *os.File, size int64) error { return f.Truncate(size) }

func (osFS) Exchange(a, b string) error { return errors.ErrUnsupported }
