package eval

import (
	"math"
	"math/big"
	"slices"
)

// SignTest returns the exact two-sided p-value of the sign test: the
// probability of a split at least as uneven if wins and losses were equally
// likely. Ties are dropped before. It reports false if there are neither wins
// nor losses.
func SignTest(wins, losses int) (p float64, ok bool) {
	n := wins + losses
	if n == 0 {
		return math.NaN(), false
	}
	// The sum of the binomial coefficients up to the smaller count, exactly.
	sum, term := new(big.Int), big.NewInt(1)
	for k := range min(wins, losses) + 1 {
		if k > 0 {
			term.Mul(term, big.NewInt(int64(n-k+1)))
			term.Quo(term, big.NewInt(int64(k)))
		}
		sum.Add(sum, term)
	}
	ratio := new(big.Rat).SetFrac(sum, new(big.Int).Lsh(big.NewInt(1), uint(n)))
	p, _ = ratio.Float64()
	return min(1, 2*p), true
}

// Holm returns the p-values adjusted for the number of tests by Holm's step-down
// method, in the order of the input. NaN stays NaN and does not count as a test.
//
// Source: S. Holm, "A simple sequentially rejective multiple test procedure",
// Scand. J. Stat. 6 (1979) 65-70.
func Holm(p []float64) []float64 {
	order := make([]int, 0, len(p))
	adjusted := make([]float64, len(p))
	for i, x := range p {
		adjusted[i] = x
		if !math.IsNaN(x) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	largest := 0.0 // adjusted values do not decrease along the order
	for rank, i := range order {
		largest = max(largest, min(1, float64(len(order)-rank)*p[i]))
		adjusted[i] = largest
	}
	return adjusted
}
