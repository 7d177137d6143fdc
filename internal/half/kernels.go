package half

//go:generate go -C asm run . -pkg half -out ../zz_kernels_amd64.s -stubs ../zz_kernels_amd64.go -table ../zz_tables_amd64.go -neon ../zz_

import (
	"os"
	"unsafe"

	"github.com/koala-go/sdk/dtype"
)

// Indices of the types in the tables of kernels.
const (
	iF32 = iota
	iF16
	iBF16
)

// index returns the index of a type in the tables of kernels.
func index(t dtype.Type) int {
	switch t {
	case dtype.F32:
		return iF32
	case dtype.F16:
		return iF16
	}
	return iBF16
}

// Kernels run over n elements, a multiple of kernelBlock.
type (
	unaryKernel  func(dst, a *byte, n int)
	binaryKernel func(dst, a, b *byte, n int)
)

// kernelBlock is the number of elements that kernels work in; what is left
// over is done one by one.
const kernelBlock = 32

// pair is a kernel in two forms that compute the same: one that leaves its
// result in the caches, and one that stores past them, for results far larger
// than they are. The second wants dst aligned to 64 bytes.
type pair[F any] struct{ cached, stream F }

// kernels are the loops for one instruction set. A nil entry has none; the
// operation is then put together from conversions and fp32 loops.
type kernels struct {
	name     string
	add, sub [3][3][3]pair[binaryKernel] // by the types of a, b and the result
	convert  [3][3]pair[unaryKernel]     // by from and to

	firstFull  func(src *byte, n int, exponent uint32) int
	transpose8 func(dst, src *byte, stride int, to *int, cols int)
	prefetch   func(p *byte, n int)
	fence      func() // after kernels that stored past the caches

	exact, fast [3]dots                    // by the type of the weights
	fold        func(sums, lanes *float32) // the sums of the rows of a panel
	addScaled   func(dst, x *float32, s float32, n int)
	exp         func(x *float32, n int)
}

// find is the kernel of an operation.
func (k *kernels) find(op operation, a, b, out dtype.Type) pair[binaryKernel] {
	table := &k.add
	if op == sub {
		table = &k.sub
	}
	return table[index(a)][index(b)][index(out)]
}

// generic is the table without assembly.
var generic = kernels{name: "generic"}

// active is the table in use: the best that the processor has, unless
// KOALA_KERNEL names a lower one ("AVX2", "generic"), for tests and reports.
var active = choose(os.Getenv("KOALA_KERNEL"))

// all lists the tables that this processor can run, the best first.
func all() []*kernels { return append(available(), &generic) }

func choose(name string) *kernels {
	for _, k := range all() {
		if k.name == name {
			return k
		}
	}
	return all()[0]
}

// Kernel names the instruction set in use: "AVX512", "AVX2", "NEON" or
// "generic".
func Kernel() string { return active.name }

// streamFrom is the size of a result in bytes from which storing past the
// caches is worth while. Buffers that are read again at once are smaller.
var streamFrom = 64 << 20

// parts say how the elements of a result are done: head, less than a block,
// up to an aligned place; then body by the kernel; the rest is less than a
// block again.
type parts struct {
	head, body int
	stream     bool
}

func split(dst []byte, t dtype.Type, canStream bool) parts {
	var p parts
	if len(dst) >= streamFrom && canStream {
		gap := int(-uintptr(unsafe.Pointer(unsafe.SliceData(dst))) % 64)
		if p.stream = gap%size(t) == 0; p.stream {
			p.head = min(gap, len(dst)) / size(t)
		}
	}
	p.body = (len(dst)/size(t) - p.head) &^ (kernelBlock - 1)
	return p
}
