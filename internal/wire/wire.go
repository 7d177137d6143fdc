// Package wire holds what the checkpoint formats share: errors that know
// where they happened, a cursor that never believes a length, a strict JSON
// reader, and the description of one stored array.
//
// Everything reads from an io.ReaderAt of known size, so that a file, a byte
// slice and a remote object are the same thing to a parser.
package wire

import (
	"io"
	"math"
)

// Tensor is one array of numbers in a file.
type Tensor struct {
	Name  string
	DType string  // as safetensors spells it: "F16", "BF16", "I64", …
	Shape []int64 // outermost dimension first; empty for a scalar

	// Offset is where the first byte of the data lies in the file.
	Offset int64

	// Data reads the elements: little-endian, row-major, contiguous,
	// Bytes() long.
	Data io.ReaderAt

	// Turned reads the elements column by column, for a matrix that the file
	// holds so; nil for all others. Data reads them row by row all the same,
	// but only with much seeking.
	Turned io.ReaderAt
}

// Piece is some bytes of a file that is to be written, and their place.
type Piece struct {
	Offset int64
	Bytes  []byte
}

// Bytes is the length of the tensor's data.
func (t *Tensor) Bytes() int64 {
	n, _ := DataSize(t.DType, t.Shape)
	return n
}

// dtypeBits is the size of one element of each type that safetensors names.
var dtypeBits = map[string]int64{
	"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
	"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
	"I16": 16, "U16": 16, "F16": 16, "BF16": 16,
	"I32": 32, "U32": 32, "F32": 32,
	"C64": 64, "F64": 64, "I64": 64, "U64": 64,
}

// blockTypes are the types of GGUF that store elements in blocks, which do not
// cross rows. Source: GGML_QUANT_SIZES in constants.py of gguf 0.19.
var blockTypes = map[string]struct{ elements, bytes int64 }{
	"Q1_0": {128, 18}, "Q4_0": {32, 18}, "Q4_1": {32, 20}, "Q5_0": {32, 22}, "Q5_1": {32, 24}, "Q8_0": {32, 34}, "Q8_1": {32, 40},
	"Q2_K": {256, 84}, "Q3_K": {256, 110}, "Q4_K": {256, 144}, "Q5_K": {256, 176}, "Q6_K": {256, 210}, "Q8_K": {256, 292},
	"IQ1_S": {256, 50}, "IQ1_M": {256, 56}, "IQ2_XXS": {256, 66}, "IQ2_XS": {256, 74}, "IQ2_S": {256, 82},
	"IQ3_XXS": {256, 98}, "IQ3_S": {256, 110}, "IQ4_NL": {32, 18}, "IQ4_XS": {256, 136},
	"TQ1_0": {256, 54}, "TQ2_0": {256, 66}, "MXFP4": {32, 17}, "NVFP4": {64, 36},
}

// DTypeBits is the size in bits of one element, 0 for an unknown type and for
// one that is stored in blocks.
func DTypeBits(dtype string) int64 { return dtypeBits[dtype] }

// Elements multiplies the dimensions, false when one is negative or the
// product passes 2^63-1 on the way (even when a later dimension is zero).
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

// DataSize is the number of bytes that an array takes, false when the type
// is unknown, the size overflows, or it is no whole number of bytes or, of
// rows that are stored in blocks, no whole number of blocks.
func DataSize(dtype string, shape []int64) (int64, bool) {
	if block, ok := blockTypes[dtype]; ok {
		n, ok := Elements(shape)
		if !ok || len(shape) == 0 || shape[len(shape)-1]%block.elements != 0 || n/block.elements > math.MaxInt64/block.bytes {
			return 0, false
		}
		return n / block.elements * block.bytes, true
	}
	bits := DTypeBits(dtype)
	n, ok := Elements(shape)
	if !ok || bits == 0 || n > math.MaxInt64/bits || n*bits%8 != 0 {
		return 0, false
	}
	return n * bits / 8, true
}

// ReadFull fills p from r at off. Unlike io.ReaderAt it gives a nil error
// whenever p was filled, io.ErrUnexpectedEOF when the input ends early, and
// it ends also with a reader that returns neither bytes nor an error.
func ReadFull(r io.ReaderAt, p []byte, off int64) error {
	for stalls := 0; len(p) > 0; {
		n, err := r.ReadAt(p, off)
		p, off = p[n:], off+int64(n)
		switch {
		case len(p) == 0:
			return nil
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case n > 0:
			stalls = 0
		default:
			if stalls++; stalls > 100 {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}
