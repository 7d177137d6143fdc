package parquet

import (
	"encoding/binary"
	"io"
	"math/bits"

	"github.com/koala-go/sdk/internal/refusal"
)

// value is one value of a column: bytes, or the bits of a number or boolean.
type value struct {
	text []byte
	bits uint64
}

// values gives the values of a page, one after the other. The bytes hold until
// the next call.
type values interface {
	next() (value, error)
}

var errShort = refusal.Reason(io.ErrUnexpectedEOF, "the page has fewer values than it announced")

// hybrid decodes runs and bit-packed groups. Source: Encodings.md, RLE.
type hybrid struct {
	data  []byte
	width int
	left  uint64 // numbers left in the run or the groups
	run   uint64 // the number of a run
	bit   int    // place in data of the next number of groups; -1 in a run
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

// head reads the head of a run or of groups.
func (h *hybrid) head() error {
	if len(h.data) == 0 {
		return errShort
	}
	head, n := binary.Uvarint(h.data)
	if n <= 0 || head > 1<<34 {
		return refusal.Reason(refusal.ErrMalformed, "the head of a run is cut short or too large")
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

// bitsAt reads width bits, up to 64, from a bit on, the low ones first.
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
	most int
}

func newLevels(data []byte, most int) levels {
	return levels{hybrid{data: data, width: bits.Len(uint(most))}, most}
}

// next gives a level; all are 0 where no other is possible.
func (l *levels) next() (int, error) {
	if l.most == 0 {
		return 0, nil
	}
	v, err := l.hybrid.next()
	if err == nil && v > uint64(l.most) {
		err = refusal.Reason(refusal.ErrMalformed, "a level of %d where up to %d is possible", v, l.most)
	}
	return int(v), err
}

// plainBytes are texts, each after its length.
type plainBytes struct{ data []byte }

func (p *plainBytes) next() (value, error) {
	if len(p.data) < 4 {
		return value{}, errShort
	}
	n := uint64(binary.LittleEndian.Uint32(p.data))
	if n > uint64(len(p.data)-4) {
		return value{}, refusal.Reason(io.ErrUnexpectedEOF, "a text of %d bytes, of which %d are in the page", n, len(p.data)-4)
	}
	v := value{text: p.data[4 : 4+n]}
	p.data = p.data[4+n:]
	return v, nil
}

// plainFixed are numbers of 4 or 8 bytes.
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

// booleans are numbers of a bit.
type booleans struct{ hybrid }

func (b *booleans) next() (value, error) {
	bit, err := b.hybrid.next()
	return value{bits: bit}, err
}

// plain gives the values of a page, or of a dictionary, of a type.
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

// dictionary is the values that a column's pages have the numbers of.
type dictionary struct {
	typ    int32
	data   []byte
	count  int
	starts []uint32 // of texts in data, each at its length
}

// newDictionary reads a dictionary; it keeps the data.
func newDictionary(typ int32, data []byte, count int32) (*dictionary, error) {
	d := &dictionary{typ: typ, data: data, count: int(count)}
	if typ == typeBoolean || int64(count)*int64(d.width()) > int64(len(data)) {
		return nil, refusal.Reason(refusal.ErrMalformed, "a dictionary of %d values in %d bytes", count, len(data))
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

// width is the bytes of a number, or the least of a text.
func (d *dictionary) width() int {
	if d.typ == typeInt64 || d.typ == typeDouble {
		return 8
	}
	return 4
}

// value gives a value by its number, which must be below count.
func (d *dictionary) value(i int) (value, error) {
	if d.typ == typeByteArray {
		p := plainBytes{d.data[d.starts[i]:]}
		return p.next()
	}
	p := plainFixed{d.data[i*d.width():], d.width()}
	return p.next()
}

// indices are values by their numbers in a dictionary.
type indices struct {
	hybrid
	d *dictionary
}

func (x *indices) next() (value, error) {
	i, err := x.hybrid.next()
	if err == nil && i >= uint64(x.d.count) {
		err = refusal.Reason(refusal.ErrMalformed, "value %d of a dictionary of %d", i, x.d.count)
	}
	if err != nil {
		return value{}, err
	}
	return x.d.value(int(i))
}

// newIndices reads the width that stands first.
func newIndices(data []byte, d *dictionary) (values, error) {
	if len(data) == 0 {
		return &indices{d: d}, nil // a page of nulls
	}
	if data[0] > 32 {
		return nil, refusal.Reason(refusal.ErrMalformed, "numbers of %d bits", data[0])
	}
	return &indices{hybrid{data: data[1:], width: int(data[0])}, d}, nil
}
