package forward

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// samples returns many numbers from low to high, spread evenly over the bit
// patterns of float32 and over the range.
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

func TestLog(t *testing.T) {
	worst := 0.
	for _, x := range samples(0, 1e30) {
		if x >= 1e-30 {
			want := math.Log(float64(x))
			worst = max(worst, math.Abs(log(float64(x))-want)/max(1, math.Abs(want)))
		}
	}
	require.Less(t, worst, math.Ldexp(1, -50))
	require.Zero(t, log(1))
}

func TestSinCos(t *testing.T) {
	worst := 0.
	for _, x := range samples(0, maxAngle) {
		sin, cos := sincos(x)
		wantSin, wantCos := math.Sincos(float64(x))
		for _, d := range [][2]float64{{float64(sin), wantSin}, {float64(cos), wantCos}} {
			worst = max(worst, math.Abs(d[0]-d[1])/(math.Ldexp(math.Abs(d[1]), -24)+math.Ldexp(1, -40)))
		}
	}
	require.Less(t, worst, 1.)
}

// TestSum compares with a recursive implementation of the same order.
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
			folded := make([]float32, len(l)/2)
			for j := range folded {
				folded[j] = l[j] + l[j+len(folded)]
			}
			return fold(folded)
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

func TestSwiGLU(t *testing.T) {
	z := samples(-80, 80)
	gate, up := slices.Clone(z), slices.Repeat([]float32{2}, len(z))
	swiglu(gate, up, make([]float32, len(z)))
	worst := 0.
	for i, z := range z {
		want := 2 * float64(z) / (1 + math.Exp(-float64(z)))
		worst = max(worst, math.Abs(float64(gate[i])-want)/(math.Abs(want)*1.8e-7+1e-38))
	}
	require.Less(t, worst, 1.)
	gate = []float32{-1000, 1000}
	swiglu(gate, []float32{3, 3}, make([]float32, 2))
	require.Equal(t, []float32{0, 3000}, gate)
}

// TestFrequencies compares with powers in float64.
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
