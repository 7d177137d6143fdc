package arith

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/x448/float16"

	"github.com/koala-go/sdk/dtype"
)

// The sum of fp16 and bf16 numbers in bf16, as a recovery computes it.
func ExampleAdd() {
	base := []float16.Float16{float16.Fromfloat32(1), float16.Fromfloat32(0.5)}
	delta := Array{dtype.BF16, []byte{0x80, 0x3e, 0x00, 0xbf}} // 0.25, -0.5
	sum := Array{dtype.BF16, make([]byte, 4)}

	if err := Add(sum, Halves(base), delta); err != nil {
		fmt.Println(err)
		return
	}
	wide := make([]byte, 8)
	if err := Convert(Array{dtype.F32, wide}, sum); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%x as bf16, %x as fp32\n", sum.Data, wide)
	// Output: a03f0000 as bf16, 0000a03f00000000 as fp32
}

func TestArithmetic(t *testing.T) {
	a, b := Halves([]float16.Float16{0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600}), Array{dtype.F16, make([]byte, 12)}
	require.NoError(t, AddTransposed(b, a, a, 3, 2))
	// a as 3 × 2 is 1 2 / 3 4 / 5 6; as 2 × 3, turned, 1 4 / 2 5 / 3 6
	require.Equal(t, Halves([]float16.Float16{
		0x4000, 0x4600, 0x4500, 0x4880, 0x4800, 0x4a00,
	}).Data, b.Data)
	require.NoError(t, Sub(b, a, a))
	require.Equal(t, make([]byte, 12), b.Data)
	require.Equal(t, -1, FirstNonFinite(a))
	require.Equal(t, -1, FirstNonFinite(Array{dtype.F16, nil}))
	require.Equal(t, 1, FirstNonFinite(Halves([]float16.Float16{0x3c00, 0x7c00})))
}

func TestArithmeticErrors(t *testing.T) {
	four := func(dt dtype.Type) Array { return Array{dt, make([]byte, 4)} }
	require.Error(t, Add(four(dtype.F16), four(dtype.F16), four(dtype.F32)), "2 and 1 elements")
	require.Error(t, Sub(four(dtype.F32), four(dtype.F16), four(dtype.F16)))
	require.ErrorIs(t, Convert(four(dtype.F16), four("I16")), ErrType)
	require.Error(t, Convert(Array{dtype.F16, make([]byte, 3)}, Array{dtype.F16, make([]byte, 3)}), "half an element")
	require.Error(t, AddTransposed(four(dtype.F16), four(dtype.F16), four(dtype.F16), 2, 2))
}

func TestHalvesShareMemory(t *testing.T) {
	if !littleEndian() {
		t.Skip("a big-endian machine copies")
	}
	v := make([]float16.Float16, 3)
	Halves(v).Data[3] = 0x3c
	require.Equal(t, float16.Float16(0x3c00), v[1])
}

func TestMeasure(t *testing.T) {
	m := Measure(Halves([]float16.Float16{0x3c00, 0xc000, 0x7c00, 0x7e00, 0}))
	require.Equal(t, Magnitude{Count: 5, NonFinite: 2, Max: 2, SumSquares: 5}, m)
	require.InDelta(t, math.Sqrt(5.0/3), m.RMS(), 1e-12)
	require.Equal(t, Magnitude{}, Measure(Array{}))
}
