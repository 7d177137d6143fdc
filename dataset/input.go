package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/koala-go/sdk/internal/parquet"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
)

// Input is a file to read: JSON lines or a JSON array, as it is or compressed
// with gzip or zstd, or Parquet; its content tells which.
type Input struct {
	Name string // for errors
	// Open begins to read. A Parquet file must be an io.ReaderAt with a Size
	// too; what is also an io.Seeker is gone on in at once.
	Open func() (io.ReadCloser, error)
}

// Files are inputs by their paths.
func Files(paths ...string) []Input {
	inputs := make([]Input, len(paths))
	for i, path := range paths {
		inputs[i] = Input{path, func() (io.ReadCloser, error) {
			f, err := vfs.OS.Open(path)
			if err != nil {
				return nil, err
			}
			return &openFile{io.NewSectionReader(f, 0, f.Size()), f}, nil
		}}
	}
	return inputs
}

type openFile struct {
	*io.SectionReader
	io.Closer
}

// Text is an input in memory.
func Text(name, text string) Input {
	return Input{name, func() (io.ReadCloser, error) {
		return memory{strings.NewReader(text)}, nil
	}}
}

type memory struct{ *strings.Reader }

func (memory) Close() error { return nil }

// maxWindow is the largest window of a zstd frame that is read, which is the
// memory that it costs.
const maxWindow = 32 << 20

// opened is an input that is being read, decompressed.
type opened struct {
	*bufio.Reader
	raw        io.Reader
	compressed bool
	table      *parquet.File // what a Parquet file has instead
	close      []func() error
}

func (o *opened) Close() error {
	var err error
	for _, f := range o.close {
		err = errors.Join(err, f())
	}
	return err
}

// open opens an input.
func (in *Input) open() (*opened, error) {
	raw, err := in.Open()
	if err != nil {
		return nil, err
	}
	o := &opened{Reader: bufio.NewReaderSize(raw, 1<<16), raw: raw, close: []func() error{raw.Close}}
	if err := o.decompress(); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// decompress finds out what the input is by its first bytes.
func (o *opened) decompress() (err error) {
	head, _ := o.Peek(4) // a shorter input is none of these
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(o.Reader)
		if err != nil {
			return refusal.Reason(ErrMalformed, "not a gzip file after all: %v", err)
		}
		o.Reader, o.compressed = bufio.NewReaderSize(z, 1<<16), true
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(o.Reader, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		o.Reader, o.compressed = bufio.NewReaderSize(z, 1<<16), true
		o.close = append(o.close, func() error { z.Close(); return nil })
	case string(head) == parquet.Magic:
		o.table, err = openTable(o.raw)
	}
	return err
}

// seek goes to an offset of what the file holds, decompressed: at once in a
// plain file, by reading otherwise.
func (o *opened) seek(offset int64) error {
	if s, ok := o.raw.(io.Seeker); ok && !o.compressed {
		end, err := s.Seek(0, io.SeekEnd)
		if err == nil && offset > end {
			err = io.ErrUnexpectedEOF
		}
		if err == nil {
			_, err = s.Seek(offset, io.SeekStart)
		}
		o.Reset(o.raw)
		return err
	}
	n, err := io.CopyN(io.Discard, o, offset)
	if n < offset && err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
