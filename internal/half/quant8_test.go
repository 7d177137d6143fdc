package half

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/x448/float16"

	"github.com/koala-go/sdk/dtype"
)

// quantizeReference defines Q8_0 in the terms of gguf's quantize_blocks.
func quantizeReference(block []float32) []byte {
	top := float32(0)
	for _, x := range block {
		if a := float32(math.Abs(float64(x))); a > top || a != a {
			top = a
		}
		if top != top {
			break
		}
	}
	d := float32(top / 127)
	inverse := float32(0)
	if d != 0 {
		inverse = float32(1 / d)
	}
	var out []byte
	if d != d {
		out = le.AppendUint16(out, nan16)
	} else {
		out = le.AppendUint16(out, float16.Fromfloat32(d).Bits())
	}
	for _, x := range block {
		out = append(out, uint8(roundAway(float32(x*inverse))))
	}
	return out
}

// roundAway is np_roundf followed by the conversion to int8. NaN gives 0, and
// so does infinity, which becomes NaN on the way.
func roundAway(x float32) int8 {
	a := math.Abs(float64(x))
	floored := math.Floor(a)
	b := floored + math.Floor(2*(a-floored))
	if b != b {
		return 0
	}
	return int8(math.Copysign(b, float64(x)))
}

func floatBytes(list ...float32) []byte {
	var b []byte
	for _, x := range list {
		b = le.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// requireQuantized compares with the reference, block by block.
func requireQuantized(t *testing.T, src []byte) {
	t.Helper()
	dst := guard(len(src)/floats8*Block8Bytes, len(src)/floats8%64)
	Quantize8(dst.part, src)
	dst.check(t)
	for i := 0; i < len(src)/floats8; i++ {
		block := make([]float32, Block8)
		Floats(block, src[i*floats8:(i+1)*floats8], dtype.F32)
		want, got := quantizeReference(block), dst.part[i*Block8Bytes:(i+1)*Block8Bytes]
		if !bytes.Equal(want, got) {
			t.Fatalf("block %d: %v gives %v, want %v", i, block, got, want)
		}
	}
}

// TestQuantize8Table checks blocks of a few numbers and zeros against the
// results of gguf 0.19.
func TestQuantize8Table(t *testing.T) {
	inf, nan, tiny := float32(math.Inf(1)), float32(math.NaN()), float32(math.SmallestNonzeroFloat32)
	for _, test := range []struct {
		name  string
		in    []float32
		scale uint16
		out   []int8
	}{
		{"zeros", []float32{0, float32(math.Copysign(0, -1))}, 0, []int8{0, 0}},
		{"whole numbers", []float32{127, -127, 1, -1, 64}, 0x3c00, []int8{127, -127, 1, -1, 64}},
		{"halves go away from zero", []float32{127, .5, -.5, 1.5, -1.5, 2.5, -2.5, 126.5, -126.5}, 0x3c00, []int8{127, 1, -1, 2, -2, 3, -3, 127, -127}},
		{"next to a half", []float32{127, 0.49999997, -0.49999997, 0.50000006, 1.4999999}, 0x3c00, []int8{127, 0, 0, 1, 1}},
		{"one negative", []float32{-3}, 0x260c, []int8{-127}},
		{"scale above F16", []float32{1e9, -5e8}, 0x7c00, []int8{127, -64}},
		{"largest", []float32{math.MaxFloat32, -math.MaxFloat32, 1e38}, 0x7c00, []int8{127, -127, 37}},
		{"scale below F16", []float32{1e-7, -5e-8}, 0, []int8{127, -64}},
		{"subnormal scale in F16", []float32{1e-4}, 0x000d, []int8{127}},
		{"smallest", []float32{tiny, -tiny}, 0, []int8{0, 0}},
		{"1/d is infinite", []float32{3e-37, -3e-37}, 0, []int8{0, 0}},
		{"1/d is finite, its double is not", []float32{5e-37, -2.5e-37}, 0, []int8{127, -63}},
		{"infinite", []float32{inf, 1, -inf}, 0x7c00, []int8{0, 0, 0}},
		{"NaN", []float32{1, nan, inf}, 0x7e00, []int8{0, 0, 0}},
		{"negative NaN", []float32{1, -nan}, 0x7e00, []int8{0, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			src := floatBytes(append(test.in, make([]float32, Block8-len(test.in))...)...)
			want := le.AppendUint16(nil, test.scale)
			for i := range Block8 {
				if i < len(test.out) {
					want = append(want, uint8(test.out[i]))
				} else {
					want = append(want, 0)
				}
			}
			got := make([]byte, Block8Bytes)
			Quantize8(got, src)
			require.Equal(t, want, got)
			requireQuantized(t, src)
		})
	}
}

// blocks8 returns blocks of every kind: random bits, weights, ties, one
// magnitude at every exponent, and some that are not finite.
func blocks8(r *rand.Rand, n int) []byte {
	var b []byte
	for i := range n {
		scale := float32(math.Ldexp(1+r.Float64(), i%278-150))
		for j := range Block8 {
			x := math.Float32frombits(r.Uint32())
			switch i % 5 {
			case 1:
				x = float32(r.NormFloat64() * 0.02)
			case 2: // ties, if the largest magnitude is a power of two times 127
				x = float32(math.Ldexp(float64(r.IntN(255)-127)/2, i%40-20))
				if j == i%Block8 {
					x = float32(math.Ldexp(127, i%40-20))
				}
			case 3:
				x = float32(r.Float64()*2-1) * scale
			case 4:
				x = math.Float32frombits(math.Float32bits(x) &^ (1 << 30)) // finite
			}
			b = le.AppendUint32(b, math.Float32bits(x))
		}
	}
	return b
}

func TestQuantize8Random(t *testing.T) {
	requireQuantized(t, blocks8(rand.New(rand.NewPCG(21, 22)), 40_000))
}

// TestQuantize8EveryScale checks every value of the upper 16 bits of the
// largest magnitude.
func TestQuantize8EveryScale(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	for high := range uint32(0x7f80) {
		top := math.Float32frombits(high<<16 | r.Uint32N(1<<16))
		block := []float32{top, -top, top / 127, top / 254, -top / 254, top / 2}
		for len(block) < Block8 {
			block = append(block, top*float32(r.Float64()*2-1))
		}
		requireQuantized(t, floatBytes(block...))
	}
}

func TestQuantize8Lengths(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	src := blocks8(r, 70)
	for n := range 71 {
		requireQuantized(t, src[:n*floats8])
	}
	shifted := append(make([]byte, 3), src...)
	requireQuantized(t, shifted[3:])
	for _, bad := range [][2]int{{34, 127}, {33, 128}, {34, 256}, {0, 128}, {68, 128}, {1, 0}} {
		require.Panics(t, func() { Quantize8(make([]byte, bad[0]), make([]byte, bad[1])) }, "%v", bad)
		require.Panics(t, func() { Dequantize8(make([]byte, bad[1]), make([]byte, bad[0])) }, "%v", bad)
	}
}

// TestDequantize8 checks each of the 2^24 pairs of a scale and a byte.
func TestDequantize8(t *testing.T) {
	src := make([]byte, 0, 8*Block8Bytes)
	for scale := range 1 << 16 {
		src = src[:0]
		for i := range 256 {
			if i%Block8 == 0 {
				src = le.AppendUint16(src, uint16(scale))
			}
			src = append(src, byte(i))
		}
		dst := guard(4*256, scale%64)
		Dequantize8(dst.part, src)
		d := float64(float16.Frombits(uint16(scale)).Float32())
		for i := range 256 {
			want, got := canonical(float32(float64(int8(i))*d)), le.Uint32(dst.part[4*i:])
			if want != got {
				t.Fatalf("%d × %#04x is %#08x, want %#08x", int8(i), scale, got, want)
			}
		}
		dst.check(t)
	}
}

// TestQuantize8Again checks that quantizing twice changes nothing if the scale
// is exact in F16.
func TestQuantize8Again(t *testing.T) {
	r := rand.New(rand.NewPCG(27, 28))
	var src []byte
	for exponent := range 30 {
		src = le.AppendUint16(src, uint16(exponent+1)<<10) // powers of two
		src = append(src, 127)
		for range Block8 - 1 {
			src = append(src, byte(int8(r.IntN(255)-127))) // -128 is never written
		}
	}
	floats, again := make([]byte, len(src)/Block8Bytes*floats8), make([]byte, len(src))
	Dequantize8(floats, src)
	Quantize8(again, floats)
	require.Equal(t, src, again)
}

// BenchmarkQ8 counts bytes of F32 in both directions.
//
//	go test ./internal/half -run xxx -bench Q8 -cpu 1
func BenchmarkQ8(b *testing.B) {
	r := rand.New(rand.NewPCG(29, 30))
	for _, n := range []int{16 << 10, 64 << 20} {
		src := bytes.Repeat(smallHalves(r, 4<<10, dtype.F32), n/(16<<10))
		blocks := make([]byte, n/floats8*Block8Bytes)
		b.Run(fmt.Sprintf("quantize/%d KiB", n>>10), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				Quantize8(blocks, src)
			}
		})
		b.Run(fmt.Sprintf("dequantize/%d KiB", n>>10), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				Dequantize8(src, blocks)
			}
		})
	}
}
