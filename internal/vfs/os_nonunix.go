//go:build !unix

package vfs

import "io"

// SyncDir does nothing: renames are journalled by the file system.
func (osFS) SyncDir(string) error { return nil }

// Lock does nothing: this system does not tell two runs on one output apart.
func (osFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }
