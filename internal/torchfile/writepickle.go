package torchfile

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

// storageClass is the name of torch's class of storages of each dtype.
var storageClass = func() map[dtype.Type]string {
	m := map[dtype.Type]string{}
	for class, dt := range storageTypes {
		m[dt] = class
	}
	return m
}()

// batch is how many entries of a dictionary picklers write at once.
const batch = 1000

// pickler writes the protocol that torch.save uses, 2, as Python's does: each
// object that could be met again is stored under the next number.
type pickler struct {
	b      []byte
	stored int
	known  map[string]int // number of each global and constant string
}

// appendPickle writes the dictionary of tensors, byte for byte as torch.save
// does for contiguous tensors with a storage each.
func appendPickle(dst []byte, tensors []tensor.Tensor) []byte {
	p := &pickler{b: dst, known: map[string]int{}}
	p.b = append(p.b, opProto, 2, '}')
	p.store()
	if len(tensors) == 1 {
		p.entry(0, &tensors[0])
		p.b = append(p.b, 's', opStop)
		return p.b
	}
	for i := 0; len(tensors) > 0 && i <= len(tensors); i += batch {
		p.b = append(p.b, '(')
		for k := i; k < min(i+batch, len(tensors)); k++ {
			p.entry(k, &tensors[k])
		}
		p.b = append(p.b, 'u')
	}
	return append(p.b, opStop)
}

// entry writes a name and its tensor, the i-th.
func (p *pickler) entry(i int, t *tensor.Tensor) {
	p.text(t.Name)
	p.once("ctorch._utils\n_rebuild_tensor_v2\n")
	p.b = append(p.b, '(', '(')
	p.once(binunicode("storage"))
	p.once("ctorch\n" + storageClass[t.DType] + "\n")
	p.text(strconv.Itoa(i))
	p.once(binunicode("cpu"))
	n, _ := dtype.Elements(t.Shape)
	p.int(n)
	p.b = append(p.b, 't')
	p.store()
	p.b = append(p.b, 'Q')
	p.int(0)
	p.tuple(t.Shape)
	p.tuple(contiguous(t.Shape))
	p.b = append(p.b, 0x89)
	p.once("ccollections\nOrderedDict\n")
	p.b = append(p.b, ')', 'R')
	p.store()
	p.b = append(p.b, 't')
	p.store()
	p.b = append(p.b, 'R')
	p.store()
}

// contiguous are the strides of a tensor that is stored row by row; torch
// counts a dimension of no elements as one.
func contiguous(shape []int64) []int64 {
	strides := make([]int64, len(shape))
	next := int64(1)
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = next
		next *= max(shape[i], 1)
	}
	return strides
}

// once writes an object the first time, and its number after that.
func (p *pickler) once(object string) {
	i, ok := p.known[object]
	switch {
	case !ok:
		p.known[object] = p.stored
		p.b = append(p.b, object...)
		p.store()
	case i < 256:
		p.b = append(p.b, 'h', byte(i))
	default:
		p.b = binary.LittleEndian.AppendUint32(append(p.b, 'j'), uint32(i))
	}
}

func (p *pickler) store() {
	if p.stored < 256 {
		p.b = append(p.b, 'q', byte(p.stored))
	} else {
		p.b = binary.LittleEndian.AppendUint32(append(p.b, 'r'), uint32(p.stored))
	}
	p.stored++
}

func binunicode(s string) string {
	return string(binary.LittleEndian.AppendUint32([]byte{'X'}, uint32(len(s)))) + s
}

func (p *pickler) text(s string) {
	p.b = append(p.b, binunicode(s)...)
	p.store()
}

func (p *pickler) int(n int64) {
	switch {
	case n < 1<<8:
		p.b = append(p.b, 'K', byte(n))
	case n < 1<<16:
		p.b = binary.LittleEndian.AppendUint16(append(p.b, 'M'), uint16(n))
	case n <= math.MaxInt32:
		p.b = binary.LittleEndian.AppendUint32(append(p.b, 'J'), uint32(n))
	default:
		p.long(n)
	}
}

// long writes a positive number in as few bytes of two's complement as hold
// it.
func (p *pickler) long(n int64) {
	digits := binary.LittleEndian.AppendUint64(nil, uint64(n))
	for len(digits) > 1 && digits[len(digits)-1] == 0 && digits[len(digits)-2] < 0x80 {
		digits = digits[:len(digits)-1]
	}
	p.b = append(append(p.b, 0x8a, byte(len(digits))), digits...)
}

func (p *pickler) tuple(items []int64) {
	if len(items) == 0 {
		p.b = append(p.b, ')')
		return
	}
	if len(items) > 3 {
		p.b = append(p.b, '(')
	}
	for _, n := range items {
		p.int(n)
	}
	p.b = append(p.b, []byte{0x85, 0x86, 0x87, 't'}[min(len(items), 4)-1])
	p.store()
}
