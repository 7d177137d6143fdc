package weights

import (
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/internal/wire"
)

// DType is the type of a tensor's elements, spelled as safetensors spells it.
type DType string

// The types that weights come in. Tensors of other types ("I64", "BOOL", …)
// are shown by Open but are no weights.
const (
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	// Q8_0 is GGUF's: blocks of 32 elements of a row, each block an fp16 scale
	// and 32 integers of 8 bits.
	Q8_0 DType = "Q8_0"
)

// IsWeight says whether weights come in this type.
func (t DType) IsWeight() bool { return t.isFloat() || t == Q8_0 }

// isFloat says whether the elements are floating-point numbers of their own.
func (t DType) isFloat() bool { return t == F32 || t == F16 || t == BF16 }

// Read is the type in which elements are read: F32 for those of Q8_0, which
// is exact, and the type itself for all others.
func (t DType) Read() DType {
	if t == Q8_0 {
		return F32
	}
	return t
}

// Size is the number of bytes of one element, 0 for types of less than a byte,
// for those of blocks and for unknown ones.
func (t DType) Size() int64 { return wire.DTypeBits(string(t)) / 8 }

// kernel is the type as the arithmetic calls it.
func (t DType) kernel() half.Type { return half.Type(t) }
