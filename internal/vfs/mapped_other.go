//go:build !unix

package vfs

// Mapped returns the file system itself: this system does not map files.
func Mapped(fsys FS) FS { return fsys }
