package vfs

import (
	"context"
	"io/fs"

	"github.com/koala-go/sdk/source"
)

// Source returns a file system as a read-only Source. Its files take advice:
// they implement source.Prefetcher.
func Source(fsys FS) source.Source { return fsSource{fsys} }

type fsSource struct{ fs FS }

func (s fsSource) Stat(_ context.Context, name string) (source.Info, error) {
	return describe(s.fs.Stat(name))
}

func (s fsSource) List(_ context.Context, dir string) ([]source.Info, error) {
	entries, err := s.fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	list := make([]source.Info, len(entries))
	for i, e := range entries {
		if list[i], err = describe(e.Info()); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s fsSource) Open(_ context.Context, name string) (source.File, error) {
	return SourceFile(s.fs.Open(name))
}

// SourceFile presents an open file, such as FS.OpenIn returns it, as a file of
// a Source.
func SourceFile(f File, err error) (source.File, error) {
	if err != nil {
		return nil, err
	}
	return sourceFile{f}, nil
}

type sourceFile struct{ File }

func (f sourceFile) Stat() (source.Info, error) { return describe(f.File.Stat()) }

func describe(info fs.FileInfo, err error) (source.Info, error) {
	if err != nil {
		return source.Info{}, err
	}
	return source.FromFileInfo(info), nil
}
