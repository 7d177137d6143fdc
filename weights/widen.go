package weights

import (
	"io"
	"sync"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/half"
)

// widened reads elements of any type that weights come in as F32.
type widened struct {
	from  dtype.Type
	data  io.ReaderAt
	count int64 // elements
}

// widen presents count elements, stored as the type, as F32.
func widen(from dtype.Type, data io.ReaderAt, count int64) io.ReaderAt {
	return &widened{from, data, count}
}

// Elements are converted in steps of this many, a multiple of every block.
const (
	widenStep = 8192
	block     = 32 // elements of a block of Q8_0
	blockSize = 34 // bytes
)

// widenBuffers is the working space of one step.
type widenBuffers struct {
	raw  [4 * widenStep]byte
	wide [4 * widenStep]byte
}

var widenPool = sync.Pool{New: func() any { return new(widenBuffers) }}

// ReadAt reads at any offset; those of whole steps need the least work.
func (w *widened) ReadAt(p []byte, off int64) (int, error) {
	b := widenPool.Get().(*widenBuffers)
	defer widenPool.Put(b)
	for n := 0; n < len(p); {
		at := off + int64(n)
		if at >= 4*w.count {
			return n, io.EOF
		}
		first := at / 4 / block * block
		count := min(widenStep, w.count-first, (at-4*first+int64(len(p)-n)+4*block-1)/(4*block)*block)
		wide := b.wide[:4*count]
		if err := w.step(wide, b, first, count); err != nil {
			return n, err
		}
		n += copy(p[n:], wide[at-4*first:])
	}
	return len(p), nil
}

// step converts count elements from the first on, both multiples of a block
// where blocks are stored.
func (w *widened) step(wide []byte, b *widenBuffers, first, count int64) error {
	if w.from == dtype.Q8_0 {
		raw := b.raw[:count/block*blockSize]
		if err := bounded.ReadFull(w.data, raw, first/block*blockSize); err != nil {
			return err
		}
		half.Dequantize8(wide, raw)
		return nil
	}
	raw := b.raw[:count*w.from.Size()]
	if err := bounded.ReadFull(w.data, raw, first*w.from.Size()); err != nil {
		return err
	}
	half.Convert(wide, dtype.F32, raw, w.from)
	return nil
}
