// Package source defines where the module reads its input files from: a local
// folder, memory, an fs.FS, or anything else that can serve ranges of bytes.
//
// The packages weights, tokenizer and dataset read their inputs through a
// Source. Without one they read the local file system. To read a single
// file that is not local, wrap it in a Map:
//
//	src := source.Map{"model.safetensors": bytes.NewReader(data)}
//	c, err := weights.Open(ctx, "model.safetensors", &weights.OpenOptions{Source: src})
//
// A Source is read-only. Names are slash-separated paths as in [io/fs]. A
// Source may give them further meaning.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Source is a read-only set of named files. Several goroutines may call its
// methods at the same time. For a name that does not exist the methods return
// an error that matches fs.ErrNotExist.
type Source interface {
	// Stat describes the file or directory called name.
	Stat(ctx context.Context, name string) (Info, error)

	// List describes the entries of a directory, sorted by name.
	List(ctx context.Context, dir string) ([]Info, error)

	// Open opens a file. The context governs the opening and, for a file that
	// is read over a network, all later reads.
	Open(ctx context.Context, name string) (File, error)
}

// File is an open file of a Source. Several goroutines may call ReadAt at the
// same time.
type File interface {
	io.ReaderAt
	io.Closer

	// Stat describes the file as it is now, so that callers can detect changes
	// since it was opened.
	Stat() (Info, error)
}

// Prefetcher is implemented by files that can use advice about the next reads.
// The advice affects only speed.
type Prefetcher interface {
	Prefetch(off, n int64) // the range is about to be read
	Release(off, n int64)  // the range will not be read again soon
}

// Info describes a file or a directory.
type Info struct {
	Name    string    // the last element of the path
	Size    int64     // in bytes
	IsDir   bool      // whether this is a directory
	ModTime time.Time // zero if the Source does not know it

	// ID identifies the content. It is, for example, an entity tag, or a commit
	// and a digest. It is empty if only size and time are known.
	ID string
}

// Same reports whether two descriptions of a file agree in size, time and ID,
// in which case its content counts as unchanged.
func (a Info) Same(b Info) bool {
	return a.Size == b.Size && a.ModTime.Equal(b.ModTime) && a.ID == b.ID
}

// ReaderAtSizer is a sequence of bytes of known size. *bytes.Reader,
// *strings.Reader and *io.SectionReader implement it.
type ReaderAtSizer interface {
	io.ReaderAt
	Size() int64 // in bytes
}

// Map is a Source that maps names to files in memory, or to any other readers.
// A directory exists if the name of a file begins with its name and a slash.
type Map map[string]ReaderAtSizer

// Stat describes a file or a directory of the map.
func (m Map) Stat(_ context.Context, name string) (Info, error) {
	name = path.Clean(name)
	if r, ok := m[name]; ok {
		return Info{Name: path.Base(name), Size: r.Size()}, nil
	}
	for file := range m {
		if name == "." || strings.HasPrefix(file, name+"/") {
			return Info{Name: path.Base(name), IsDir: true}, nil
		}
	}
	return Info{}, notExist("stat", name)
}

// List describes the entries of a directory of the map.
func (m Map) List(ctx context.Context, dir string) ([]Info, error) {
	if at, err := m.Stat(ctx, dir); err != nil {
		return nil, err
	} else if !at.IsDir {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: errors.New("not a directory")}
	}
	prefix := path.Clean(dir) + "/"
	if prefix == "./" {
		prefix = ""
	}
	var list []Info
	for file, r := range m {
		rest, ok := strings.CutPrefix(file, prefix)
		if !ok {
			continue
		}
		first, _, nested := strings.Cut(rest, "/")
		at := Info{Name: first, IsDir: nested}
		if !nested {
			at.Size = r.Size()
		}
		if !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Open opens a file of the map. Closing it does nothing.
func (m Map) Open(_ context.Context, name string) (File, error) {
	name = path.Clean(name)
	r, ok := m[name]
	if !ok {
		return nil, notExist("open", name)
	}
	return mapFile{r, Info{Name: path.Base(name), Size: r.Size()}}, nil
}

func notExist(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

type mapFile struct {
	io.ReaderAt
	info Info
}

func (f mapFile) Stat() (Info, error) { return f.info, nil }
func (mapFile) Close() error          { return nil }

// FromFS returns a Source that reads a file system such as os.DirFS or
// embed.FS. The file system's files must implement io.ReaderAt.
func FromFS(fsys fs.FS) Source { return fsSource{fsys} }

type fsSource struct{ fsys fs.FS }

func (s fsSource) Stat(_ context.Context, name string) (Info, error) {
	info, err := fs.Stat(s.fsys, path.Clean(name))
	if err != nil {
		return Info{}, err
	}
	return FromFileInfo(info), nil
}

func (s fsSource) List(_ context.Context, dir string) ([]Info, error) {
	entries, err := fs.ReadDir(s.fsys, path.Clean(dir))
	if err != nil {
		return nil, err
	}
	list := make([]Info, len(entries))
	for i, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		list[i] = FromFileInfo(info)
	}
	return list, nil
}

func (s fsSource) Open(_ context.Context, name string) (File, error) {
	f, err := s.fsys.Open(path.Clean(name))
	if err != nil {
		return nil, err
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		err := fmt.Errorf("the file system's files have no ReadAt method: %w", errors.ErrUnsupported)
		return nil, errors.Join(&fs.PathError{Op: "open", Path: name, Err: err}, f.Close())
	}
	return fsFile{r, f}, nil
}

type fsFile struct {
	io.ReaderAt
	file fs.File
}

func (f fsFile) Close() error { return f.file.Close() }

func (f fsFile) Stat() (Info, error) {
	info, err := f.file.Stat()
	if err != nil {
		return Info{}, err
	}
	return FromFileInfo(info), nil
}

// FromFileInfo converts a description of package fs.
func FromFileInfo(info fs.FileInfo) Info {
	return Info{Name: info.Name(), Size: info.Size(), IsDir: info.IsDir(), ModTime: info.ModTime()}
}
