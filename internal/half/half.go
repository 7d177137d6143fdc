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
// wider than that source's; other overlaps are not allowed.
package half

// Type names a type of number as safetensors does.
type Type string

// The types that weights are stored in.
const (
	F32  Type = "F32"
	F16  Type = "F16"
	BF16 Type = "BF16"
)

// Size is the number of bytes that one element takes.
func (t Type) Size() int {
	if t == F32 {
		return 4
	}
	return 2
}

// Sum is the type that a sum or difference of a and b has before it is
// rounded to the result's.
func Sum(a, b Type) Type {
	if a == b {
		return a
	}
	return F32
}

// Add writes a + b to dst. Lengths must agree: len(dst)/out.Size() elements
// in each of the three.
func Add(dst []byte, out Type, a []byte, at Type, b []byte, bt Type) {
	combine(dst, out, a, at, b, bt, addTile)
}

// Sub writes a - b to dst, otherwise as Add.
func Sub(dst []byte, out Type, a []byte, at Type, b []byte, bt Type) {
	combine(dst, out, a, at, b, bt, subTile)
}

// Convert writes the elements of src to dst.
func Convert(dst []byte, to Type, src []byte, from Type) {
	checkLengths(len(dst)/to.Size(), len(src)/from.Size())
	if to == from {
		copy(dst, src)
		return
	}
	var tile [tileLen]float32
	for len(dst) > 0 {
		n := min(tileLen, len(dst)/to.Size())
		widen(tile[:n], src, from)
		narrow(dst, tile[:n], to)
		src, dst = src[n*from.Size():], dst[n*to.Size():]
	}
}

// Floats writes the elements of src to dst, which is exact.
func Floats(dst []float32, src []byte, from Type) {
	checkLengths(len(dst), len(src)/from.Size())
	widen(dst, src, from)
}

// tileLen elements are widened, combined and narrowed at a time: three such
// tiles of fp32 stay in the L1 cache.
const tileLen = 1024

// combine is widen, combine, round to the sum's type, narrow.
func combine(dst []byte, out Type, a []byte, at Type, b []byte, bt Type, op func(x, y []float32)) {
	checkLengths(len(dst)/out.Size(), len(a)/at.Size())
	checkLengths(len(dst)/out.Size(), len(b)/bt.Size())
	sum := Sum(at, bt)
	var x, y [tileLen]float32
	for len(dst) > 0 {
		n := min(tileLen, len(dst)/out.Size())
		widen(x[:n], a, at)
		widen(y[:n], b, bt)
		op(x[:n], y[:n])
		if sum != F32 && sum != out {
			roundTile(x[:n], sum)
		}
		narrow(dst, x[:n], out)
		a, b, dst = a[n*at.Size():], b[n*bt.Size():], dst[n*out.Size():]
	}
}

func checkLengths(dst, src int) {
	if dst != src {
		panic("half: operands differ in length")
	}
}
