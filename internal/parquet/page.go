package parquet

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
)

// maxPage is the greatest size of a page, decompressed. maxWindow is the greatest
// window of a zstd frame. Both are in bytes.
const (
	maxPage   = 128 << 20
	maxWindow = 32 << 20
)

// Kinds of pages.
const (
	pageData       = 0
	pageDictionary = 2
	pageDataV2     = 3
)

// Encodings.
const (
	encPlain           = 0
	encPlainDictionary = 2
	encRLE             = 3
	encDeltaBinary     = 5
	encDeltaLength     = 6
	encDeltaBytes      = 7
	encRLEDictionary   = 8
)

// Codecs.
const (
	codecNone   = 0
	codecSnappy = 1
	codecGzip   = 2
	codecZstd   = 6
)

var codecNames = []string{"none", "snappy", "gzip", "LZO", "Brotli", "LZ4", "zstd", "LZ4_RAW"}

// header is the PageHeader of a page of any kind. Fields that are absent in the
// file are -1.
type header struct {
	kind               int32
	size, packed       int32 // bytes of the page, decompressed and in the file
	crc                int64
	values, encoding   int32
	levels             int32 // encoding of the levels in a page of version 1
	defBytes, repBytes int32 // size of the levels in a page of version 2
	uncompressed       bool  // set in a page of version 2 that is not compressed
}

// read reads a header.
func (h *header) read(t *thrift) {
	*h = header{kind: -1, size: -1, packed: -1, crc: -1, values: -1, encoding: -1, levels: encRLE, defBytes: -1, repBytes: -1}
	levels := func(byte) {
		if e := t.i32(); e != encRLE {
			h.levels = e
		}
	}
	compressed := func(kind byte) {
		if kind != thriftTrue && kind != thriftFalse {
			t.skip(kind)
			return
		}
		h.uncompressed = kind == thriftFalse
	}
	t.structure(
		t.int32(1, &h.kind),
		t.int32(2, &h.size),
		t.int32(3, &h.packed),
		field{4, thriftI32, func(byte) { h.crc = int64(uint32(t.varint())) }}, // a CRC-32 may look negative
		t.nested(5, // DataPageHeader
			t.int32(1, &h.values),
			t.int32(2, &h.encoding),
			field{3, thriftI32, levels},
			field{4, thriftI32, levels},
		),
		t.nested(7, // DictionaryPageHeader
			t.int32(1, &h.values),
			t.int32(2, &h.encoding),
		),
		t.nested(8, // DataPageHeaderV2
			t.int32(1, &h.values),
			t.int32(4, &h.encoding),
			t.int32(5, &h.defBytes),
			t.int32(6, &h.repBytes),
			field{7, 0, compressed},
		),
	)
}

// pages reads the pages of a chunk.
type pages struct {
	f       *File
	c       chunk
	at      int64  // file offset of the next page
	window  []byte // buffer for the header
	packed  []byte // the page as in the file
	data    []byte // the rest of the decompressed page
	current header // of the page
	*unpacker
}

// unpacker decompresses pages. All columns share it, and so one zstd decoder.
type unpacker struct{ zstd *zstd.Decoder }

// maxHeader is the greatest size of the header of a page in bytes. A header may
// contain the smallest and the largest value of the page.
const maxHeader = 1 << 20

// next reads the next page. It returns io.EOF after the last page.
func (p *pages) next() error {
	end := p.c.start + p.c.size
	if p.at >= end {
		return io.EOF
	}
	size, err := p.header(end)
	if err != nil {
		return err
	}
	h := &p.current
	if p.at += size; int64(h.packed) > end-p.at {
		return refusal.Reason(io.ErrUnexpectedEOF, "a page of %d bytes is announced, but only %d are left", h.packed, end-p.at)
	}
	p.packed = resize(p.packed, int(h.packed))
	if err := bounded.ReadFull(p.f.r, p.packed, p.at); err != nil {
		return err
	}
	p.at += int64(h.packed)
	if h.crc >= 0 && crc32.ChecksumIEEE(p.packed) != uint32(h.crc) {
		return refusal.Reason(refusal.ErrMalformed, "a page has the wrong checksum")
	}
	return p.unpack()
}

// header reads the header of the next page and returns its size. The size is not
// known in advance, so header tries larger and larger windows.
func (p *pages) header(end int64) (int64, error) {
	for size := min(4<<10, end-p.at); ; size = min(8*size, end-p.at) {
		p.window = resize(p.window, int(size))
		if err := bounded.ReadFull(p.f.r, p.window, p.at); err != nil {
			return 0, err
		}
		t := &thrift{data: p.window}
		p.current.read(t)
		if t.err != nil && size < end-p.at && size < maxHeader {
			continue // the header may be longer than the window
		}
		h := &p.current
		if t.err == nil && (h.kind < 0 || h.size < 0 || h.packed < 0 || h.size > maxPage) {
			t.malformed("a page has kind %d and %d bytes: at most %d bytes are allowed", h.kind, h.size, maxPage)
		}
		return size - int64(len(t.data)), t.err
	}
}

