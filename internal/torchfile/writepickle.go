package torchfile

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

// storageClass maps each dtype to torch's class of storages.
var storageClass = func() map[dtype.Type]string {
	m := map[dtype.Type]string{}
	for class, dt := range storageTypes {
		m[dt] = class
	}
	return m
}()

// batch is the number of entries of a dictionary that picklers write at once.
const batch = 1000

// pickler writes protocol 2, which torch.save uses, like Python's pickler: it
// stores each object that could recur in the memo.
type pickler struct {
	b      []byte
	stored int            // number of objects in the memo
	known  map[string]int // memo index of each global and constant string
}

// appendPickle appends the pickled dictionary of tensors. The bytes are those
// that torch.save writes for contiguous tensors with a storage each.
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

// entry writes the name and the value of the i-th tensor.
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

// contiguous returns the strides of a tensor in row-major order. torch counts a
// dimension without elements as one element.
func contiguous(shape []int64) []int64 {
	strides := make([]int64, len(shape))
	next := int64(1)
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = next
		next *= max(shape[i], 1)
	}
	return strides
}

// once writes an object the first time, and a reference to it later.
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

// long writes a positive integer in the fewest bytes of two's complement.
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
