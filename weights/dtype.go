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
)

// IsWeight says whether weights come in this type.
func (t DType) IsWeight() bool { return t == F32 || t == F16 || t == BF16 }

// Size is the number of bytes of one element, 0 for types of less than a byte
// and for unknown ones.
func (t DType) Size() int64 { return wire.DTypeBits(string(t)) / 8 }

// kernel is the type as the arithmetic calls it.
func (t DType) kernel() half.Type { return half.Type(t) }
