package parquet

import (
	"encoding/binary"
	"io"
	"math/bits"

	"github.com/koala-go/sdk/internal/refusal"
)

// value is one value of a column: a text, or the bits of a number or boolean.
type value struct {
	text []byte
	bits uint64
}

// values returns the values of a page one by one. A text is valid until the next
// call.
type values interface {
	next() (value, error)
}

var errShort = refusal.Reason(io.ErrUnexpectedEOF, "the page has fewer values than it announces")

// hybrid decodes the hybrid of run-length encoding and bit-packing: runs of one
// number, and groups of eight packed numbers. Source: Encodings.md, RLE.
type hybrid struct {
	data  []byte
	width int    // of a number in bits
	left  uint64 // count of numbers left in the run or the groups
	run   uint64 // the number that a run repeats
	bit   int    // index in data of the next packed number's first bit; -1 in a run
}

func (h *hybrid) next() (uint64, error) {
	for h.left == 0 {
		if err := h.head(); err != nil {
			return 0, err
		}
	}
	h.left--
	if h.bit < 0 {
		return h.run, nil
	}
	if (h.bit+h.width+7)/8 > len(h.data) {
		return 0, errShort
	}
	v := bitsAt(h.data, h.bit, h.width)
	if h.bit += h.width; h.left == 0 {
		h.data = h.data[(h.bit+7)/8:]
	}
	return v, nil
}

// head reads the head of a run or of groups. Its lowest bit distinguishes them.
func (h *hybrid) head() error {
	if len(h.data) == 0 {
		return errShort
	}
	head, n := binary.Uvarint(h.data)
	if n <= 0 || head > 1<<34 {
		return refusal.Reason(refusal.ErrMalformed, "the head of a run is truncated or too large")
	}
	h.data = h.data[n:]
	h.left = head >> 1
	if head&1 == 1 {
		h.left *= 8
		h.bit = 0
		return nil
	}
	size := (h.width + 7) / 8
	if size > len(h.data) {
		return errShort
	}
	var wide [8]byte
	copy(wide[:], h.data[:size])
	h.run, h.data, h.bit = binary.LittleEndian.Uint64(wide[:]), h.data[size:], -1
	return nil
}

// bitsAt returns the number of width bits, at most 64, that begins at the given
// bit of data, lowest bit first.
func bitsAt(data []byte, bit, width int) uint64 {
	var v uint64
	for done := 0; done < width; {
		n := min(8-bit%8, width-done)
		b := uint64(data[bit/8]) >> (bit % 8) & (1<<n - 1)
		v |= b << done
		done += n
		bit += n
	}
	return v
}

// levels are the definition or repetition levels of a page.
type levels struct {
	hybrid
	highest int
}

func newLevels(data []byte, highest int) levels {
	return levels{hybrid{data: data, width: bits.Len(uint(highest))}, highest}
}

// next returns the next level. If the highest level is 0, levels are not stored.
func (l *levels) next() (int, error) {
	if l.highest == 0 {
		return 0, nil
	}
	v, err := l.hybrid.next()
	if err == nil && v > uint64(l.highest) {
		err = refusal.Reason(refusal.ErrMalformed, "the level %d exceeds the highest level %d of the column", v, l.highest)
	}
	return int(v), err
}

// plainBytes decodes texts, each after its length.
type plainBytes struct{ data []byte }

func (p *plainBytes) next() (value, error) {
	if len(p.data) < 4 {
		return value{}, errShort
	}
	n := uint64(binary.LittleEndian.Uint32(p.data))
	if n > uint64(len(p.data)-4) {
		return value{}, refusal.Reason(io.ErrUnexpectedEOF, "a text of %d bytes is announced, but only %d are left in the page", n, len(p.data)-4)
	}
	v := value{text: p.data[4 : 4+n]}
	p.data = p.data[4+n:]
	return v, nil
}

// plainFixed decodes numbers of 4 or 8 bytes.
type plainFixed struct {
	data []byte
	size int
}

func (p *plainFixed) next() (value, error) {
	if len(p.data) < p.size {
		return value{}, errShort
	}
	var wide [8]byte
	copy(wide[:], p.data[:p.size])
	p.data = p.data[p.size:]
	return value{bits: binary.LittleEndian.Uint64(wide[:])}, nil
}

// booleans decodes numbers of one bit.
type booleans struct{ hybrid }

func (b *booleans) next() (value, error) {
	bit, err := b.hybrid.next()
	return value{bits: bit}, err
}

// plain returns a decoder of the plain encoding of a type. A page of booleans is
// one bit-packed group.
func plain(typ int32, data []byte) values {
	switch typ {
	case typeBoolean:
		return &booleans{hybrid{data: data, width: 1, left: 8 * uint64(len(data))}}
	case typeByteArray:
		return &plainBytes{data}
	case typeInt32, typeFloat:
		return &plainFixed{data, 4}
	}
	return &plainFixed{data, 8}
}

// dictionary holds the values to which the pages of a column refer by index.
type dictionary struct {
	typ    int32
	data   []byte
	count  int
	starts []uint32 // index in data of each text's length
}

// newDictionary returns a dictionary that refers to data.
func newDictionary(typ int32, data []byte, count int32) (*dictionary, error) {
	d := &dictionary{typ: typ, data: data, count: int(count)}
	if typ == typeBoolean || int64(count)*int64(d.width()) > int64(len(data)) {
		return nil, refusal.Reason(refusal.ErrMalformed, "the dictionary of %d values has only %d bytes", count, len(data))
	}
	if typ != typeByteArray {
		return d, nil
	}
	d.starts = make([]uint32, count)
	p := plainBytes{data}
	for i := range d.starts {
		d.starts[i] = uint32(len(data) - len(p.data))
		if _, err := p.next(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// width returns the size of a number in bytes, or the smallest size of a text.
func (d *dictionary) width() int {
	if d.typ == typeInt64 || d.typ == typeDouble {
		return 8
	}
	return 4
}

// value returns the value with index i, which must be less than count.
func (d *dictionary) value(i int) (value, error) {
	if d.typ == typeByteArray {
		p := plainBytes{d.data[d.starts[i]:]}
		return p.next()
	}
	p := plainFixed{d.data[i*d.width():], d.width()}
	return p.next()
}

// indices decodes values that are given by their indices in a dictionary.
type indices struct {
	hybrid
	d *dictionary
}

func (x *indices) next() (value, error) {
	i, err := x.hybrid.next()
	if err == nil && i >= uint64(x.d.count) {
		err = refusal.Reason(refusal.ErrMalformed, "index %d exceeds the dictionary of %d values", i, x.d.count)
	}
	if err != nil {
		return value{}, err
	}
	return x.d.value(int(i))
}

// newIndices reads the width of the indices, which is the first byte.
func newIndices(data []byte, d *dictionary) (values, error) {
	if len(data) == 0 {
		return &indices{d: d}, nil // the page has only nulls
	}
	if data[0] > 32 {
		return nil, refusal.Reason(refusal.ErrMalformed, "the indices have %d bits, want at most 32", data[0])
	}
	return &indices{hybrid{data: data[1:], width: int(data[0])}, d}, nil
}
