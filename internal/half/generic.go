package half

import (
	"encoding/binary"
	"math"
)

var le = binary.LittleEndian

// widen reads len(dst) elements of src.
func widen(dst []float32, src []byte, from Type) {
	src = src[:len(dst)*from.Size()]
	switch from {
	case F16:
		widenF16(dst, src)
	case BF16:
		widenBF16(dst, src)
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	}
}

// Four 16-bit lanes of one word, and the exponent's place in fp16.
const (
	lanes      = 0x0001000100010001
	exponent16 = 0x7c00
)

// widenF16 takes four elements at a time where all are normal: only then does
// no exponent need a case of its own.
func widenF16(dst []float32, src []byte) {
	for len(dst) >= 4 && len(src) >= 8 {
		x := le.Uint64(src)
		e := x & (exponent16 * lanes)
		// A carry into the sign's place shows an exponent that is not zero;
		// with the smallest step added, one that is all ones.
		if ((e+exponent16*lanes)&^(e+0x0400*lanes))&(0x8000*lanes) == 0x8000*lanes {
			d := dst[:4:4]
			d[0], d[1] = normalF16(uint32(x)), normalF16(uint32(x>>16))
			d[2], d[3] = normalF16(uint32(x>>32)), normalF16(uint32(x>>48))
		} else {
			for i := range 4 {
				dst[i] = FromF16(uint16(x >> (16 * i)))
			}
		}
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = FromF16(le.Uint16(src[2*i:]))
	}
}

// normalF16 is the value of the normal number in the low 16 bits of h.
func normalF16(h uint32) float32 {
	return math.Float32frombits(h<<16&0x80000000 | (h&0x7fff)<<13 + (127-15)<<23)
}

func widenBF16(dst []float32, src []byte) {
	for len(dst) >= 4 && len(src) >= 8 {
		x := le.Uint64(src)
		d := dst[:4:4]
		d[0], d[1] = math.Float32frombits(uint32(x)<<16), math.Float32frombits(uint32(x)&0xffff0000)
		d[2], d[3] = math.Float32frombits(uint32(x>>16)&0xffff0000), math.Float32frombits(uint32(x>>32)&0xffff0000)
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16)
	}
}

// narrow rounds src to the type and writes it.
func narrow(dst []byte, src []float32, to Type) {
	dst = dst[:len(src)*to.Size()]
	switch to {
	case F16:
		for i, f := range src {
			le.PutUint16(dst[2*i:], ToF16(f))
		}
	case BF16:
		narrowBF16(dst, src)
	case F32:
		for i, f := range src {
			le.PutUint32(dst[4*i:], canonical(f))
		}
	}
}

func narrowBF16(dst []byte, src []float32) {
	for len(src) >= 4 && len(dst) >= 8 {
		s := src[:4:4]
		le.PutUint64(dst, uint64(ToBF16(s[0]))|uint64(ToBF16(s[1]))<<16|uint64(ToBF16(s[2]))<<32|uint64(ToBF16(s[3]))<<48)
		src, dst = src[4:], dst[8:]
	}
	for i, f := range src {
		le.PutUint16(dst[2*i:], ToBF16(f))
	}
}

// canonical is the pattern of f with every NaN made the same.
func canonical(f float32) uint32 {
	if f != f {
		return nan32
	}
	return math.Float32bits(f)
}

// roundTile rounds to a narrower type in place.
func roundTile(x []float32, t Type) {
	for i, f := range x {
		if t == F16 {
			x[i] = FromF16(ToF16(f))
		} else {
			x[i] = FromBF16(ToBF16(f))
		}
	}
}

func addTile(x, y []float32) {
	y = y[:len(x)]
	for i := range x {
		x[i] += y[i]
	}
}

func subTile(x, y []float32) {
	y = y[:len(x)]
	for i := range x {
		x[i] -= y[i]
	}
}

// FirstNonFinite is the index of the first element that is infinite or NaN,
// -1 when there is none.
func FirstNonFinite(src []byte, t Type) int {
	if t == F32 {
		for i := 0; i+4 <= len(src); i += 4 {
			if le.Uint32(src[i:])&inf32 == inf32 {
				return i / 4
			}
		}
		return -1
	}
	exponent := uint16(exponent16)
	if t == BF16 {
		exponent = 0x7f80
	}
	return firstFull16(src, exponent)
}

// firstFull16 finds the first 16-bit element whose exponent bits are all set.
// It looks at four at a time: adding one at the exponent's lowest place
// carries into the sign place exactly when all are set.
func firstFull16(src []byte, exponent uint16) int {
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
