package forward

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// ulps is the distance of a number from a more exact one, in units of its last
// place.
func ulps(got float32, want float64) float64 {
	unit := math.Ldexp(1, max(math.Ilogb(want), -126)-23)
	return math.Abs(float64(got)-want) / unit
}

// samples are numbers from low to high: many, evenly spread over the patterns
// of float32 and over the numbers.
func samples(low, high float32) (x []float32) {
	const n = 300_000
	for i := range n {
		x = append(x, low+float32(float64(i)/n*float64(high-low)))
	}
	first, last := math.Float32bits(0), math.Float32bits(max(high, -low))
	for b := first; b < last; b += (last - first) / n {
		for _, v := range []float32{math.Float32frombits(b), -math.Float32frombits(b)} {
			if v >= low && v <= high {
				x = append(x, v)
			}
		}
	}
	return append(x, low, high)
}

func TestExp(t *testing.T) {
	for _, x := range samples(-104, 88.7) {
		require.Less(t, ulps(exp(x), math.Exp(float64(x))), 0.501, "%v", x)
	}
	inf := float32(math.Inf(1))
	require.Equal(t, inf, exp(89))
	require.Equal(t, inf, exp(inf))
	require.Zero(t, exp(-104.1))
	require.Zero(t, exp(-inf))
	require.True(t, math.IsNaN(float64(exp(float32(math.NaN())))))
	require.Equal(t, float32(1), exp(0))
}

func TestExp64AndLog(t *testing.T) {
	for _, x := range samples(-708, 709) {
		want := math.Exp(float64(x))
		require.InEpsilon(t, want, exp64(float64(x)), math.Ldexp(1, -51), "%v", x)
	}
	for _, x := range samples(1e-30, 1e30)[300_000:] {
		if x > 1e-30 {
			want := math.Log(float64(x))
			require.InDelta(t, want, log(float64(x)), math.Ldexp(max(1, math.Abs(want)), -50), "%v", x)
		}
	}
	require.Zero(t, log(1))
}

func TestSinCos(t *testing.T) {
	for _, x := range samples(0, maxAngle) {
		sin, cos := sincos(x)
		wantSin, wantCos := math.Sincos(float64(x))
		require.InDelta(t, wantSin, sin, math.Abs(wantSin)*math.Ldexp(1, -24)+math.Ldexp(1, -40), "%v", x)
		require.InDelta(t, wantCos, cos, math.Abs(wantCos)*math.Ldexp(1, -24)+math.Ldexp(1, -40), "%v", x)
	}
}

// TestSum compares with a sum in the words of the rule.
func TestSum(t *testing.T) {
	for n := range 70 {
		x := make([]float32, n)
		var lanes [16]float32
		for i := range x {
			x[i] = float32(math.Sin(float64(i * i)))
			lanes[i%16] += x[i]
		}
		var fold func(l []float32) float32
		fold = func(l []float32) float32 {
			if len(l) == 1 {
				return l[0]
			}
			half := make([]float32, len(l)/2)
			for j := range half {
				half[j] = l[j] + l[j+len(half)]
			}
			return fold(half)
		}
		require.Equal(t, fold(lanes[:]), sum(x))
	}
}

func TestSoftmax(t *testing.T) {
	x := []float32{0, 1, -200, 0}
	softmax(x)
	e := math.E
	for i, want := range []float64{1 / (2 + e), e / (2 + e), 0, 1 / (2 + e)} {
		require.InDelta(t, want, x[i], 1e-7)
	}
	one := []float32{-1e30}
	softmax(one)
	require.Equal(t, []float32{1}, one)
}

func TestSiLU(t *testing.T) {
	for _, z := range samples(-80, 80) {
		x := float64(z)
		require.InDelta(t, x/(1+math.Exp(-x)), silu(z), math.Abs(x)*1.8e-7/(1+math.Exp(-x))+1e-38, "%v", z)
	}
	require.Zero(t, silu(-1000))
	require.Equal(t, float32(1000), silu(1000))
}

// TestFrequencies compares with the powers in float64.
func TestFrequencies(t *testing.T) {
	for _, head := range []int{2, 8, 12, 64, 100, 128} {
		for _, theta := range []float64{1, 10000, 500000, 12345.678} {
			r := newRotary(head, theta)
			require.Len(t, r.frequencies, head/2)
			for i, f := range r.frequencies {
				require.InEpsilon(t, math.Pow(theta, -float64(2*i)/float64(head)), f, 2e-6, "%d of %d, %v", i, head, theta)
			}
			require.Equal(t, float32(1), r.frequencies[0])
		}
	}
}
