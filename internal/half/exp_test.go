package half

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// powers returns n numbers of all magnitudes and kinds.
func powers(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	special := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 88.72284, 88.72283, -103.97208, -103.97207, -87.33654, 709, 710, -708, -709,
		math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	for i := range x {
		switch i % 4 {
		case 0:
			x[i] = math.Float32frombits(r.Uint32())
		case 1:
			x[i] = float32(r.NormFloat64())
		case 2:
			x[i] = float32(r.Float64()*210 - 110)
		case 3:
			x[i] = special[r.IntN(len(special))]
		}
	}
	return x
}

// TestExp checks that every kernel gives the rounded result of Exp64.
func TestExp(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		for n := range 100 {
			x := powers(r, n)
			got := append([]float32{canary}, append(x, canary)...)
			Exp(got[1 : n+1])
			require.Equal(t, [2]float32{canary, canary}, [2]float32{got[0], got[n+1]})
			requireExp(t, x, got[1:n+1])
		}
		for range 20 {
			x := powers(r, 4099)
			got := append([]float32{}, x...)
			Exp(got)
			requireExp(t, x, got)
		}
	})
}

// TestExpAll compares the kernels with Exp64 for one of 64 float32 numbers.
// Without -short it tests all numbers whose result is finite and not 0.
func TestExpAll(t *testing.T) {
	step := uint64(61)
	if testing.Short() {
		step = 4093
	}
	forEachKernel(t, func(t *testing.T) {
		x, got := make([]float32, 0, 4096), make([]float32, 4096)
		for sign := range uint64(2) {
			for b := uint64(0); b <= uint64(math.Float32bits(105)); {
				for x = x[:0]; len(x) < cap(x); b += step {
					x = append(x, math.Float32frombits(uint32(b|sign<<31)))
				}
				copy(got, x)
				Exp(got)
				requireExp(t, x, got)
			}
		}
	})
}

// TestExpExact compares with package math. Exp must be within 0.501 units in
// the last place, and Exp64 within 2.
func TestExpExact(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	for range 300_000 {
		x := r.Float64()*192.7 - 104
		want := math.Exp(float64(float32(x)))
		unit := math.Ldexp(1, max(math.Ilogb(want), -126)-23)
		require.Less(t, math.Abs(float64(float32(Exp64(float64(float32(x)))))-want)/unit, 0.501, "e^%v", float32(x))
		x = r.Float64()*1416 - 708
		require.InEpsilon(t, math.Exp(x), Exp64(x), math.Ldexp(1, -51), "e^%v", x)
	}
	require.Equal(t, []float64{1, math.Inf(1), math.Inf(1), 0, 0}, []float64{Exp64(0), Exp64(710), Exp64(math.Inf(1)), Exp64(-709), Exp64(math.Inf(-1))})
	require.True(t, math.IsNaN(Exp64(math.NaN())))
}

func requireExp(t *testing.T, x, got []float32) {
	t.Helper()
	for i, v := range x {
		want := float32(Exp64(float64(v)))
		if math.Float32bits(got[i]) != math.Float32bits(want) && (got[i] == got[i] || want == want) {
			require.Failf(t, "differs", "e^%v (%08x) is %v, not %v", v, math.Float32bits(v), got[i], want)
		}
	}
}

// BenchmarkExp computes as many powers as a feed-forward layer needs.
func BenchmarkExp(b *testing.B) {
	defer func(k *kernels) { active = k }(active)
	from := make([]float32, 4096)
	for i := range from {
		from[i] = float32(i%64) - 32
	}
	x := make([]float32, len(from))
	for _, k := range all() {
		b.Run(k.name, func(b *testing.B) {
			active = k
			for b.Loop() {
				copy(x, from)
				Exp(x)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/number")
		})
	}
}
