package dataset

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/koala-go/sdk/internal/parquet"
	"github.com/koala-go/sdk/internal/refusal"
)

// openInput is an open input. Reading it decompresses.
type openInput struct {
	*bufio.Reader
	raw        io.Reader
	compressed bool
	table      *parquet.File // set if the input is Parquet; the Reader is not used then
	closers    []func() error
}

func (o *openInput) Close() error {
	var err error
	for _, f := range o.closers {
		err = errors.Join(err, f())
	}
	return err
}

// open opens an input and finds out its format.
func (in *Input) open(ctx context.Context) (*openInput, error) {
	raw, err := in.Open(ctx)
	if err != nil {
		return nil, err
	}
	o := &openInput{Reader: bufio.NewReaderSize(raw, 1<<16), raw: raw, closers: []func() error{raw.Close}}
	if err := o.detect(); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// detect finds out the format by the first bytes.
func (o *openInput) detect() (err error) {
	head, err := o.peek(16) // a shorter input has none of these formats
	switch {
	case err != nil:
		return err
	case bytes.HasPrefix(head, []byte(gzipMagic)):
		z, err := newGzip(o.Reader)
		if err != nil {
			return err
		}
		o.Reader, o.compressed = bufio.NewReaderSize(z, 1<<16), true
	case isZstd(head):
		z, err := newZstd(o.Reader)
		if err != nil {
			return err
		}
		o.Reader, o.compressed = bufio.NewReaderSize(z, 1<<16), true
		o.closers = append(o.closers, func() error { z.Close(); return nil })
	case bytes.HasPrefix(head, []byte(parquet.Magic)):
		o.table, err = openTable(o.raw)
		return err
	}
	return checkRead(head)
}

// peek returns up to n of the next bytes. It returns errors of the raw input,
// which a bufio.Reader forgets after Peek. A decompressor repeats its error when
// it is read again, after the data before the error.
func (o *openInput) peek(n int) ([]byte, error) {
	head, err := o.Peek(n)
	if err == io.EOF || o.compressed {
		err = nil
	}
	return head, err
}

// seek moves to an offset of the decompressed data. It reads what comes before
// only if the input is compressed or cannot seek.
func (o *openInput) seek(offset int64) error {
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

// classifyReadError gives an error of decompression its kind.
func classifyReadError(err error) error {
	var corrupt flate.CorruptInputError
	var known *Error
	switch {
	case errors.As(err, &known):
	case windowError(err) != nil:
		return windowError(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refusal.Reason(io.ErrUnexpectedEOF, "the file ends in the middle")
	case errors.As(err, &corrupt), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader),
		errors.Is(err, zstd.ErrCRCMismatch), errors.Is(err, zstd.ErrMagicMismatch):
		return refusal.Reason(ErrMalformed, "the compressed data is damaged: %v", err)
	}
	return err
}

// isArray reports whether the first bytes of a file begin a JSON array, or an
// object of the two parts, instead of JSON lines.
func isArray(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte(byteOrderMark)), " \t\r\n")
	if len(head) == 0 || head[0] != '{' {
		return len(head) > 0 && head[0] == '['
	}
	head = bytes.TrimLeft(head[1:], " \t\r\n")
	for _, name := range []string{`"train"`, `"eval"`} {
		if rest, ok := bytes.CutPrefix(head, []byte(name)); ok {
			rest = bytes.TrimLeft(rest, " \t\r\n")
			rest, ok = bytes.CutPrefix(rest, []byte{':'})
			return ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte{'['})
		}
	}
	return false
}
