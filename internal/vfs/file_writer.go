package vfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
)

// stagedName is the name of a FileWriter's file in its Stage.
const stagedName = "file"

// FileWriter writes a file of unknown length from its beginning to its end. The
// file is hidden until Publish renames it to its path.
type FileWriter struct {
	io.Writer
	stage   *Stage
	replace bool
}

// CreateFile begins a file. It returns fs.ErrExist if path exists and replace
// is false, and ErrBusy if another run is writing the same path. Call Publish or
// Discard at the end.
func CreateFile(ctx context.Context, path string, replace bool) (*FileWriter, error) {
	fsys := FromContext(ctx)
	if _, err := fsys.Stat(path); err == nil && !replace {
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	stage, err := NewStage(fsys, path)
	if err != nil {
		return nil, err
	}
	f, err := stage.Create(stagedName, 0)
	if err != nil {
		return nil, errors.Join(err, stage.Discard())
	}
	return &FileWriter{fullWriter{io.NewOffsetWriter(f, 0)}, stage, replace}, nil
}

// Publish makes the file durable and visible.
func (w *FileWriter) Publish() error { return w.stage.Publish(stagedName, w.replace) }

// Discard removes what was written. The content of path is unchanged. After
// Publish, Discard does nothing.
func (w *FileWriter) Discard() error { return w.stage.Discard() }

// fullWriter makes a short write without an error an error.
type fullWriter struct{ w io.Writer }

func (f fullWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
