package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/internal/wire"
)

// Input is a file to read: JSON lines or a JSON array, as it is or compressed
// with gzip or zstd, which its content tells.
type Input struct {
	Name string // for errors
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
		return io.NopCloser(bytes.NewReader([]byte(text))), nil
	}}
}

// maxWindow is the largest window of a zstd frame that is read, which is the
// memory that it costs.
const maxWindow = 32 << 20

// opened is an input that is being read, decompressed.
type opened struct {
	*bufio.Reader
	close []func() error
}

func (o *opened) Close() error {
	var err error
	for _, f := range o.close {
		err = errors.Join(err, f())
	}
	return err
}

// open opens an input at an offset of what it holds, decompressed.
func (in *Input) open(offset int64) (*opened, error) {
	raw, err := in.Open()
	if err != nil {
		return nil, err
	}
	o := &opened{bufio.NewReaderSize(raw, 1<<16), []func() error{raw.Close}}
	compressed, err := o.decompress()
	if err == nil && offset > 0 {
		err = o.seek(raw, offset, compressed)
	}
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// decompress finds out what the input is by its first bytes.
func (o *opened) decompress() (compressed bool, err error) {
	head, _ := o.Peek(4) // a shorter input is none of these
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(o.Reader)
		if err != nil {
			return true, wire.Reason(ErrMalformed, "not a gzip file after all: %v", err)
		}
		o.Reader = bufio.NewReaderSize(z, 1<<16)
		return true, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(o.Reader, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return true, err
		}
		o.Reader = bufio.NewReaderSize(z, 1<<16)
		o.close = append(o.close, func() error { z.Close(); return nil })
		return true, nil
	case string(head) == "PAR1":
		return false, wire.Reason(ErrUnsupported, "Parquet is not read")
	}
	return false, nil
}

// seek goes to an offset: at once in a plain file, by reading otherwise.
func (o *opened) seek(raw io.Reader, offset int64, compressed bool) error {
	if s, ok := raw.(io.Seeker); ok && !compressed {
		end, err := s.Seek(0, io.SeekEnd)
		if err == nil && offset > end {
			err = io.ErrUnexpectedEOF
		}
		if err == nil {
			_, err = s.Seek(offset, io.SeekStart)
		}
		o.Reset(raw)
		return err
	}
	n, err := io.CopyN(io.Discard, o, offset)
	if n < offset && err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
