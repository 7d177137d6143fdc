package vfs

import (
	"io/fs"

	"github.com/koala-go/sdk/source"
)

// SourceFile presents an open file, such as FS.OpenIn returns it, as a file of
// a Source. It takes advice: it implements source.Prefetcher.
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
