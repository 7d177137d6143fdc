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

// maxPage bounds a page, decompressed; maxWindow what a zstd frame needs.
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

// header is a PageHeader, of any kind.
type header struct {
	kind, size, packed int32 // size is that when decompressed
	crc                int64 // -1 when there is none
	values, encoding   int32
	levels             int32 // encoding of the levels of a page of version 1
	defBytes, repBytes int32 // of the levels of version 2
	plain              bool  // version 2 and not compressed
}

// read reads a header.
func (h *header) read(t *thrift) {
	*h = header{kind: -1, size: -1, packed: -1, crc: -1, values: -1, encoding: -1, levels: encRLE, defBytes: -1, repBytes: -1}
	t.fields(func(id int16, kind byte) {
		switch {
		case id == 1 && t.is(kind, thriftI32):
			h.kind = t.i32()
		case id == 2 && t.is(kind, thriftI32):
			h.size = t.i32()
		case id == 3 && t.is(kind, thriftI32):
			h.packed = t.i32()
		case id == 4 && t.is(kind, thriftI32):
			h.crc = int64(uint32(t.varint()))
		case (id == 5 || id == 7 || id == 8) && t.is(kind, thriftStruct):
			t.fields(func(field int16, kind byte) { h.data(t, id, field, kind) })
		case t.err == nil:
			t.skip(kind)
		}
	})
}

// data reads a field of a DataPageHeader (5), DictionaryPageHeader (7) or
// DataPageHeaderV2 (8).
func (h *header) data(t *thrift, of, id int16, kind byte) {
	v2 := of == 8
	switch {
	case id == 1 && t.is(kind, thriftI32):
		h.values = t.i32()
	case (!v2 && id == 2 || v2 && id == 4) && t.is(kind, thriftI32):
		h.encoding = t.i32()
	case of == 5 && (id == 3 || id == 4) && t.is(kind, thriftI32):
		if e := t.i32(); e != encRLE {
			h.levels = e
		}
	case v2 && id == 5 && t.is(kind, thriftI32):
		h.defBytes = t.i32()
	case v2 && id == 6 && t.is(kind, thriftI32):
		h.repBytes = t.i32()
	case v2 && id == 7 && (kind == thriftTrue || kind == thriftFalse):
		h.plain = kind == thriftFalse
	case t.err == nil:
		t.skip(kind)
	}
}

// pages reads the pages of a column of a row group.
type pages struct {
	f       *File
	c       chunk
	at      int64 // of the next page
	window  []byte
	packed  []byte
	data    []byte // of the page, decompressed
	current header
	*unpacker
}

// unpacker decompresses the pages of all columns, one at a time.
type unpacker struct{ zstd *zstd.Decoder }

// maxHeader bounds the header of a page, which may hold a least and a largest
// value.
const maxHeader = 1 << 20

// next reads the next page. The error is io.EOF when there is none.
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
		return refusal.Reason(io.ErrUnexpectedEOF, "a page of %d bytes, of which %d are there", h.packed, end-p.at)
	}
	p.packed = grown(p.packed, int(h.packed))
	if err := bounded.ReadFull(p.f.r, p.packed, p.at); err != nil {
		return err
	}
	p.at += int64(h.packed)
	if h.crc >= 0 && crc32.ChecksumIEEE(p.packed) != uint32(h.crc) {
		return refusal.Reason(refusal.ErrMalformed, "the checksum of a page is wrong")
	}
	return p.unpack()
}

// header reads the next page's header and gives its size.
func (p *pages) header(end int64) (int64, error) {
	for size := min(4<<10, end-p.at); ; size = min(8*size, end-p.at) {
		p.window = grown(p.window, int(size))
		if err := bounded.ReadFull(p.f.r, p.window, p.at); err != nil {
			return 0, err
		}
		t := &thrift{data: p.window}
		p.current.read(t)
		if t.err != nil && size < end-p.at && size < maxHeader {
			continue // it may be longer
		}
		h := &p.current
		if t.err == nil && (h.kind < 0 || h.size < 0 || h.packed < 0 || h.size > maxPage) {
			t.malformed("a page of kind %d and %d bytes, where up to %d are read", h.kind, h.size, maxPage)
		}
		return size - int64(len(t.data)), t.err
	}
}

// grown gives a buffer of n bytes, the old one where it is long enough.
func grown(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// unpack decompresses the page. The levels of version 2 are never compressed.
func (p *pages) unpack() error {
	h := &p.current
	levels := 0
	if h.kind == pageDataV2 {
		if h.defBytes < 0 || h.repBytes < 0 || h.defBytes > h.packed || h.repBytes > h.packed-h.defBytes || h.packed > h.size && h.plain {
			return refusal.Reason(refusal.ErrMalformed, "levels of %d and %d bytes in a page of %d", h.defBytes, h.repBytes, h.packed)
		}
		levels = int(h.defBytes + h.repBytes)
	}
	codec := p.c.codec
	if h.plain || len(p.packed) == levels {
		codec = codecNone
	}
	data, err := p.decompress(codec, append(p.data[:0], p.packed[:levels]...), p.packed[levels:], int(h.size))
	if p.data = data; err == nil && len(data) != int(h.size) {
		err = refusal.Reason(refusal.ErrMalformed, "a page of %d bytes where %d were announced", len(data), h.size)
	}
	return err
}

// decompress appends to dst what src holds, which may have size bytes with dst.
// Memory grows with what comes out and not with what was announced.
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
	return dst, refusal.Reason(refusal.ErrUnsupported, "the codec %s is not read; write the file with snappy, gzip or zstd", name)
}

func damaged(err error) error {
	return refusal.Reason(refusal.ErrMalformed, "the compressed data is damaged: %v", err)
}

// unsnap decompresses snappy, which is at most 64 bytes for each 3.
func unsnap(dst, src []byte, size int) ([]byte, error) {
	n, err := snappy.DecodedLen(src)
	if err == nil && (n != size-len(dst) || n > 24*len(src)) {
		return dst, refusal.Reason(refusal.ErrMalformed, "%d bytes of snappy for %d, where %d are due", len(src), n, size-len(dst))
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

// inflate reads on to the end, or to one byte more than there may be.
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

// close frees what it holds.
func (p *unpacker) close() {
	if p.zstd != nil {
		p.zstd.Close()
	}
}

// section cuts n bytes off the front of the page's data.
func (p *pages) section(n uint64) ([]byte, error) {
	if n > uint64(len(p.data)) {
		return nil, refusal.Reason(io.ErrUnexpectedEOF, "%d bytes announced, %d left in the page", n, len(p.data))
	}
	b := p.data[:n:n]
	p.data = p.data[n:]
	return b, nil
}

// levels cuts the levels off the front of a data page: repetition, definition.
func (p *pages) levels(leaf *node) (rep, def levels, err error) {
	h := &p.current
	if h.levels != encRLE {
		return rep, def, refusal.Reason(refusal.ErrUnsupported, "levels in the encoding %d", h.levels)
	}
	list := []struct {
		out   *levels
		most  int
		bytes int32
	}{{&rep, leaf.maxRep, h.repBytes}, {&def, leaf.maxDef, h.defBytes}}
	for _, l := range list {
		n := uint64(max(0, l.bytes))
		if h.kind == pageData {
			if n = 0; l.most > 0 {
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
		*l.out = newLevels(data, l.most)
	}
	return rep, def, nil
}
