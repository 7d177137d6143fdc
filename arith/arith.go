// Package arith adds, subtracts and converts arrays of fp16, bf16 and fp32
// numbers with the rounding of numpy and ml_dtypes, as package diff does when it
// recovers a model. Wrap the bytes in an Array and call Add, Sub or Convert.
package arith

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/x448/float16"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
)

// Array is a slice of numbers as checkpoints store them, with their type:
// little-endian bytes, row by row, at any alignment.
type Array struct {
	DType dtype.Type // F16, BF16 or F32
	Data  []byte     // the bytes of the elements
}

// Len returns the number of elements. Bytes after the last whole element do not
// count.
func (a Array) Len() int {
	if !a.DType.IsFloat() {
		return 0
	}
	return len(a.Data) / int(a.DType.Size())
}

// Add writes a + b to dst, element by element, by the rules of numpy with
// ml_dtypes. Operands of one type are added in that type, others in fp32, and
// the sum is rounded to the type of dst. Each rounding is to nearest, ties to
// even. Denormals are kept, overflow becomes infinite, and every NaN becomes
// the one quiet NaN of its type. The bits are the same on every machine.
//
// All three arrays have the same number of elements. dst may share all of its
// memory with a or b if its elements are not wider; other overlaps give wrong
// results. Add returns an error, and writes nothing, if the lengths differ or a
// type is not F16, BF16 or F32.
func Add(dst, a, b Array) error {
	if err := check(dst, a, b); err != nil {
		return err
	}
	half.Add(dst.Data, dst.DType, a.Data, a.DType, b.Data, b.DType)
	return nil
}

// Sub writes a - b to dst, by the rules of Add.
func Sub(dst, a, b Array) error {
	if err := check(dst, a, b); err != nil {
		return err
	}
	half.Sub(dst.Data, dst.DType, a.Data, a.DType, b.Data, b.DType)
	return nil
}

// Convert writes src to dst, rounded as by Add. To the same type it copies the
// bits.
func Convert(dst, src Array) error {
	if err := check(dst, src); err != nil {
		return err
	}
	half.Convert(dst.Data, dst.DType, src.Data, src.DType)
	return nil
}

// AddTransposed writes a + bᵀ to dst, where dst and a are matrices of rows ×
// cols and b is a matrix of cols × rows. The rules are those of Add, but dst
// must not share memory with b.
func AddTransposed(dst, a, b Array, rows, cols int) error {
	if err := check(dst, a, b); err != nil {
		return err
	}
	if rows < 0 || cols < 0 || rows*cols != dst.Len() {
		return fmt.Errorf("%d elements are not a matrix of %d × %d", dst.Len(), rows, cols)
	}
	half.AddTransposed(dst.Data, dst.DType, a.Data, a.DType, b.Data, b.DType, cols, rows, nil)
	return nil
}

// FirstNonFinite returns the index of the first element that is infinite or
// NaN, -1 if there is none.
func FirstNonFinite(a Array) int {
	if a.Len() == 0 {
		return -1
	}
	return half.FirstNonFinite(a.Data[:a.Len()*int(a.DType.Size())], a.DType)
}

// Magnitude describes how large the elements of an array are.
type Magnitude struct {
	Count      int     // number of elements
	NonFinite  int     // number of elements that are infinite or NaN; Max and SumSquares leave them out
	Max        float32 // the largest magnitude
	SumSquares float64 // the same on every machine
}

// RMS returns the root mean square of the finite elements.
func (m Magnitude) RMS() float64 {
	return math.Sqrt(m.SumSquares / float64(max(m.Count-m.NonFinite, 1)))
}

// Measure returns the Magnitude of an array.
func Measure(a Array) Magnitude {
	if a.Len() == 0 {
		return Magnitude{}
	}
	return Magnitude(half.Measure(a.Data[:a.Len()*int(a.DType.Size())], a.DType))
}

// Halves returns an Array over the memory of x448/float16 values. It copies
// nothing on a little-endian machine: a change of one is a change of the other.
// On a big-endian machine it copies.
func Halves(v []float16.Float16) Array {
	if !littleEndian() {
		b := make([]byte, 0, 2*len(v))
		for _, h := range v {
			b = append(b, byte(h), byte(h>>8))
		}
		return Array{dtype.F16, b}
	}
	return Array{dtype.F16, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 2*len(v))}
}

func littleEndian() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}

// ErrType is the kind of errors about an Array of a type that is not F16, BF16
// or F32.
var ErrType = errors.New("not a float type")

// check compares types and lengths.
func check(dst Array, operands ...Array) error {
	for _, a := range append(operands, dst) {
		if !a.DType.IsFloat() {
			return fmt.Errorf("array of type %q, want dtype.F16, dtype.BF16 or dtype.F32: %w", a.DType, ErrType)
		}
		if a.Len() != dst.Len() || len(a.Data)%int(a.DType.Size()) != 0 {
			return fmt.Errorf("array of %d bytes of %s, want %d elements as in the result", len(a.Data), a.DType, dst.Len())
		}
	}
	return nil
}
