package weights

import (
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/koala-go/sdk/internal/vfs"
)

// FileInfo is a file of a checkpoint, as it was when it was opened.
type FileInfo struct {
	Path    string
	Size    int64
	ModTime time.Time
	Data    io.ReaderAt // valid until the checkpoint is closed
}

// openedFile is a file with what it was when it was opened.
type openedFile struct {
	vfs.File
	path string
	info fs.FileInfo
}

func newOpenedFile(f vfs.File, path string) (openedFile, error) {
	info, err := f.Stat()
	return openedFile{f, path, info}, err
}

// Files lists the files that hold the tensors.
func (c *Checkpoint) Files() []FileInfo {
	list := make([]FileInfo, len(c.files))
	for i, f := range c.files {
		list[i] = FileInfo{f.path, f.info.Size(), f.info.ModTime(), f}
	}
	return list
}

// Unchanged is nil when no file was written to since it was opened, by its
// size and time.
func (c *Checkpoint) Unchanged() error {
	for _, f := range c.files {
		now, err := f.Stat()
		if err != nil {
			return err
		}
		if now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()) {
			return fmt.Errorf("the file was changed while it was read: %s: let nothing write to it, and run again", f.path)
		}
	}
	return nil
}
