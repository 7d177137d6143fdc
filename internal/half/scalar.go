package half

import "math"

// One NaN for each type; an operation's sign and payload bits would differ
// between processors.
const (
	nan16   = 0x7e00
	nanBF16 = 0x7fc0
	nan32   = 0x7fc00000
)

const (
	inf32 = 0x7f800000
	abs32 = 0x7fffffff
)

// FromF16 is the value of an IEEE 754 binary16 pattern.
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

// ToF16 rounds to binary16, to nearest, ties to even.
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
	mag += 0xfff + mag>>13&1
	return sign | uint16((mag-(127-15)<<23)>>13)
}

// FromBF16 is the value of a bfloat16 pattern.
func FromBF16(h uint16) float32 {
	bits := uint32(h) << 16
	if bits&abs32 > inf32 {
		bits = nan32
	}
	return math.Float32frombits(bits)
}

// ToBF16 rounds to bfloat16, to nearest, ties to even.
func ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&abs32 > inf32 {
		return nanBF16
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
