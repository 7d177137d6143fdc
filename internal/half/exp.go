package half

import "math"

// Exp replaces each number x by e^x, within 0.501 units in the last place. The
// result is the same on every machine.
func Exp(x []float32) {
	if n := len(x) &^ (sumLanes - 1); n > 0 && active.exp != nil {
		active.exp(&x[0], n)
		x = x[n:]
	}
	for i, v := range x {
		x[i] = float32(Exp64(float64(v)))
	}
}

// Ln2High and Ln2Low add up to ln 2. Products of Ln2High with integers below
// 2^20 are exact. Source: fdlibm's e_exp.c.
const (
	Ln2High = 6.93147180369123816490e-01
	Ln2Low  = 1.90821492927058770002e-10
)

// Exp64 returns e^x within 2 units in the last place, for results that are
// normal float64 numbers.
//
// It computes 2^k · e^r, where r is within ±ln(2)/2, from the Taylor series of
// e^r. Sums, products and roundings give the same result on every machine if
// each product is converted before it is added, because the conversion forbids
// the compiler to fuse the two. Package math uses assembly on some processors,
// whose last bits differ.
func Exp64(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > 709:
		return math.Inf(1)
	case x < -708:
		return 0
	}
	// Subtracting k·ln 2 in two parts keeps r accurate although k·ln 2 is not
	// exact as one number.
	k := math.RoundToEven(float64(x * math.Log2E))
	r := x - float64(k*Ln2High)
	r -= float64(k * Ln2Low)
	const (
		c2, c3, c4, c5, c6, c7 = 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040
		c8, c9, c10, c11, c12  = 1. / 40320, 1. / 362880, 1. / 3628800, 1. / 39916800, 1. / 479001600
		c13                    = 1. / 6227020800
	)
	// Horner's scheme, one coefficient per line.
	p := c12 + float64(c13*r)
	p = c11 + float64(p*r)
	p = c10 + float64(p*r)
	p = c9 + float64(p*r)
	p = c8 + float64(p*r)
	p = c7 + float64(p*r)
	p = c6 + float64(p*r)
	p = c5 + float64(p*r)
	p = c4 + float64(p*r)
	p = c3 + float64(p*r)
	p = c2 + float64(p*r)
	p = 1 + float64(p*r)
	p = 1 + float64(p*r)
	return p * math.Float64frombits(uint64(1023+int(k))<<52)
}
