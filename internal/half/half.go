// Package half does the arithmetic of checkpoints: sums, differences and
// conversions of fp16, bf16 and fp32 numbers that lie in slices of
// little-endian bytes, at any alignment.
//
// The rules are numpy's with ml_dtypes, which Koala's diff was made with:
// operands of one type give that type, any two different ones give fp32; the
// result is then rounded to the type that is asked for. Each rounding is to
// nearest, ties to even. Denormals are kept, overflow becomes infinite, and
// every NaN becomes the one quiet NaN of its type, on every machine. A
// conversion to the same type copies the bits.
//
// A destination may be one of the sources, in full, when its elements are not
// wider than that source's; other overlaps are not allowed. Operands of
// different lengths panic.
//
// Each operation exists as a reference, written for clarity (reference.go),
// as tuned Go (generic.go), and as assembly for AVX-512, AVX2 and NEON, made
// by the generators in asm. All give the same bits; kernels.go chooses.
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

// Sum is the type that a sum or difference of a and b has before it is
// rounded to the result's.
func Sum(a, b dtype.Type) dtype.Type {
	if a == b {
		return a
	}
	return dtype.F32
}

// Add writes a + b to dst: len(dst)/size(out) elements, as many as a and b
// have.
func Add(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type) {
	combine(dst, out, a, at, b, bt, add)
}

// Sub writes a - b to dst, otherwise as Add.
func Sub(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type) {
	combine(dst, out, a, at, b, bt, sub)
}

// Convert writes the elements of src to dst.
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

// convertFew runs a kernel on fewer elements than its block, in a copy.
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

// Floats writes the elements of src to dst, which is exact.
func Floats(dst []float32, src []byte, from dtype.Type) {
	checkLengths(len(dst), len(src)/size(from))
	for i := range dst {
		dst[i] = load(src[i*size(from):], from)
	}
}

// combine runs the kernel of an operation, or puts it together from others.
func combine(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, op operation) {
	checkLengths(len(dst)/size(out), len(a)/size(at))
	checkLengths(len(dst)/size(out), len(b)/size(bt))
	k := active.find(op, at, bt, out)
	if k.cached == nil && op == add { // the other way round it may have one
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

// combineFew runs a kernel on fewer elements than its block, in a copy.
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

// tileLen elements are widened, combined and narrowed at a time where there
// is no kernel for the whole: three tiles of fp32 stay in the L1 cache.
const tileLen = 1024

// scratch is space for three tiles. Kernels are called by pointer, so that
// arrays on the stack would be moved to the heap.
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
		panic("half: operands differ in length")
	}
}
