package half

import (
	"math"

	"github.com/koala-go/sdk/dtype"
)

// convertGeneric converts between any two types by way of fp32.
func convertGeneric(dst []byte, to dtype.Type, src []byte, from dtype.Type) {
	switch {
	case from == dtype.F16 && to == dtype.F32:
		widenF16(dst, src)
	case from == dtype.BF16 && to == dtype.F32:
		widenBF16(dst, src)
	case from == dtype.F32 && to == dtype.F16:
		convertReference(dst, to, src, from)
	case from == dtype.F32 && to == dtype.BF16:
		narrowBF16(dst, src)
	default:
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		for len(dst) > 0 {
			n := min(tileLen, len(dst)/2)
			convertGeneric(s.z[:4*n], dtype.F32, src[:2*n], from)
			convertGeneric(dst[:2*n], to, s.z[:4*n], dtype.F32)
			dst, src = dst[2*n:], src[2*n:]
		}
	}
}

// combineGeneric replaces the fp32 numbers x by the result of the operation
// with y.
func combineGeneric(x, y []byte, op operation) {
	for len(x) >= 4 && len(y) >= 4 {
		r := op.of(math.Float32frombits(le.Uint32(x)), math.Float32frombits(le.Uint32(y)))
		le.PutUint32(x, canonical(r))
		x, y = x[4:], y[4:]
	}
}

// Constants for four 16-bit lanes in a word, and the masks of exponents.
const (
	lanes        = 0x0001000100010001
	exponent16   = 0x7c00
	exponentBF16 = 0x7f80
)

// widenF16 converts fp16 to fp32. It converts four elements at a time if all
// are normal, because only normal numbers share one formula.
func widenF16(dst, src []byte) {
	for len(dst) >= 16 && len(src) >= 8 {
		x := le.Uint64(src)
		if normal16(x) {
			le.PutUint64(dst, uint64(normalF16(uint32(x)))|uint64(normalF16(uint32(x>>16)))<<32)
			le.PutUint64(dst[8:], uint64(normalF16(uint32(x>>32)))|uint64(normalF16(uint32(x>>48)))<<32)
		} else {
			convertReference(dst[:16], dtype.F32, src, dtype.F16)
		}
		dst, src = dst[16:], src[8:]
	}
	convertReference(dst, dtype.F32, src, dtype.F16)
}

// normal16 reports whether four fp16 numbers are all normal. Adding the
// exponent's mask carries into the sign's bit if the exponent is not zero.
// Adding one to the exponent carries into it if the exponent is all ones.
func normal16(x uint64) bool {
	e := x & (exponent16 * lanes)
	return ((e+exponent16*lanes)&^(e+0x0400*lanes))&(0x8000*lanes) == 0x8000*lanes
}

// normalF16 returns the fp32 bits of the normal fp16 number in the low 16 bits
// of h.
func normalF16(h uint32) uint32 {
	return h<<16&0x80000000 | (h&0x7fff)<<13 + (127-15)<<23
}

// widenBF16 converts bf16 to fp32. It converts four elements at a time if none
// can be NaN.
func widenBF16(dst, src []byte) {
	for len(dst) >= 16 && len(src) >= 8 {
		x := le.Uint64(src)
		if finiteBF16(x) {
			le.PutUint64(dst, x<<16&0xffff0000|x<<32&^0xffffffffffff)
			le.PutUint64(dst[8:], x>>16&0xffff0000|x&^0xffffffffffff)
		} else {
			convertReference(dst[:16], dtype.F32, src, dtype.BF16)
		}
		dst, src = dst[16:], src[8:]
	}
	convertReference(dst, dtype.F32, src, dtype.BF16)
}

// finiteBF16 reports whether four bf16 numbers are all finite. Adding one to
// the exponent of any other number carries into the sign's bit.
func finiteBF16(x uint64) bool {
	return ((x&(exponentBF16*lanes))+0x0080*lanes)&(0x8000*lanes) == 0
}

func narrowBF16(dst, src []byte) {
	for len(src) >= 16 && len(dst) >= 8 {
		x, y := le.Uint64(src), le.Uint64(src[8:])
		le.PutUint64(dst, halfBF16(uint32(x))|halfBF16(uint32(x>>32))<<16|halfBF16(uint32(y))<<32|halfBF16(uint32(y>>32))<<48)
		src, dst = src[16:], dst[8:]
	}
	convertReference(dst, dtype.BF16, src, dtype.F32)
}

func halfBF16(bits uint32) uint64 { return uint64(ToBF16(math.Float32frombits(bits))) }

// FirstNonFinite returns the index of the first element that is infinite or
// NaN, or -1 if all are finite.
func FirstNonFinite(src []byte, t dtype.Type) int {
	if t == dtype.F32 {
		for i := 0; i+4 <= len(src); i += 4 {
			if le.Uint32(src[i:])&inf32 == inf32 {
				return i / 4
			}
		}
		return -1
	}
	exponent := uint16(exponent16)
	if t == dtype.BF16 {
		exponent = exponentBF16
	}
	skip := 0
	if body := len(src) / 2 &^ (kernelBlock - 1); body > 0 && active.firstNonFinite != nil {
		skip = active.firstNonFinite(&src[0], body, uint32(exponent)*0x10001)
	}
	if i := firstNonFinite16(src[2*skip:], exponent); i >= 0 {
		return skip + i
	}
	return -1
}

// firstNonFinite16 returns the index of the first 16-bit element whose exponent
// bits are all set, or -1. It tests four elements at a time: adding one to the
// exponent carries into the sign's bit exactly if all exponent bits are set.
func firstNonFinite16(src []byte, exponent uint16) int {
	mask := uint64(exponent) * lanes
	step := uint64(exponent&-exponent) * lanes
	i := 0
	for ; i+8 <= len(src); i += 8 {
		if ((le.Uint64(src[i:])&mask)+step)&(0x8000*lanes) != 0 {
			break
		}
	}
	for ; i+2 <= len(src); i += 2 {
		if le.Uint16(src[i:])&exponent == exponent {
			return i / 2
		}
	}
	return -1
}
