package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/koala-go/sdk/internal/refusal"
)

// maxWindow is the largest window of a zstd frame that is read: 128 MiB, as
// zstd itself reads without --long. It bounds the memory that a hostile file can
// make the decoder use.
const maxWindow = 128 << 20

const (
	gzipMagic = "\x1f\x8b"
	zstdMagic = "\x28\xb5\x2f\xfd"
	// skippableMagic follows a byte from 0x50 to 0x5f at the beginning of a
	// skippable frame of zstd (RFC 8878, section 3.1.2). pzstd writes one first.
	skippableMagic = "\x2a\x4d\x18"
)

// isZstd reports whether the first bytes of a file begin a zstd frame.
func isZstd(head []byte) bool {
	return bytes.HasPrefix(head, []byte(zstdMagic)) ||
		len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == skippableMagic
}

// unread are formats that are not read, by their first bytes.
var unread = []struct{ magic, name, advice string }{
	{"BZh", "a bzip2 file", "decompress it with bunzip2"},
	{"\xfd7zXZ\x00", "an xz file", "decompress it with unxz"},
	{"PK\x03\x04", "a ZIP archive", "extract its files with unzip"},
	{"\x04\x22\x4d\x18", "an lz4 file", "decompress it with unlz4"},
	{"\xff\xfe", "text in UTF-16", "convert it with iconv -f UTF-16 -t UTF-8"},
	{"\xfe\xff", "text in UTF-16", "convert it with iconv -f UTF-16 -t UTF-8"},
	{"SQLite format 3\x00", "an SQLite database", "export its table as JSON lines"},
}

// checkRead returns an error that names the format of a file if the file is of
// one that is not read.
func checkRead(head []byte) error {
	for _, f := range unread {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return advised{refusal.Reason(ErrUnsupported, "the file is %s", f.name), f.advice}
		}
	}
	return nil
}

// advised is an error with advice of its own.
type advised struct {
	error
	advice string
}

func (a advised) Unwrap() error { return a.error }

// newGzip returns a reader of the members of a gzip file.
func newGzip(r *bufio.Reader) (io.Reader, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, refusal.Reason(ErrMalformed, "the gzip header is damaged: %v", err)
	}
	z.Multistream(false)
	return &members{r: r, z: z}, nil
}

// members reads the members of a gzip file one after the other. Zero bytes may
// pad the end, as gzip itself reads it.
type members struct {
	r *bufio.Reader
	z *gzip.Reader
}

// Read reads decompressed data.
func (m *members) Read(p []byte) (int, error) {
	for {
		n, err := m.z.Read(p)
		if err != io.EOF {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if err := m.next(); err != nil {
			return 0, err
		}
	}
}

// next begins the next member, or returns io.EOF if only zero bytes follow.
func (m *members) next() error {
	for {
		head, err := m.r.Peek(len(gzipMagic))
		switch {
		case len(head) == 0:
			return err
		case string(head) == gzipMagic:
			err := m.z.Reset(m.r)
			m.z.Multistream(false)
			return err
		case head[0] != 0:
			return advised{refusal.Reason(ErrMalformed, "bytes that are not gzip follow the compressed data, from %q on", head),
				"cut off what follows the compressed data, or fetch the file again"}
		}
		if _, err := m.r.Discard(1); err != nil {
			return err
		}
	}
}

// newZstd returns a decoder of a zstd file.
func newZstd(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
}

// windowError returns the error for a frame whose window is too large, or nil
// for another error.
func windowError(err error) error {
	if !errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return nil
	}
	return advised{refusal.Reason(ErrUnsupported, "the zstd file needs more than %d MiB of memory to read", maxWindow>>20),
		"decompress it with zstd -d --long=31, or compress it again without --long"}
}
