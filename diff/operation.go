package diff

import (
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
)

// operation is the arithmetic of a run.
type operation struct {
	name    string
	formula string // for people
	combine func(dst []byte, out dtype.Type, blocks [][]byte, types []dtype.Type)
	// combineTransposed combines block a with the transpose of block b. Nil means
	// that the operation has a single input.
	combineTransposed func(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, rows, cols int, order []int32)
	// commutes is set if the order of the blocks does not matter.
	commutes bool
	// dtype is the output's default type. Empty means the type of the input.
	dtype dtype.Type
}

var (
	recovery = &operation{"recover", "base + diff", func(dst []byte, out dtype.Type, x [][]byte, t []dtype.Type) {
		half.Add(dst, out, x[0], t[0], x[1], t[1])
	}, half.AddTransposed, true, dtype.BF16}
	difference = &operation{"diff", "target - base", func(dst []byte, out dtype.Type, x [][]byte, t []dtype.Type) {
		half.Sub(dst, out, x[0], t[0], x[1], t[1])
	}, half.SubTransposed, false, dtype.BF16}
	conversion = &operation{"convert", "input", func(dst []byte, out dtype.Type, x [][]byte, t []dtype.Type) {
		half.Convert(dst, out, x[0], t[0])
	}, nil, true, ""}
)
