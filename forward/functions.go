package forward

import (
	"math"

	"github.com/koala-go/sdk/internal/half"
)

// The functions in this file consist of sums, products, quotients, roots and
// roundings, which IEEE 754 defines to the last bit. Each product is converted
// before it is added, because a compiler may fuse the two otherwise: see
// "Floating-point operators" in Go's specification. Package math has assembly
// code for some processors, whose last bits differ.

// log returns ln x for a normal, positive x. The error is at most 2^-50 times the
// larger of |ln x| and 1. With x = 2^k·m and s = (m-1)/(m+1), ln x is
// k·ln 2 + 2·(s + s³/3 + s⁵/5 + …).
func log(x float64) float64 {
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, k = 2*m, k-1
	}
	s := (m - 1) / (m + 1)
	square := s * s
	sum := 0.
	for n := 25; n >= 1; n -= 2 {
		sum = 1/float64(n) + float64(sum*square)
	}
	return float64(float64(k)*half.Ln2High) + (float64(float64(k)*half.Ln2Low) + float64(2*s*sum))
}

// maxAngle is the largest argument of sincos.
const maxAngle = 1 << 20

// π/2 is the sum of two parts. Products of the first part with integers below
// 2^20 are exact. Source: fdlibm's e_rem_pio2.c.
const (
	halfPiHigh = 1.57079632673412561417e+00
	halfPiLow  = 6.07710050650619224932e-11
)

// sincos returns the sine and cosine of an angle from 0 to maxAngle. The error of
// each is at most 2^-24 of its size, plus 2^-40. The angle is reduced to a
// multiple k of π/2 and a rest within ±π/4.
func sincos(angle float32) (sin, cos float32) {
	k := math.RoundToEven(float64(float64(angle) * (2 / math.Pi)))
	r := float64(angle) - float64(k*halfPiHigh)
	r -= float64(k * halfPiLow)
	s, c := float32(sinSeries(r)), float32(cosSeries(r))
	switch int(k) % 4 {
	case 1:
		return c, -s
	case 2:
		return -s, -c
	case 3:
		return -c, s
	}
	return s, c
}

// sinSeries returns r - r³/3! + r⁵/5! - …
func sinSeries(r float64) float64 {
	sum, square := 1., float64(r*r)
	for n := 14.; n >= 2; n -= 2 {
		sum = 1 - float64(sum*square)/(n*(n+1))
	}
	return r * sum
}

// cosSeries returns 1 - r²/2! + r⁴/4! - …
func cosSeries(r float64) float64 {
	sum, square := 1., float64(r*r)
	for n := 15.; n >= 1; n -= 2 {
		sum = 1 - float64(sum*square)/(n*(n+1))
	}
	return sum
}

// swiglu multiplies up by silu(gate) and stores the product in gate. silu(z) is
// z / (1 + e^-z), the activation of the feed-forward layers. powers is scratch
// space of the same length.
func swiglu(gate, up, powers []float32) {
	for i, z := range gate {
		powers[i] = -z
	}
	half.Exp(powers)
	for i, z := range gate {
		gate[i] = float32(z/(1+powers[i])) * up[i]
	}
}

// sum adds in the order of half.Dot: 16 lanes, folded in halves.
func sum(x []float32) float32 {
	var lanes [16]float32
	for i, v := range x {
		lanes[i%16] += v
	}
	for n := 8; n > 0; n /= 2 {
		for j := range n {
			lanes[j] += lanes[j+n]
		}
	}
	return lanes[0]
}

// softmax replaces scores by weights that add up to 1, in the ratios of e to the
// power of the scores.
func softmax(scores []float32) {
	// The greatest score is subtracted first, so that no power overflows.
	most := scores[0]
	for _, s := range scores {
		most = max(most, s)
	}
	for i := range scores {
		scores[i] -= most
	}
	half.Exp(scores)
	total := sum(scores)
	for i := range scores {
		scores[i] /= total
	}
}

// finite reports whether all elements are finite: those whose exponent bits are
// all set are infinite or NaN.
func finite(x []float32) bool {
	for _, v := range x {
		if math.Float32bits(v)&0x7f800000 == 0x7f800000 {
			return false
		}
	}
	return true
}
