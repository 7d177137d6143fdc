package weights

import (
	"io"
	"sync"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/half"
)

// decoder reads elements of any type that can hold weights as F32.
type decoder struct {
	from  dtype.Type
	data  io.ReaderAt
	count int64 // elements

	block, blockBytes int64 // elements and bytes of the type's blocks
}

// newDecoder presents count elements, stored as the type, as F32.
func newDecoder(from dtype.Type, data io.ReaderAt, count int64) *decoder {
	d := &decoder{from: from, data: data, count: count}
	d.block, d.blockBytes = from.Block()
	return d
}

// decodeStep is the largest number of elements that are decoded at once. It is
// a multiple of the blocks of every type.
const decodeStep = 8192

// decodeBuffers is the working space of one step. No type has more than four
// bytes an element.
type decodeBuffers struct {
	stored  [4 * decodeStep]byte
	decoded [4 * decodeStep]byte
}

var decodePool = sync.Pool{New: func() any { return new(decodeBuffers) }}

// ReadAt reads at any offset. It decodes whole blocks, and drops the elements
// outside the range.
func (d *decoder) ReadAt(p []byte, off int64) (int, error) {
	b := decodePool.Get().(*decodeBuffers)
	defer decodePool.Put(b)
	for n := 0; n < len(p); {
		at := off + int64(n)
		if at >= 4*d.count {
			return n, io.EOF
		}
		first := at / 4 / d.block * d.block
		blocks := (at - 4*first + int64(len(p)-n) + 4*d.block - 1) / (4 * d.block)
		count := min(decodeStep, d.count-first, blocks*d.block)
		decoded := b.decoded[:4*count]
		stored := b.stored[:count/d.block*d.blockBytes]
		if err := bounded.ReadFull(d.data, stored, first/d.block*d.blockBytes); err != nil {
			return n, err
		}
		half.Decode(decoded, stored, d.from)
		n += copy(p[n:], decoded[at-4*first:])
	}
	return len(p), nil
}
