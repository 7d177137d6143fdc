package gguf

import (
	"slices"

	"github.com/koala-go/sdk/dtype"
)

// dtypes maps ggml's numbers of types to their names. Numbers that ggml no
// longer uses map to "". Source: GGMLQuantizationType in constants.py of gguf
// 0.19.
var dtypes = [...]dtype.Type{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
	10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K",
	16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS",
	24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16",
	34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
}

// DType returns the type that has the given number in ggml, or "" if no type
// has.
func DType(number uint32) dtype.Type {
	if number >= uint32(len(dtypes)) {
		return ""
	}
	return dtypes[number]
}

// number returns ggml's number of a type.
func number(dt dtype.Type) (n uint32, ok bool) {
	i := slices.Index(dtypes[:], dt)
	return uint32(i), i >= 0 && dt != ""
}
