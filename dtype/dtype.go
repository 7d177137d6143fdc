// Package dtype names the types of tensor elements and computes the size of a
// tensor in bytes.
//
// The names are those of safetensors ("F16", "BF16", "I64", …) and, for types
// that store elements in blocks, those of GGUF ("Q8_0", …). A Type with any
// other name is unknown, and its size is zero.
package dtype

import (
	"maps"
	"math"
	"slices"
)

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

// row holds what the package knows of one type.
type row struct {
	bits            int64 // of one element, 0 for types that store elements in blocks
	elements, bytes int64 // of a block
	decoded         Type  // what weights of the type are decoded to, "" if it cannot hold weights
}

// table holds the types that safetensors names and the block types of GGUF. A
// block does not cross a row. A type that can hold weights and is not a float type
// also needs a row in the table of codecs of internal/half.
// Source of the blocks: GGML_QUANT_SIZES in constants.py of gguf 0.19.
var table = map[Type]row{
	F32: {bits: 32, decoded: F32}, F16: {bits: 16, decoded: F16}, BF16: {bits: 16, decoded: BF16},
	Q8_0: {elements: 32, bytes: 34, decoded: F32},

	"F4": {bits: 4}, "F6_E2M3": {bits: 6}, "F6_E3M2": {bits: 6},
	"BOOL": {bits: 8}, "U8": {bits: 8}, "I8": {bits: 8}, "F8_E5M2": {bits: 8}, "F8_E4M3": {bits: 8}, "F8_E8M0": {bits: 8},
	"F8_E4M3FNUZ": {bits: 8}, "F8_E5M2FNUZ": {bits: 8},
	"I16": {bits: 16}, "U16": {bits: 16},
	"I32": {bits: 32}, "U32": {bits: 32},
	"C64": {bits: 64}, "F64": {bits: 64}, "I64": {bits: 64}, "U64": {bits: 64},

	"Q1_0": block(128, 18), "Q4_0": block(32, 18), "Q4_1": block(32, 20), "Q5_0": block(32, 22), "Q5_1": block(32, 24), "Q8_1": block(32, 40),
	"Q2_K": block(256, 84), "Q3_K": block(256, 110), "Q4_K": block(256, 144), "Q5_K": block(256, 176), "Q6_K": block(256, 210), "Q8_K": block(256, 292),
	"IQ1_S": block(256, 50), "IQ1_M": block(256, 56), "IQ2_XXS": block(256, 66), "IQ2_XS": block(256, 74), "IQ2_S": block(256, 82),
	"IQ3_XXS": block(256, 98), "IQ3_S": block(256, 110), "IQ4_NL": block(32, 18), "IQ4_XS": block(256, 136),
	"TQ1_0": block(256, 54), "TQ2_0": block(256, 66), "MXFP4": block(32, 17), "NVFP4": block(64, 36),
}

func block(elements, bytes int64) row { return row{elements: elements, bytes: bytes} }

// WeightTypes returns the types that can hold a model's weights, by name.
func WeightTypes() []Type {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(table)), func(t Type) bool { return !t.IsWeight() })
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
	return table[t].bits / 8
}

// Bits returns the number of bits of one element. It is zero for unknown types
// and for types that store elements in blocks.
func (t Type) Bits() int64 { return table[t].bits }

// Block returns the number of elements and of bytes of the smallest run of
// elements that is stored by itself: a block, or one element. Both are zero
// for unknown types and for types of less than a byte.
func (t Type) Block() (elements, bytes int64) {
	if r := table[t]; r.elements > 0 {
		return r.elements, r.bytes
	}
	return min(t.Size(), 1), t.Size()
}

// IsFloat reports whether t is a plain floating-point type for weights: F32,
// F16 or BF16.
func (t Type) IsFloat() bool { return t == F32 || t == F16 || t == BF16 }

// IsWeight reports whether tensors of type t can hold a model's weights.
func (t Type) IsWeight() bool { return t.IsFloat() || table[t].decoded != "" }

// Decoded returns the type that elements of type t are read as: F32 for types
// of blocks that can hold weights, which is exact, and t itself for every other
// type.
func (t Type) Decoded() Type {
	if t.IsFloat() || table[t].decoded == "" {
		return t
	}
	return table[t].decoded
}

// Bytes returns the size in bytes of a tensor of type t with the given shape,
// outermost dimension first. It reports false if the type is unknown, if the
// size overflows an int64 or is not a whole number of bytes, or if the rows of
// a block type do not consist of whole blocks.
func (t Type) Bytes(shape []int64) (int64, bool) {
	n, ok := Elements(shape)
	r := table[t]
	if r.elements > 0 {
		if !ok || len(shape) == 0 || shape[len(shape)-1]%r.elements != 0 || n/r.elements > math.MaxInt64/r.bytes {
			return 0, false
		}
		return n / r.elements * r.bytes, true
	}
	if !ok || r.bits == 0 || n > math.MaxInt64/r.bits || n*r.bits%8 != 0 {
		return 0, false
	}
	return n * r.bits / 8, true
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
