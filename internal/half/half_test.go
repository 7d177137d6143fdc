package half

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/x448/float16"
)

// isNaN16 says whether a pattern of the type is a NaN.
func isNaN16(h uint16, t Type) bool {
	if t == F16 {
		return h&0x7fff > 0x7c00
	}
	return h&0x7fff > 0x7f80
}

func TestFromF16AgreesWithX448OnAll(t *testing.T) {
	for i := range 1 << 16 {
		got, want := FromF16(uint16(i)), float16.Frombits(uint16(i)).Float32()
		if want != want {
			require.Equalf(t, uint32(nan32), math.Float32bits(got), "%#04x", i)
			continue
		}
		require.Equalf(t, math.Float32bits(want), math.Float32bits(got), "%#04x", i)
	}
}

func TestToF16AgreesWithX448(t *testing.T) {
	check := func(bits uint32) {
		f := math.Float32frombits(bits)
		got, want := ToF16(f), float16.Fromfloat32(f).Bits()
		if f != f {
			want = nan16
		}
		if got != want {
			t.Fatalf("ToF16(%#08x) = %#04x, x448/float16 has %#04x", bits, got, want)
		}
	}
	for bits := uint64(0); bits < 1<<32; bits += 251 {
		check(uint32(bits))
	}
	for h := range uint16(0x7c00) { // around each midpoint of neighbouring halves, where rounding turns
		low := math.Float32bits(FromF16(h))
		next := math.Float32bits(65536)
		if h < 0x7bff {
			next = math.Float32bits(FromF16(h + 1))
		}
		middle := math.Float32bits((math.Float32frombits(low) + math.Float32frombits(next)) / 2)
		for _, bits := range []uint32{low, middle - 1, middle, middle + 1, next} {
			check(bits)
			check(bits | 1<<31)
		}
	}
}

// TestToBF16IsNearestEven checks against the definition: of the two
// neighbours the nearer, and of two equally near the even one.
func TestToBF16IsNearestEven(t *testing.T) {
	for high := range uint32(1 << 16) {
		for _, low := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
			bits := high<<16 | low
			want := uint16(high)
			if low > 0x8000 || low == 0x8000 && high&1 == 1 {
				want++
			}
			if bits&abs32 > inf32 {
				want = nanBF16
			}
			require.Equalf(t, want, ToBF16(math.Float32frombits(bits)), "%#08x", bits)
		}
	}
}

// reference is the oracle of the slice operations, one element at a time.
func reference(out Type, a []byte, at Type, b []byte, bt Type, sign float32) []byte {
	var dst []byte
	for len(a) > 0 {
		x, y := load(a, at), load(b, bt)
		s := x + sign*y
		switch Sum(at, bt) {
		case F16:
			s = FromF16(ToF16(s))
		case BF16:
			s = FromBF16(ToBF16(s))
		}
		dst = store(dst, s, out)
		a, b = a[at.Size():], b[bt.Size():]
	}
	return dst
}

func load(b []byte, t Type) float32 {
	switch t {
	case F16:
		return float16.Frombits(le.Uint16(b)).Float32()
	case BF16:
		return math.Float32frombits(uint32(le.Uint16(b)) << 16)
	}
	return math.Float32frombits(le.Uint32(b))
}

func store(dst []byte, f float32, t Type) []byte {
	switch t {
	case F16:
		return le.AppendUint16(dst, ToF16(f))
	case BF16:
		return le.AppendUint16(dst, ToBF16(f))
	}
	return le.AppendUint32(dst, canonical(f))
}

var types = []Type{F32, F16, BF16}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestSlicesAgreeWithReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 3, 7, 8, 1023, 1024, 1025, 3000} {
		for _, at := range types {
			for _, bt := range types {
				for _, out := range types {
					a, b := randomBytes(r, n*at.Size()+1)[1:], randomBytes(r, n*bt.Size()+3)[3:]
					dst := make([]byte, n*out.Size())
					Add(dst, out, a, at, b, bt)
					require.True(t, bytes.Equal(reference(out, a, at, b, bt, 1), dst), "%d: %s+%s→%s", n, at, bt, out)
					Sub(dst, out, a, at, b, bt)
					require.True(t, bytes.Equal(reference(out, a, at, b, bt, -1), dst), "%d: %s-%s→%s", n, at, bt, out)
				}
			}
		}
	}
}

func TestAddInPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	a, b := randomBytes(r, 5000), randomBytes(r, 5000)
	want := reference(BF16, a, F16, b, BF16, 1)
	inA, inB := bytes.Clone(a), bytes.Clone(b)
	Add(inA, BF16, inA, F16, b, BF16)
	require.Equal(t, want, inA)
	Add(inB, BF16, a, F16, inB, BF16)
	require.Equal(t, want, inB)
}

func TestLengthsMustAgree(t *testing.T) {
	require.Panics(t, func() { Add(make([]byte, 4), F16, make([]byte, 4), F16, make([]byte, 6), F16) })
	require.Panics(t, func() { Convert(make([]byte, 4), F16, make([]byte, 4), F32) })
}

func TestConvertToSameTypeCopies(t *testing.T) {
	src := []byte{0x01, 0xfc, 0xff, 0x7f} // two NaNs with payloads
	dst := make([]byte, 4)
	Convert(dst, F16, src, F16)
	require.Equal(t, src, dst)
}

func TestFirstNonFinite(t *testing.T) {
	for _, typ := range types {
		for n := range 40 {
			src := make([]byte, n*typ.Size())
			for i := range n { // the largest finite number everywhere
				store(src[i*typ.Size():i*typ.Size()], map[Type]float32{F16: 65504, BF16: 0x1.fep127, F32: math.MaxFloat32}[typ], typ)
			}
			require.Equal(t, -1, FirstNonFinite(src, typ))
			for i := range n {
				for _, bad := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
					one := bytes.Clone(src)
					store(one[i*typ.Size():i*typ.Size()], float32(bad), typ)
					require.Equal(t, i, FirstNonFinite(one, typ))
				}
			}
		}
	}
}

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, shape := range [][2]int{{1, 1}, {1, 9}, {9, 1}, {4, 4}, {5, 7}, {32, 32}, {33, 65}, {64, 48}, {100, 31}} {
		for _, size := range []int{2, 4} {
			for _, permuted := range []bool{false, true} {
				rows, cols := shape[0], shape[1]
				src := randomBytes(r, rows*cols*size)
				var order []int32
				if permuted {
					for _, v := range r.Perm(cols) {
						order = append(order, int32(v))
					}
				}
				dst := make([]byte, len(src))
				Transpose(dst, src, rows, cols, size, order)
				for y := range rows {
					for x := range cols {
						to := x
						if permuted {
							to = int(order[x])
						}
						require.Equal(t, src[(y*cols+x)*size:][:size], dst[(to*rows+y)*size:][:size])
					}
				}
			}
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	const n = 1 << 20
	x, y, dst := smallHalves(r, n, F16), smallHalves(r, n, BF16), make([]byte, 2*n)
	b.SetBytes(2 * n) // of output
	for b.Loop() {
		Add(dst, BF16, x, F16, y, BF16)
	}
}

func BenchmarkTranspose(b *testing.B) {
	src := make([]byte, 2048*2048*2)
	dst := make([]byte, len(src))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		Transpose(dst, src, 2048, 2048, 2, nil)
	}
}

// smallHalves are values as weights have them: around ±0.02.
func smallHalves(r *rand.Rand, n int, t Type) []byte {
	var b []byte
	for range n {
		b = store(b, float32(r.NormFloat64()*0.02), t)
	}
	return b
}
