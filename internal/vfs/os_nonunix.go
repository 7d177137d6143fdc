//go:build !unix

package vfs

import "io"

// SyncDir does nothing: renames are journalled by the file system.
func (osFS) SyncDir(string) error { return nil }

// Lock does nothing: two runs on one output are not told apart here.
func (osFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }
