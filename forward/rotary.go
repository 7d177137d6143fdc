package forward

import "github.com/koala-go/sdk/internal/half"

// rotary holds the frequencies of rotary embeddings: pair i of a head of D
// numbers is rotated by theta^(-2i/D) with each position.
type rotary struct{ frequencies []float32 }

// newRotary computes the frequencies as all implementations do, in fp32: the
// power is rounded, and so is its inverse. Source: precompute_freqs_cis in
// meta-llama/llama, model.py.
func newRotary(head int, theta float64) rotary {
	r := rotary{make([]float32, head/2)}
	for i := range r.frequencies {
		exponent := float32(2*i) / float32(head)
		r.frequencies[i] = 1 / float32(half.Exp64(float64(float64(exponent)*log(theta))))
	}
	return r
}

// angles computes the cosine and sine of each pair's angle at a position. Angles
// are rounded to fp32, as in other implementations.
func (r rotary) angles(cos, sin []float32, position int) {
	for i, f := range r.frequencies {
		sin[i], cos[i] = sincos(float32(position) * f)
	}
}

// rotate rotates the heads in x, one after the other, pair by pair. The two
// parts of a pair are neighbours, as in Meta's layout.
func rotate(x, cos, sin []float32) {
	for ; len(x) > 0; x = x[2*len(cos):] {
		for i := range cos {
			a, b := x[2*i], x[2*i+1]
			// Each product is converted, so that no compiler fuses it with the sum.
			x[2*i] = float32(a*cos[i]) - float32(b*sin[i])
			x[2*i+1] = float32(a*sin[i]) + float32(b*cos[i])
		}
	}
}
