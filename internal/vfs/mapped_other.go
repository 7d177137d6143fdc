//go:build !unix

package vfs

// Mapped is the file system itself: files are not mapped here.
func Mapped(fsys FS) FS { return fsys }
