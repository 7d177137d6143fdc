package half

import (
	"math"

	"github.com/koala-go/sdk/dtype"
)

// The bits of the one NaN of each type. The sign and the payload of the NaN
// that an operation produces differ between processors.
const (
	nan16   = 0x7e00
	nanBF16 = 0x7fc0
	nan32   = 0x7fc00000
)

const (
	inf32 = 0x7f800000
	abs32 = 0x7fffffff
)

// FromF16 returns the value of the IEEE 754 binary16 number with bits h.
func FromF16(h uint16) float32 {
	sign, mag := uint32(h&0x8000)<<16, uint32(h&0x7fff)<<13
	switch {
	case mag >= 0x7c00<<13: // inf, nan
		if mag > 0x7c00<<13 {
			return math.Float32frombits(nan32)
		}
		return math.Float32frombits(sign | inf32)
	case mag < 0x0400<<13: // denormal, zero: m·2^-24 = (2^-14 + m·2^-24) - 2^-14
		const base = 0x38800000 // 2^-14
		f := math.Float32frombits(base|mag) - math.Float32frombits(base)
		return math.Float32frombits(sign | math.Float32bits(f))
	}
	return math.Float32frombits(sign | mag + (127-15)<<23)
}

// ToF16 returns the bits of f rounded to binary16, to nearest, ties to even.
func ToF16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign, mag := uint16(bits>>16&0x8000), bits&abs32
	switch {
	case mag >= 0x47800000: // 2^16 and above
		if mag > inf32 {
			return nan16
		}
		return sign | 0x7c00
	case mag < 0x38800000: // below 2^-14: the addition of 2^-1 rounds at 2^-24
		const half = 0x3f000000
		r := math.Float32frombits(mag) + math.Float32frombits(half)
		return sign | uint16(math.Float32bits(r)-half)
	}
	// Adding 0xfff, and one more if the result would be odd, rounds to nearest
	// even. A carry out of the mantissa correctly increments the exponent.
	mag += 0xfff + mag>>13&1
	return sign | uint16((mag-(127-15)<<23)>>13)
}

// FromBF16 returns the value of the bfloat16 number with bits h.
func FromBF16(h uint16) float32 {
	bits := uint32(h) << 16
	if bits&abs32 > inf32 {
		bits = nan32
	}
	return math.Float32frombits(bits)
}

// ToBF16 returns the bits of f rounded to bfloat16, to nearest, ties to even.
func ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&abs32 > inf32 {
		return nanBF16
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// canonical returns the bits of f, with every NaN replaced by one.
func canonical(f float32) uint32 {
	if f != f {
		return nan32
	}
	return math.Float32bits(f)
}

// load returns the value of the first element of b.
func load(b []byte, t dtype.Type) float32 {
	switch t {
	case dtype.F16:
		return FromF16(le.Uint16(b))
	case dtype.BF16:
		return FromBF16(le.Uint16(b))
	}
	return math.Float32frombits(le.Uint32(b))
}

// store writes f, rounded to type t, to the first element of b.
func store(b []byte, t dtype.Type, f float32) {
	switch t {
	case dtype.F16:
		le.PutUint16(b, ToF16(f))
	case dtype.BF16:
		le.PutUint16(b, ToBF16(f))
	default:
		le.PutUint32(b, canonical(f))
	}
}

// round returns f rounded to type t.
func round(f float32, t dtype.Type) float32 {
	switch t {
	case dtype.F16:
		return FromF16(ToF16(f))
	case dtype.BF16:
		return FromBF16(ToBF16(f))
	}
	return f
}

// operation is add or sub. Its value is the bit to flip in the second operand
// before the addition.
type operation uint32

const (
	add operation = 0
	sub operation = 1 << 31
)

func (op operation) of(x, y float32) float32 { return x + op.flip(y) }

// flip returns x with its sign flipped if op is sub.
func (op operation) flip(x float32) float32 {
	return math.Float32frombits(math.Float32bits(x) ^ uint32(op))
}

// combineReference is Add and Sub, one element at a time. It defines the
// results of all kernels.
func combineReference(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, op operation) {
	for i := range len(dst) / size(out) {
		r := op.of(load(a[i*size(at):], at), load(b[i*size(bt):], bt))
		store(dst[i*size(out):], out, round(r, Sum(at, bt)))
	}
}

// convertReference is Convert to another type, one element at a time.
func convertReference(dst []byte, to dtype.Type, src []byte, from dtype.Type) {
	for i := range len(dst) / size(to) {
		store(dst[i*size(to):], to, load(src[i*size(from):], from))
	}
}

// canonicalFloat returns f, with every NaN replaced by one.
func canonicalFloat(f float32) float32 { return math.Float32frombits(canonical(f)) }

// dotReference returns the sum of the products of two rows as in MulRows. It
// defines the results of all kernels.
func dotReference(w []byte, wt dtype.Type, x []float32) float32 {
	var lanes [sumLanes]float32
	for c, v := range x {
		product := float32(load(w[c*size(wt):], wt) * v) // rounded, not fused
		lanes[c%sumLanes] += product
	}
	for half := sumLanes / 2; half > 0; half /= 2 {
		for j := range half {
			lanes[j] += lanes[j+half]
		}
	}
	return canonicalFloat(lanes[0])
}
