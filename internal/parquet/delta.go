package parquet

import (
	"encoding/binary"
	"io"

	"github.com/koala-go/sdk/internal/refusal"
)

// deltas decodes DELTA_BINARY_PACKED: blocks of differences, each divided into
// miniblocks. Source: Encodings.md.
type deltas struct {
	data   []byte
	block  int    // count of numbers in a block
	minis  int    // count of miniblocks in a block
	left   uint64 // count of numbers left
	last   int64
	first  bool   // whether last is the first number and was not yet returned
	least  int64  // the least difference of the block, to be added to each
	widths []byte // of the miniblocks left in the block
	inMini int    // count of numbers left in the miniblock
	width  int    // of a number in the miniblock, in bits
	bit    int    // index in data of the next number's first bit
}

// maxBlock is the greatest count of numbers in a block. Writers use 128.
const maxBlock = 1 << 16

func newDeltas(data []byte) (*deltas, error) {
	t := &thrift{data: data} // the integers have the same encoding
	block, minis, count, first := t.uvarint(), t.uvarint(), t.uvarint(), t.varint()
	if t.err != nil {
		return nil, t.err
	}
	if block == 0 || block > maxBlock || block%128 != 0 || minis == 0 || minis > block || block%minis != 0 || block/minis%32 != 0 {
		return nil, refusal.Reason(refusal.ErrMalformed, "invalid blocks of %d numbers in %d miniblocks", block, minis)
	}
	return &deltas{data: t.data, block: int(block), minis: int(minis), left: count, last: first, first: true}, nil
}

// number returns the next number.
func (d *deltas) number() (int64, error) {
	if d.left == 0 {
		return 0, errShort
	}
	d.left--
	if d.first {
		d.first = false
		return d.last, nil
	}
	if d.inMini == 0 {
		if err := d.miniblock(); err != nil {
			return 0, err
		}
	}
	d.inMini--
	if (d.bit+d.width+7)/8 > len(d.data) {
		return 0, errShort
	}
	d.last += d.least + int64(bitsAt(d.data, d.bit, d.width))
	if d.bit += d.width; d.inMini == 0 {
		d.data = d.data[d.bit/8:]
	}
	return d.last, nil
}

// miniblock starts the next miniblock, and the next block after the last
// miniblock.
func (d *deltas) miniblock() error {
	if len(d.widths) == 0 {
		t := &thrift{data: d.data}
		d.least = t.varint()
		d.widths = t.take(uint64(d.minis))
		if d.data = t.data; t.err != nil {
			return t.err
		}
	}
	d.width, d.widths = int(d.widths[0]), d.widths[1:]
	d.inMini, d.bit = d.block/d.minis, 0
	if d.width > 64 {
		return refusal.Reason(refusal.ErrMalformed, "the numbers have %d bits, want at most 64", d.width)
	}
	return nil
}

// rest returns the data after the last number. Writers complete the last
// miniblock, but omit the remaining miniblocks of the last block.
func (d *deltas) rest() ([]byte, error) {
	for d.left > 0 {
		if _, err := d.number(); err != nil {
			return nil, err
		}
	}
	end := (d.bit + d.inMini*d.width + 7) / 8
	if d.inMini == 0 {
		end = 0
	}
	if end > len(d.data) {
		return nil, errShort
	}
	return d.data[end:], nil
}

func (d *deltas) next() (value, error) {
	n, err := d.number()
	return value{bits: uint64(n)}, err
}

// newLengths decodes lengths, at most limit, and returns the data after them.
func newLengths(data []byte, limit int32) (lengths *deltas, rest []byte, err error) {
	if lengths, err = newDeltas(data); err != nil {
		return nil, nil, err
	}
	if lengths.left > uint64(limit) {
		return nil, nil, refusal.Reason(refusal.ErrMalformed, "%d lengths in a page of %d values", lengths.left, limit)
	}
	ahead := *lengths
	rest, err = ahead.rest()
	return lengths, rest, err
}

// deltaTexts decodes DELTA_LENGTH_BYTE_ARRAY: the lengths of all texts, then the
// texts.
type deltaTexts struct {
	lengths *deltas
	data    []byte
}

func newDeltaTexts(data []byte, limit int32) (*deltaTexts, error) {
	lengths, rest, err := newLengths(data, limit)
	return &deltaTexts{lengths, rest}, err
}

func (d *deltaTexts) next() (value, error) {
	n, err := d.lengths.number()
	if err == nil && (n < 0 || n > int64(len(d.data))) {
		err = refusal.Reason(io.ErrUnexpectedEOF, "a text of %d bytes is announced, but only %d are left in the page", n, len(d.data))
	}
	if err != nil {
		return value{}, err
	}
	v := value{text: d.data[:n]}
	d.data = d.data[n:]
	return v, nil
}

// deltaBytes decodes DELTA_BYTE_ARRAY: for each text the length of the prefix
// that it shares with the previous text, then the suffixes.
type deltaBytes struct {
	prefixes *deltas
	suffixes *deltaTexts
	last     []byte
}

func newDeltaBytes(data []byte, limit int32) (*deltaBytes, error) {
	prefixes, rest, err := newLengths(data, limit)
	if err != nil {
		return nil, err
	}
	suffixes, err := newDeltaTexts(rest, limit)
	return &deltaBytes{prefixes, suffixes, nil}, err
}

func (d *deltaBytes) next() (value, error) {
	n, err := d.prefixes.number()
	if err != nil {
		return value{}, err
	}
	suffix, err := d.suffixes.next()
	if err == nil && (n < 0 || n > int64(len(d.last)) || int(n)+len(suffix.text) > maxPage) {
		err = refusal.Reason(refusal.ErrMalformed, "a text shares %d bytes with a text of %d bytes, or is too long", n, len(d.last))
	}
	if err != nil {
		return value{}, err
	}
	d.last = append(d.last[:n], suffix.text...)
	return value{text: d.last}, nil
}

// decoder returns a decoder of the values of a data page.
func (c *column) decoder(data []byte) (values, error) {
	h, typ := &c.pages.current, c.leaf.typ
	isText, isInt := typ == typeByteArray, typ == typeInt32 || typ == typeInt64
	switch {
	case h.encoding == encPlain:
		return plain(typ, data), nil
	case h.encoding == encPlainDictionary || h.encoding == encRLEDictionary:
		if c.dict == nil {
			return nil, refusal.Reason(refusal.ErrMalformed, "a page with indices has no dictionary page before it")
		}
		return newIndices(data, c.dict)
	case h.encoding == encRLE && typ == typeBoolean:
		if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
			return nil, errShort
		}
		return &booleans{hybrid{data: data[4:], width: 1}}, nil
	case h.encoding == encDeltaBinary && isInt:
		return asValues(newDeltas(data))
	case h.encoding == encDeltaLength && isText:
		return asValues(newDeltaTexts(data, h.values))
	case h.encoding == encDeltaBytes && isText:
		return asValues(newDeltaBytes(data, h.values))
	}
	return nil, refusal.Reason(refusal.ErrUnsupported, "the encoding %d of values of type %d is not supported", h.encoding, typ)
}

// asValues converts a decoder to the interface type. A nil decoder stays nil.
func asValues[T values](v T, err error) (values, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}
