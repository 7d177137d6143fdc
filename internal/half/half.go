// Package half does the arithmetic of checkpoints: sums, differences and
// conversions of fp16, bf16 and fp32 numbers in slices of little-endian bytes
// at any alignment.
//
// Add, Sub and Convert work on slices of equal shape, AddTransposed and
// SubTransposed on a matrix and the transpose of another, and MulRows
// multiplies matrices with vectors.
//
// The rules are those of numpy with ml_dtypes, which computed Koala's diff.
// Operands of one type give a result of that type, and operands of two
// different types give fp32. The result is then rounded to the type of the
// destination. Each rounding is to nearest, ties to even. Denormals are kept,
// overflow gives infinity, and every NaN becomes the one quiet NaN of its type,
// on every machine. A conversion to the same type copies the bits.
//
// A destination may be identical to a source if its elements are not wider than
// those of the source. Other overlaps are not allowed. The functions panic if
// the lengths of operands differ.
//
// Each operation exists as a reference, written for clarity (reference.go), as
// tuned Go (generic.go), and as assembly for AVX-512, AVX2 and NEON, which the
// program in asm generates. All of them give the same bits. kernels.go selects
// one.
package half

import (
	"encoding/binary"
	"sync"

	"github.com/koala-go/sdk/dtype"
)

var le = binary.LittleEndian

// size returns the number of bytes of one element of F32, F16 or BF16.
func size(t dtype.Type) int {
	if t == dtype.F32 {
		return 4
	}
	return 2
}

// Sum returns the type of the sum or difference of numbers of types a and b,
// before it is rounded to the type of the destination.
func Sum(a, b dtype.Type) dtype.Type {
	if a == b {
		return a
	}
	return dtype.F32
}

// Add writes a + b to dst. The three slices have the same number of elements,
// of the types at, bt and out.
func Add(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type) {
	combine(dst, out, a, at, b, bt, add)
}

// Sub writes a - b to dst. See Add.
func Sub(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type) {
	combine(dst, out, a, at, b, bt, sub)
}

// Convert converts the elements of src and writes them to dst.
func Convert(dst []byte, to dtype.Type, src []byte, from dtype.Type) {
	checkLengths(len(dst)/size(to), len(src)/size(from))
	if to == from {
		copy(dst, src)
		return
	}
	k := active.convert[index(from)][index(to)]
	if k.cached == nil {
		convertGeneric(dst, to, src, from)
		return
	}
	s := split(dst, to, k.stream != nil)
	run := k.cached
	// Streaming stores need an aligned destination: the elements before the first
	// aligned one, and those after the last block, go through a buffer.
	if s.stream {
		convertFew(run, dst[:s.head*size(to)], to, src, from)
		run = k.stream
	}
	if s.body > 0 {
		run(&dst[s.head*size(to)], &src[s.head*size(from)], s.body)
	}
	if s.stream {
		active.fence()
	}
	done := s.head + s.body
	convertFew(k.cached, dst[done*size(to):], to, src[done*size(from):], from)
}

// convertFew runs a kernel on fewer elements than its block, by way of a
// buffer.
func convertFew(run unaryKernel, dst []byte, to dtype.Type, src []byte, from dtype.Type) {
	if len(dst) == 0 {
		return
	}
	s := scratches.Get().(*scratch)
	copy(s.x[:], src[:len(dst)/size(to)*size(from)])
	run(&s.z[0], &s.x[0], kernelBlock)
	copy(dst, s.z[:])
	scratches.Put(s)
}

// Floats converts the elements of src to fp32, which is exact, and writes them
// to dst.
func Floats(dst []float32, src []byte, from dtype.Type) {
	checkLengths(len(dst), len(src)/size(from))
	for i := range dst {
		dst[i] = load(src[i*size(from):], from)
	}
}

// combine runs the kernel of an operation. If the operation has no kernel, it
// uses the kernels of conversions and of fp32.
func combine(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, op operation) {
	checkLengths(len(dst)/size(out), len(a)/size(at))
	checkLengths(len(dst)/size(out), len(b)/size(bt))
	k := active.find(op, at, bt, out)
	if k.cached == nil && op == add { // addition is commutative, and the reverse order may have a kernel
		a, at, b, bt = b, bt, a, at
		k = active.find(op, at, bt, out)
	}
	if k.cached == nil {
		combineTiles(dst, out, a, at, b, bt, op)
		return
	}
	s := split(dst, out, k.stream != nil)
	run := k.cached
	if s.stream {
		combineFew(run, dst[:s.head*size(out)], out, a, at, b, bt)
		run = k.stream
	}
	if s.body > 0 {
		run(&dst[s.head*size(out)], &a[s.head*size(at)], &b[s.head*size(bt)], s.body)
	}
	if s.stream {
		active.fence()
	}
	done := s.head + s.body
	combineFew(k.cached, dst[done*size(out):], out, a[done*size(at):], at, b[done*size(bt):], bt)
}

// combineFew runs a kernel on fewer elements than its block, by way of buffers.
func combineFew(run binaryKernel, dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type) {
	if len(dst) == 0 {
		return
	}
	n := len(dst) / size(out)
	s := scratches.Get().(*scratch)
	copy(s.x[:], a[:n*size(at)])
	copy(s.y[:], b[:n*size(bt)])
	run(&s.z[0], &s.x[0], &s.y[0], kernelBlock)
	copy(dst, s.z[:])
	scratches.Put(s)
}

// tileLen is the number of elements that are widened, combined and narrowed at
// a time if no kernel does the whole operation. Three tiles of fp32 fit in the
// L1 cache.
const tileLen = 1024

// scratch holds three tiles. Kernels are called through pointers, for which the
// compiler would move arrays from the stack to the heap.
type scratch struct{ x, y, z [4 * tileLen]byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func combineTiles(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, op operation) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	for len(dst) > 0 {
		n := min(tileLen, len(dst)/size(out))
		x, y := s.x[:4*n], s.y[:4*n]
		Convert(x, dtype.F32, a[:n*size(at)], at)
		Convert(y, dtype.F32, b[:n*size(bt)], bt)
		if active.find(op, dtype.F32, dtype.F32, dtype.F32).cached != nil {
			combine(x, dtype.F32, x, dtype.F32, y, dtype.F32, op)
		} else {
			combineGeneric(x, y, op)
		}
		// As in numpy the result is first rounded to the type of the sum, and
		// only then to that of the destination. A single rounding may give
		// another result.
		if sum := Sum(at, bt); sum != dtype.F32 && sum != out {
			rounded := s.z[:n*size(sum)]
			Convert(rounded, sum, x, dtype.F32)
			Convert(x, dtype.F32, rounded, sum)
		}
		Convert(dst[:n*size(out)], out, x, dtype.F32)
		a, b, dst = a[n*size(at):], b[n*size(bt):], dst[n*size(out):]
	}
}

func checkLengths(dst, src int) {
	if dst != src {
		panic("half: the lengths of the operands differ")
	}
}
