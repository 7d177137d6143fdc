package vfs

import "context"

type contextKey struct{}

// NewContext returns a context whose jobs use another file system than the
// machine's own. Tests use it to inject faults: a file system in the context
// reaches every package that a job passes through, and no public option has to
// name a type of this package.
func NewContext(ctx context.Context, fsys FS) context.Context {
	return context.WithValue(ctx, contextKey{}, fsys)
}

// FromContext returns the file system of a context: the one that NewContext put
// there, or OS.
func FromContext(ctx context.Context) FS {
	if fsys, ok := ctx.Value(contextKey{}).(FS); ok {
		return fsys
	}
	return OS
}
