package vfs

import (
	"context"
	"errors"
	"io"
)

// WriteFile writes a file in one step: it calls write with the content of a
// hidden file, makes that file durable, and renames it to path. If write or any
// later step fails, an existing file at path is unchanged. WriteFile returns
// fs.ErrExist if path exists and replace is false, and ErrBusy if another run
// is writing the same path.
func WriteFile(ctx context.Context, path string, replace bool, write func(io.Writer) error) error {
	f, err := CreateFile(ctx, path, replace)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		return errors.Join(err, f.Discard())
	}
	return f.Publish()
}
