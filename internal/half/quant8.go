package half

import "math"

// The dimensions of the blocks of ggml's type Q8_0.
const (
	// Block8 is the number of elements of a block.
	Block8 = 32
	// Block8Bytes is the number of bytes of a block: a scale of type F16, and a
	// signed byte for each element.
	Block8Bytes = 2 + Block8

	floats8 = 4 * Block8 // size in bytes of the numbers of a block as F32
)

// Quantize8 converts the F32 numbers of src to blocks of Q8_0 and writes them
// to dst. The number of numbers is a multiple of 32, and dst has 34 bytes for
// each 32 numbers. The slices must not overlap.
//
// The result is that of the Python package gguf 0.19, byte for byte. The scale
// d is the largest magnitude divided by 127, in fp32. Each number is multiplied
// by 1/d in fp32 and rounded to the nearest integer, halves away from zero. d
// is stored as F16, which is infinite if the largest magnitude exceeds about
// 8,321,000. A block becomes zeros if d is zero, or so small that 1/d is
// infinite.
//
// A block with an infinity or a NaN gets zeros and the scale inf, or the one
// NaN of F16. This is what gguf gives on the processors where it was checked.
// It leaves the conversion of NaN to an integer to the processor, and copies
// the payload of a NaN. Callers should refuse such weights: see FirstNonFinite.
func Quantize8(dst, src []byte) {
	checkBlocks(len(dst), len(src))
	for len(src) >= floats8 && len(dst) >= Block8Bytes {
		quantizeBlock((*[Block8Bytes]byte)(dst), (*[floats8]byte)(src))
		src, dst = src[floats8:], dst[Block8Bytes:]
	}
}

func quantizeBlock(dst *[Block8Bytes]byte, src *[floats8]byte) {
	var a, b uint32 // two maxima, which the processor computes in parallel
	for i := 0; i < floats8; i += 8 {
		a = max(a, le.Uint32(src[i:])&abs32)
		b = max(b, le.Uint32(src[i+4:])&abs32)
	}
	// Bits of magnitudes compare like the magnitudes, with infinity and NaN on
	// top.
	top := math.Float32frombits(max(a, b))
	d := top / 127
	le.PutUint16(dst[:], ToF16(d))
	twice := 2 / d // exactly 2 · (1/d), as long as it is finite
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

// quant8 returns the number times twice/2, rounded, as a byte. Truncating the
// product with twice gives an integer k. Moving k away from zero by 1, halving
// and truncating rounds halves away from zero.
func quant8(bits uint32, twice float32) uint64 {
	k := int32(float32(math.Float32frombits(bits) * twice))
	return uint64(uint8((k + (k>>31 | 1)) / 2))
}

// quantizeEdge quantizes a block whose scale is zero, infinite or NaN, or so
// small that 2 · (1/d) overflows.
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

// Dequantize8 converts the blocks of Q8_0 in src to F32 numbers and writes them
// to dst. Each number is its byte times the scale of its block, which is exact.
// src consists of blocks of 34 bytes, and dst has 128 bytes for each. The
// slices must not overlap.
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
		panic("half: the operands are not whole blocks, or their lengths differ")
	}
}
