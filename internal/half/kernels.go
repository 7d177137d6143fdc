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

// Kernels process n elements. n is a multiple of kernelBlock.
type (
	unaryKernel  func(dst, a *byte, n int)
	binaryKernel func(dst, a, b *byte, n int)
)

// kernelBlock is the number of elements in a block. Kernels process whole
// blocks. The remaining elements go through a buffer.
const kernelBlock = 32

// pair holds two forms of a kernel that compute the same result. cached leaves
// its result in the caches. stream bypasses them, which suits results far
// larger than the caches. It requires dst to be aligned to 64 bytes.
type pair[F any] struct{ cached, stream F }

// kernels holds the kernels of one instruction set. An entry is nil if the set
// lacks the kernel. The operation then uses conversions and fp32 kernels.
type kernels struct {
	name     string
	add, sub [3][3][3]pair[binaryKernel] // indexed by the types of a, b and the result
	convert  [3][3]pair[unaryKernel]     // indexed by the types of source and destination

	firstNonFinite func(src *byte, n int, exponent uint32) int
	transpose8     func(dst, src *byte, stride int, to *int, cols int)
	prefetch       func(p *byte, n int)
	fence          func() // must follow kernels that bypassed the caches

	exact, fast [3]dots                    // indexed by the type of the weights
	fold        func(sums, lanes *float32) // sums the lanes of the rows of a panel
	addScaled   func(dst, x *float32, s float32, n int)
	exp         func(x *float32, n int)
}

// find returns the kernels of an operation.
func (k *kernels) find(op operation, a, b, out dtype.Type) pair[binaryKernel] {
	table := &k.add
	if op == sub {
		table = &k.sub
	}
	return table[index(a)][index(b)][index(out)]
}

// generic is the table of the kernels in Go.
var generic = kernels{name: "generic"}

// active is the table in use: the best one that the processor supports, unless
// the environment variable KOALA_KERNEL names a lesser one ("AVX2", "generic"),
// for tests and reports.
var active = choose(os.Getenv("KOALA_KERNEL"))

// all returns the tables that the processor supports, best first.
func all() []*kernels { return append(available(), &generic) }

func choose(name string) *kernels {
	for _, k := range all() {
		if k.name == name {
			return k
		}
	}
	return all()[0]
}

// Kernel returns the name of the instruction set in use: "AVX512", "AVX2",
// "NEON" or "generic".
func Kernel() string { return active.name }

// streamFrom is the size of a result in bytes from which bypassing the caches
// pays off. Smaller results are often read again soon.
var streamFrom = 64 << 20

// parts divides the elements of a result: head is less than a block, up to the
// first aligned element. The kernel processes body. The rest is less than a
// block.
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
