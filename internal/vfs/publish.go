package vfs

import (
	"context"
	"errors"
	"io"
)

// WriteFile writes a file in one step: it calls write with the content of a
// hidden file, makes that file durable, and renames it to path. If write or any
// later step fails, path is unchanged. WriteFile returns fs.ErrExist if path
// exists and replace is false, and ErrBusy if another run is writing the same
// path.
func WriteFile(ctx context.Context, path string, replace bool, write func(io.Writer) error) error {
	const name = "file"
	stage, err := NewStage(FromContext(ctx), path)
	if err != nil {
		return err
	}
	f, err := stage.Create(name, 0)
	if err == nil {
		err = write(fullWriter{io.NewOffsetWriter(f, 0)})
	}
	if err != nil {
		return errors.Join(err, stage.Discard())
	}
	return stage.Publish(name, replace)
}

// fullWriter turns a short write without an error into io.ErrShortWrite.
type fullWriter struct{ w io.Writer }

func (f fullWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
