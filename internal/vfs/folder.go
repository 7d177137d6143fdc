package vfs

import (
	"errors"
	"path/filepath"
	"strings"
)

// partialEnd ends the names of hidden files and directories that hold an
// unfinished output.
const partialEnd = ".koala-partial"

// Folder adds files to a directory one by one. Each file appears whole or not
// at all, also after a crash. A Folder takes no lock: its user holds a lock on
// the directory, or each of the runs that share the directory has a tag of its
// own. For a single file, and for a directory that appears as a whole, use
// WriteFile and Stage.
type Folder struct {
	fs   FS
	path string
	tag  string
}

// NewFolder returns the Folder of a directory. The tag becomes a part of the
// names of hidden files; runs with different tags never write to the same one.
func NewFolder(fsys FS, path, tag string) *Folder { return &Folder{fsys, path, tag} }

// WriteFile makes or replaces a file. The content is durable when WriteFile
// returns, the name after the next call of Sync.
func (d *Folder) WriteFile(name string, data []byte) error {
	hidden := filepath.Join(d.path, "."+name+d.tag+partialEnd)
	if err := d.fs.RemoveAll(hidden); err != nil {
		return err
	}
	f, err := d.fs.Create(hidden, int64(len(data)))
	if err != nil {
		return err
	}
	err = WriteFull(f, data, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.fs.Rename(hidden, filepath.Join(d.path, name))
	}
	if err != nil {
		return errors.Join(err, d.fs.RemoveAll(hidden))
	}
	return nil
}

// Sync makes the names of the files durable.
func (d *Folder) Sync() error { return d.fs.SyncDir(d.path) }

// IsPartial reports whether a name is that of a hidden file which a Folder with
// the same tag makes. With an empty tag that is each hidden name of this
// package.
func (d *Folder) IsPartial(name string) bool { return strings.HasSuffix(name, d.tag+partialEnd) }

// RemovePartial removes the hidden files that a killed run with the same tag
// left.
func (d *Folder) RemovePartial() error { return RemoveMatching(d.fs, d.path, d.IsPartial) }

// RemoveMatching removes the entries of a directory whose names match.
func RemoveMatching(fsys FS, dir string, match func(name string) bool) error {
	entries, err := fsys.ReadDir(dir)
	for _, e := range entries {
		if match(e.Name()) {
			err = errors.Join(err, fsys.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
