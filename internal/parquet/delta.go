package parquet

import (
	"encoding/binary"
	"io"

	"github.com/koala-go/sdk/internal/refusal"
)

// deltas decodes DELTA_BINARY_PACKED: blocks of differences. Source:
// Encodings.md.
type deltas struct {
	data   []byte
	block  int // numbers in a block
	minis  int // parts of a block, each with its width
	left   uint64
	last   int64
	first  bool   // the first number is still to come
	least  int64  // what is added to each difference of the block
	widths []byte // of the parts of the block that are left
	inMini int    // numbers left in the part
	width  int
	bit    int
}

// maxBlock bounds the numbers of a block; writers use 128.
const maxBlock = 1 << 16

func newDeltas(data []byte) (*deltas, error) {
	t := &thrift{data: data} // the numbers are written alike
	block, minis, count, first := t.uvarint(), t.uvarint(), t.uvarint(), t.varint()
	if t.err != nil {
		return nil, t.err
	}
	if block == 0 || block > maxBlock || block%128 != 0 || minis == 0 || minis > block || block%minis != 0 || block/minis%32 != 0 {
		return nil, refusal.Reason(refusal.ErrMalformed, "deltas in blocks of %d in %d parts", block, minis)
	}
	return &deltas{data: t.data, block: int(block), minis: int(minis), left: count, last: first, first: true}, nil
}

// number gives the next number.
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
		if err := d.mini(); err != nil {
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

// mini begins the next part, and a block where one is over.
func (d *deltas) mini() error {
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
		return refusal.Reason(refusal.ErrMalformed, "numbers of %d bits", d.width)
	}
	return nil
}

// rest is what stands behind all numbers: the last part is whole, but what
// would come after it in the block is not written.
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

// deltaTexts decodes DELTA_LENGTH_BYTE_ARRAY: lengths, and then all texts.
type deltaTexts struct {
	lengths *deltas
	data    []byte
}

func newDeltaTexts(data []byte, most int32) (*deltaTexts, error) {
	lengths, err := newDeltas(data)
	if err != nil {
		return nil, err
	}
	if lengths.left > uint64(most) {
		return nil, refusal.Reason(refusal.ErrMalformed, "%d lengths in a page of %d values", lengths.left, most)
	}
	walk := *lengths
	rest, err := walk.rest()
	return &deltaTexts{lengths, rest}, err
}

func (d *deltaTexts) next() (value, error) {
	n, err := d.lengths.number()
	if err == nil && (n < 0 || n > int64(len(d.data))) {
		err = refusal.Reason(io.ErrUnexpectedEOF, "a text of %d bytes, of which %d are in the page", n, len(d.data))
	}
	if err != nil {
		return value{}, err
	}
	v := value{text: d.data[:n]}
	d.data = d.data[n:]
	return v, nil
}

// deltaBytes decodes DELTA_BYTE_ARRAY: how much each text has of the one
// before, and what follows that.
type deltaBytes struct {
	prefixes *deltas
	suffixes *deltaTexts
	last     []byte
}

func newDeltaBytes(data []byte, most int32) (*deltaBytes, error) {
	prefixes, err := newDeltas(data)
	if err != nil {
		return nil, err
	}
	if prefixes.left > uint64(most) {
		return nil, refusal.Reason(refusal.ErrMalformed, "%d lengths in a page of %d values", prefixes.left, most)
	}
	walk := *prefixes
	rest, err := walk.rest()
	if err != nil {
		return nil, err
	}
	suffixes, err := newDeltaTexts(rest, most)
	return &deltaBytes{prefixes, suffixes, nil}, err
}

func (d *deltaBytes) next() (value, error) {
	n, err := d.prefixes.number()
	if err != nil {
		return value{}, err
	}
	suffix, err := d.suffixes.next()
	if err == nil && (n < 0 || n > int64(len(d.last)) || int(n)+len(suffix.text) > maxPage) {
		err = refusal.Reason(refusal.ErrMalformed, "%d bytes of a text of %d", n, len(d.last))
	}
	if err != nil {
		return value{}, err
	}
	d.last = append(d.last[:n], suffix.text...)
	return value{text: d.last}, nil
}

// decoder gives the values of a data page.
func (c *column) decoder(data []byte) (values, error) {
	h, typ := &c.pages.current, c.leaf.typ
	isText, isInt := typ == typeByteArray, typ == typeInt32 || typ == typeInt64
	switch {
	case h.encoding == encPlain:
		return plain(typ, data), nil
	case h.encoding == encPlainDictionary || h.encoding == encRLEDictionary:
		if c.dict == nil {
			return nil, refusal.Reason(refusal.ErrMalformed, "there is no dictionary before a page that needs one")
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
	return nil, refusal.Reason(refusal.ErrUnsupported, "values of type %d in the encoding %d", typ, h.encoding)
}

// asValues keeps a nil decoder nil.
func asValues[T values](v T, err error) (values, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}