// resize returns a buffer of n bytes. It reuses b if possible.
func resize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// unpack decompresses the page. The levels of a page of version 2 are never
// compressed.
func (p *pages) unpack() error {
	h := &p.current
	// Do not trust the header: its sizes must be consistent before they are
	// used as indices.
	levels := 0
	if h.kind == pageDataV2 {
		if h.defBytes < 0 || h.repBytes < 0 || h.defBytes > h.packed || h.repBytes > h.packed-h.defBytes || h.packed > h.size && h.uncompressed {
			return refusal.Reason(refusal.ErrMalformed, "the levels of %d and %d bytes exceed the page of %d bytes", h.defBytes, h.repBytes, h.packed)
		}
		levels = int(h.defBytes + h.repBytes)
	}
	codec := p.c.codec
	if h.uncompressed || len(p.packed) == levels {
		codec = codecNone
	}
	data, err := p.decompress(codec, append(p.data[:0], p.packed[:levels]...), p.packed[levels:], int(h.size))
	if p.data = data; err == nil && len(data) != int(h.size) {
		err = refusal.Reason(refusal.ErrMalformed, "a page has %d bytes, but %d were announced", len(data), h.size)
	}
	return err
}

// decompress appends the decompressed src to dst. The result must have size
// bytes. Memory grows with the actual output, not with the announced size.
func (p *unpacker) decompress(codec int32, dst, src []byte, size int) ([]byte, error) {
	switch codec {
	case codecNone:
		return append(dst, src...), nil
	case codecSnappy:
		return unsnap(dst, src, size)
	case codecGzip:
		z, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return dst, damaged(err)
		}
		return inflate(dst, z, size)
	case codecZstd:
		return p.unzstd(dst, src, size)
	}
	name := "unknown"
	if int(codec) < len(codecNames) {
		name = codecNames[codec]
	}
	return dst, refusal.Reason(refusal.ErrUnsupported, "the codec %s is not supported: write the file with snappy, gzip or zstd", name)
}

func damaged(err error) error {
	return refusal.Reason(refusal.ErrMalformed, "the compressed data is damaged: %v", err)
}

// unsnap decompresses snappy. Three bytes of snappy give at most 64 bytes, which
// bounds the allocation.
func unsnap(dst, src []byte, size int) ([]byte, error) {
	n, err := snappy.DecodedLen(src)
	if err == nil && (n != size-len(dst) || n > 24*len(src)) {
		return dst, refusal.Reason(refusal.ErrMalformed, "%d bytes of snappy data announce %d bytes, want %d", len(src), n, size-len(dst))
	}
	if err != nil {
		return dst, damaged(err)
	}
	start := len(dst)
	if cap(dst) < start+n {
		dst = append(make([]byte, 0, start+n), dst...)
	}
	if _, err := snappy.Decode(dst[start:start+n:start+n], src); err != nil {
		return dst, damaged(err)
	}
	return dst[:start+n], nil
}

func (p *unpacker) unzstd(dst, src []byte, size int) (_ []byte, err error) {
	if p.zstd == nil {
		if p.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err != nil {
			return dst, err
		}
	}
	if err := p.zstd.Reset(bytes.NewReader(src)); err != nil {
		return dst, damaged(err)
	}
	return inflate(dst, p.zstd, size)
}

// inflate appends the contents of r to dst, up to one byte more than size.
func inflate(dst []byte, r io.Reader, size int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case err == io.EOF, len(dst) > size:
			return dst, nil
		case err != nil:
			return dst, damaged(err)
		}
	}
}

// close frees the decoder.
func (p *unpacker) close() {
	if p.zstd != nil {
		p.zstd.Close()
	}
}

// section removes n bytes from the front of the page's data and returns them.
func (p *pages) section(n uint64) ([]byte, error) {
	if n > uint64(len(p.data)) {
		return nil, refusal.Reason(io.ErrUnexpectedEOF, "%d bytes are announced, but only %d are left in the page", n, len(p.data))
	}
	b := p.data[:n:n]
	p.data = p.data[n:]
	return b, nil
}

// levels removes the repetition and the definition levels from the front of a
// data page. In version 1 each has its length in front, unless all levels are
// zero. In version 2 the lengths are in the header.
func (p *pages) levels(leaf *node) (rep, def levels, err error) {
	h := &p.current
	if h.levels != encRLE {
		return rep, def, refusal.Reason(refusal.ErrUnsupported, "unsupported encoding %d of levels", h.levels)
	}
	list := []struct {
		out     *levels
		highest int
		bytes   int32
	}{{&rep, leaf.maxRep, h.repBytes}, {&def, leaf.maxDef, h.defBytes}}
	for _, l := range list {
		n := uint64(max(0, l.bytes))
		if h.kind == pageData {
			if n = 0; l.highest > 0 {
				head, err := p.section(4)
				if err != nil {
					return rep, def, err
				}
				n = uint64(binary.LittleEndian.Uint32(head))
			}
		}
		data, err := p.section(n)
		if err != nil {
			return rep, def, err
		}
		*l.out = newLevels(data, l.highest)
	}
	return rep, def, nil
}
