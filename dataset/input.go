package dataset

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/source"
)

// Input is a file to read: JSON lines, a JSON array or Parquet. JSON may be
// compressed with gzip or zstd. The content decides which of them it is, not the
// name.
type Input struct {
	// Name is the name of the input in positions, errors and fingerprints.
	Name string
	// Open begins to read from the beginning. If the result has the methods
	// ReadAt and Size of a source.ReaderAtSizer too, then Parquet can be read
	// and the input can be divided into units. If it is an io.Seeker, reading
	// can begin in the middle without reading what comes before.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Files returns the inputs of local files.
func Files(paths ...string) []Input {
	inputs := make([]Input, len(paths))
	for i, path := range paths {
		inputs[i] = Input{path, func(ctx context.Context) (io.ReadCloser, error) {
			f, err := vfs.FromContext(ctx).Open(path)
			if err != nil {
				return nil, err
			}
			return &openFile{io.NewSectionReader(f, 0, f.Size()), f}, nil
		}}
	}
	return inputs
}

// SourceFiles returns the inputs of files that are read through a
// source.Source.
func SourceFiles(src source.Source, names ...string) []Input {
	inputs := make([]Input, len(names))
	for i, name := range names {
		inputs[i] = Input{name, func(ctx context.Context) (io.ReadCloser, error) {
			f, err := src.Open(ctx, name)
			if err != nil {
				return nil, err
			}
			info, err := f.Stat()
			if err != nil {
				_ = f.Close() // the other error says more
				return nil, err
			}
			return &openFile{io.NewSectionReader(f, 0, info.Size), f}, nil
		}}
	}
	return inputs
}

// openFile is an open file of known size.
type openFile struct {
	*io.SectionReader
	io.Closer
}

// FromReaderAt returns the input of the first size bytes of r.
func FromReaderAt(name string, r io.ReaderAt, size int64) Input {
	return Input{name, func(context.Context) (io.ReadCloser, error) {
		return &openFile{io.NewSectionReader(r, 0, size), io.NopCloser(nil)}, nil
	}}
}

// FromReader returns the input of a stream, which can be read once: a second
// epoch finds nothing more. A stream cannot be Parquet.
func FromReader(name string, r io.Reader) Input {
	return Input{name, func(context.Context) (io.ReadCloser, error) { return io.NopCloser(r), nil }}
}

// Text returns the input of a text.
func Text(name, text string) Input {
	return FromReaderAt(name, strings.NewReader(text), int64(len(text)))
}

// openSized opens an input in which any place can be read.
func (in *Input) openSized(ctx context.Context) (source.ReaderAtSizer, io.Closer, error) {
	f, err := in.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	r, ok := f.(source.ReaderAtSizer)
	if !ok {
		_ = f.Close() // nothing was read
		return nil, nil, fmt.Errorf("a stream cannot be divided or compared: %s: save it to a file", in.Name)
	}
	return r, f, nil
}
