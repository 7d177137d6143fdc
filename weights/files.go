package weights

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/source"
)

// FileInfo describes a file of a checkpoint as it was when it was opened.
type FileInfo struct {
	Path string // the path that the file was opened by
	source.Info

	// Data reads the file. It is valid until the checkpoint is closed. It
	// implements source.Prefetcher if the file takes advice.
	Data io.ReaderAt
}

// openFile is an open file with its description at the time of opening.
type openFile struct {
	source.File
	path string
	info source.Info
}

// newOpenFile describes a file that was just opened.
func newOpenFile(f source.File, path string) (*openFile, error) {
	info, err := f.Stat()
	if err == nil && info.Size < 0 { // such as the length of an HTTP reply that states none
		err = fmt.Errorf("the size of the file is unknown: %s: give a source that knows the sizes of its files", path)
	}
	return &openFile{f, path, info}, err
}

// prefetch advises the file that a range is about to be read.
func (f *openFile) prefetch(off, n int64) {
	if advised, ok := f.File.(source.Prefetcher); ok {
		advised.Prefetch(off, n)
	}
}

// release advises the file that a range will not be read again soon.
func (f *openFile) release(off, n int64) {
	if advised, ok := f.File.(source.Prefetcher); ok {
		advised.Release(off, n)
	}
}

// Files returns the files that hold the tensors.
func (c *Checkpoint) Files() []FileInfo {
	list := make([]FileInfo, len(c.files))
	for i, f := range c.files {
		list[i] = FileInfo{f.path, f.info, f.File}
	}
	return list
}

// Unchanged returns nil if no file was written to since it was opened. It
// compares size, modification time and ID.
func (c *Checkpoint) Unchanged() error {
	for _, f := range c.files {
		now, err := f.Stat()
		if err != nil {
			return err
		}
		if !now.Same(f.info) {
			return fmt.Errorf("the file was changed while it was read: %s: let nothing write to it, and run again", f.path)
		}
	}
	return nil
}

// storage is the place that the files of a checkpoint are read from.
type storage interface {
	// stat describes the file or directory of a path that the caller gave.
	stat(path string) (source.Info, error)
	// open opens the file of a path that the caller gave.
	open(path string) (source.File, error)
	// list returns the names of a directory's entries, sorted.
	list(dir string) ([]string, error)
	// openIn opens the file that an untrusted text names in a directory.
	openIn(dir, name string) (source.File, error)
	// dir returns the directory of a path, and join the path of a name in it.
	dir(path string) string
	join(dir, name string) string
}

// localFiles is the storage of a file system.
type localFiles struct {
	fs          vfs.FS
	followLinks bool
}

func (l *localFiles) stat(path string) (source.Info, error) {
	info, err := l.fs.Stat(path)
	if err != nil {
		return source.Info{}, err
	}
	return source.FromFileInfo(info), nil
}

func (l *localFiles) open(path string) (source.File, error) { return vfs.SourceFile(l.fs.Open(path)) }

func (l *localFiles) list(dir string) ([]string, error) {
	entries, err := l.fs.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// openIn opens a name that cannot leave its directory: vfs refuses paths, and
// links that lead out of it.
func (l *localFiles) openIn(dir, name string) (source.File, error) {
	f, err := vfs.SourceFile(l.fs.OpenIn(dir, name, l.followLinks))
	if errors.Is(err, ErrLink) {
		return nil, &linkError{err}
	}
	return f, err
}

func (*localFiles) dir(path string) string       { return filepath.Dir(path) }
func (*localFiles) join(dir, name string) string { return filepath.Join(dir, name) }

// linkError adds to the refusal of a link what to do about it.
type linkError struct{ err error }

func (e *linkError) Error() string {
	return e.err.Error() + ": put the file itself there, or allow links, as FollowLinks in the options or --follow-links on the command line"
}
func (e *linkError) Unwrap() error { return e.err }

// sourceFiles is the storage of a Source.
type sourceFiles struct {
	// ctx is the context of Open. It is kept because it governs the reads of
	// files that are opened later, too: those of Checkpoint.File.
	ctx    context.Context
	source source.Source
}

func (s *sourceFiles) stat(name string) (source.Info, error) { return s.source.Stat(s.ctx, name) }
func (s *sourceFiles) open(name string) (source.File, error) { return s.source.Open(s.ctx, name) }

func (s *sourceFiles) list(dir string) ([]string, error) {
	entries, err := s.source.List(s.ctx, dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return names, err
}

// openIn opens a plain name only, so that an index cannot point to another
// place of the Source.
func (s *sourceFiles) openIn(dir, name string) (source.File, error) {
	if err := vfs.CheckName(name); err != nil {
		return nil, err
	}
	return s.open(s.join(dir, name))
}

// dir returns the name up to the last slash. It is not cleaned as a path would
// be: a Source may read a name as a URL.
func (*sourceFiles) dir(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}

func (*sourceFiles) join(dir, name string) string {
	if dir == "." {
		return name
	}
	return strings.TrimSuffix(dir, "/") + "/" + name
}

// readerFile is the file of NewReader.
type readerFile struct {
	io.ReaderAt
	info source.Info
}

func (f readerFile) Stat() (source.Info, error) { return f.info, nil }

// Close does nothing: the caller's reader stays the caller's.
func (readerFile) Close() error { return nil }

// Prefetch passes the advice on to a reader that takes it.
func (f readerFile) Prefetch(off, n int64) {
	if advised, ok := f.ReaderAt.(source.Prefetcher); ok {
		advised.Prefetch(off, n)
	}
}

// Release passes the advice on to a reader that takes it.
func (f readerFile) Release(off, n int64) {
	if advised, ok := f.ReaderAt.(source.Prefetcher); ok {
		advised.Release(off, n)
	}
}

// checkShardNames refuses names that are more than names, and names that some
// file systems hold for one.
func checkShardNames(names []string) error {
	folded := make(map[string]string)
	for _, name := range names {
		if err := vfs.CheckName(name); err != nil {
			return refusal.Malformed(0, "", "shard %v", err)
		}
		twin, dup := folded[strings.ToLower(name)]
		if dup {
			return refusal.Malformed(0, "", "shards %q and %q differ in letter case only", twin, name)
		}
		folded[strings.ToLower(name)] = name
	}
	return nil
}
