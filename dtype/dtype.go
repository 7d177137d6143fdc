// Package dtype names the types of tensor elements and computes the size of a
// tensor in bytes.
//
// The names are those of safetensors ("F16", "BF16", "I64", …) and, for types
// that store elements in blocks, those of GGUF ("Q8_0", …). A Type with any
// other name is unknown, and its size is zero.
package dtype

import "math"

// Type is the type of a tensor's elements.
type Type string

// The types that can hold a model's weights.
const (
	F32  Type = "F32"  // IEEE 754 binary32
	F16  Type = "F16"  // IEEE 754 binary16
	BF16 Type = "BF16" // the upper 16 bits of a binary32

	// Q8_0 stores a row in blocks of 32 elements: an fp16 scale followed by 32
	// signed 8-bit integers. Of the formats that this module reads, only GGUF
	// has it.
	Q8_0 Type = "Q8_0"
)

// bits maps each type of safetensors to the size of an element in bits.
var bits = map[Type]int64{
	"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
	"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
	"I16": 16, "U16": 16, "F16": 16, "BF16": 16,
	"I32": 32, "U32": 32, "F32": 32,
	"C64": 64, "F64": 64, "I64": 64, "U64": 64,
}

// blocks maps each block type of GGUF to the number of elements and of bytes in
// a block. A block never spans two rows.
// Source: GGML_QUANT_SIZES in constants.py of gguf 0.19.
var blocks = map[Type]struct{ elements, bytes int64 }{
	"Q1_0": {128, 18}, "Q4_0": {32, 18}, "Q4_1": {32, 20}, "Q5_0": {32, 22}, "Q5_1": {32, 24}, "Q8_0": {32, 34}, "Q8_1": {32, 40},
	"Q2_K": {256, 84}, "Q3_K": {256, 110}, "Q4_K": {256, 144}, "Q5_K": {256, 176}, "Q6_K": {256, 210}, "Q8_K": {256, 292},
	"IQ1_S": {256, 50}, "IQ1_M": {256, 56}, "IQ2_XXS": {256, 66}, "IQ2_XS": {256, 74}, "IQ2_S": {256, 82},
	"IQ3_XXS": {256, 98}, "IQ3_S": {256, 110}, "IQ4_NL": {32, 18}, "IQ4_XS": {256, 136},
	"TQ1_0": {256, 54}, "TQ2_0": {256, 66}, "MXFP4": {32, 17}, "NVFP4": {64, 36},
}

// Size returns the size of one element in bytes. It returns zero for unknown
// types, for types smaller than a byte, and for block types.
func (t Type) Size() int64 {
	switch t { // the types of hot paths, without a map lookup
	case F16, BF16:
		return 2
	case F32:
		return 4
	}
	return bits[t] / 8
}

// Bits returns the size of one element in bits. It returns zero for unknown
// types and for block types.
func (t Type) Bits() int64 { return bits[t] }

// IsFloat reports whether t is a plain floating-point type for weights: F32,
// F16 or BF16.
func (t Type) IsFloat() bool { return t == F32 || t == F16 || t == BF16 }

// IsWeight reports whether tensors of type t can hold a model's weights.
func (t Type) IsWeight() bool { return t.IsFloat() || t == Q8_0 }

// Decoded returns the type that elements of type t are decoded to: F32 for
// Q8_0, which loses nothing, and t itself for every other type.
func (t Type) Decoded() Type {
	if t == Q8_0 {
		return F32
	}
	return t
}

// Bytes returns the size in bytes of a tensor of type t with the given shape,
// outermost dimension first. It reports false if the type is unknown, if the
// size overflows an int64 or is not a whole number of bytes, or if the rows of
// a block type do not consist of whole blocks.
func (t Type) Bytes(shape []int64) (int64, bool) {
	n, ok := Elements(shape)
	if block, isBlock := blocks[t]; isBlock {
		if !ok || len(shape) == 0 || shape[len(shape)-1]%block.elements != 0 || n/block.elements > math.MaxInt64/block.bytes {
			return 0, false
		}
		return n / block.elements * block.bytes, true
	}
	size := bits[t]
	if !ok || size == 0 || n > math.MaxInt64/size || n*size%8 != 0 {
		return 0, false
	}
	return n * size / 8, true
}

// Elements returns the product of the dimensions of a shape. It reports false
// if a dimension is negative, or if a product of leading dimensions exceeds
// 2^63-1, even if a later dimension is zero.
func Elements(shape []int64) (int64, bool) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt64/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}
