package half

import "math"

// The blocks of ggml's type Q8_0.
const (
	// Block8 is the number of elements of a block.
	Block8 = 32
	// Block8Bytes is the number of bytes of a block: a scale of type F16, and
	// a signed byte for each element.
	Block8Bytes = 2 + Block8

	floats8 = 4 * Block8 // bytes of a block of F32
)

// Quantize8 writes the F32 numbers of src to dst as blocks of Q8_0. src is a
// whole number of blocks of 32 numbers, dst has 34 bytes for each; they do not
// overlap.
//
// The rule is that of the Python package gguf 0.19, byte for byte: the scale d
// is the largest magnitude divided by 127, in fp32; each number times 1/d, in
// fp32, is rounded to the nearest whole number, halves away from zero; d is
// stored as F16, which is infinite where the largest magnitude is above
// 8,321,000 or so. A block whose d is zero, or so small that 1/d is infinite,
// becomes zeros.
//
// A block that holds an infinity, or a NaN, has the scale inf, or the one NaN
// of F16, and zeros. That is what gguf gives on the processors it was checked
// on; it leaves the conversion of NaN to a whole number to them, and copies a
// NaN's payload. Refuse such weights before, as FirstNonFinite finds them.
func Quantize8(dst, src []byte) {
	checkBlocks(len(dst), len(src))
	for len(src) >= floats8 && len(dst) >= Block8Bytes {
		quantizeBlock((*[Block8Bytes]byte)(dst), (*[floats8]byte)(src))
		src, dst = src[floats8:], dst[Block8Bytes:]
	}
}

func quantizeBlock(dst *[Block8Bytes]byte, src *[floats8]byte) {
	var a, b uint32 // two, so that neither waits for the other
	for i := 0; i < floats8; i += 8 {
		a = max(a, le.Uint32(src[i:])&abs32)
		b = max(b, le.Uint32(src[i+4:])&abs32)
	}
	top := math.Float32frombits(max(a, b))
	d := top / 127
	le.PutUint16(dst[:], ToF16(d))
	twice := 2 / d // the double of 1/d exactly, as long as it is finite
	if !(twice > 0 && twice <= math.MaxFloat32) {
		quantizeEdge(dst, src, d)
		return
	}
	for i := 0; i < Block8; i += 8 {
		s := (*[32]byte)(src[4*i:])
		le.PutUint64(dst[2+i:], quant8(le.Uint32(s[0:]), twice)|quant8(le.Uint32(s[4:]), twice)<<8|
			quant8(le.Uint32(s[8:]), twice)<<16|quant8(le.Uint32(s[12:]), twice)<<24|
			quant8(le.Uint32(s[16:]), twice)<<32|quant8(le.Uint32(s[20:]), twice)<<40|
			quant8(le.Uint32(s[24:]), twice)<<48|quant8(le.Uint32(s[28:]), twice)<<56)
	}
}

// quant8 is a number times half of twice, rounded, as a byte: of twice the
// result, cut off to a whole number k, half of what is 1 further from zero,
// cut off.
func quant8(bits uint32, twice float32) uint64 {
	k := int32(float32(math.Float32frombits(bits) * twice))
	return uint64(uint8((k + (k>>31 | 1)) / 2))
}

// quantizeEdge does the blocks whose scale is zero, infinite or NaN, or so
// small that the double of 1/d is no number.
func quantizeEdge(dst *[Block8Bytes]byte, src *[floats8]byte, d float32) {
	inverse := 1 / d
	if !(inverse <= math.MaxFloat32) { // infinite or NaN
		inverse = 0
	}
	for i := range Block8 {
		x := math.Float32frombits(le.Uint32(src[4*i:]))
		dst[2+i] = 0
		if inverse > 0 {
			r := math.Round(float64(float32(x * inverse))) // away from zero
			dst[2+i] = uint8(int8(r))
		}
	}
}

// Dequantize8 writes the blocks of Q8_0 in src to dst as F32 numbers: each
// byte times its block's scale, which is exact. src is a whole number of
// blocks of 34 bytes, dst has 128 bytes for each; they do not overlap.
func Dequantize8(dst, src []byte) {
	checkBlocks(len(src), len(dst))
	for len(src) >= Block8Bytes && len(dst) >= floats8 {
		dequantizeBlock((*[floats8]byte)(dst), (*[Block8Bytes]byte)(src))
		src, dst = src[Block8Bytes:], dst[floats8:]
	}
}

func dequantizeBlock(dst *[floats8]byte, src *[Block8Bytes]byte) {
	h := le.Uint16(src[:])
	d := FromF16(h)
	if h&exponent16 == exponent16 { // the product may be NaN
		for i := range Block8 {
			le.PutUint32(dst[4*i:], canonical(float32(int8(src[2+i]))*d))
		}
		return
	}
	for i := 0; i < Block8; i += 2 {
		x := math.Float32bits(float32(int8(src[2+i])) * d)
		y := math.Float32bits(float32(int8(src[3+i])) * d)
		le.PutUint64(dst[4*i:], uint64(x)|uint64(y)<<32)
	}
}

func checkBlocks(blocks, floats int) {
	if blocks%Block8Bytes != 0 || floats%floats8 != 0 || blocks/Block8Bytes != floats/floats8 {
		panic("half: no whole blocks, or operands that differ in length")
	}
}
