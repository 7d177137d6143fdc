package eval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/koala-go/sdk/internal/parallel"
)

// Interval is a confidence interval.
type Interval struct {
	Low, High float64 // its ends, which may be infinite
}

// MarshalJSON writes the interval as [low, high].
func (i Interval) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%s,%s]", number(i.Low), number(i.High)), nil
}

// number formats a number as JSON does, and infinite ones and NaN as null.
func number(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "null"
	}
	return fmt.Sprint(x)
}

// z returns the two-sided critical value of the standard normal distribution:
// 1.96 for a confidence of 0.95.
func z(confidence float64) float64 { return math.Sqrt2 * math.Erfinv(confidence) }

// Wilson returns the score interval of a proportion of successes in n
// independent trials. It is [0, 1] for n = 0.
//
// Source: E. B. Wilson, "Probable inference, the law of succession, and
// statistical inference", J. Am. Stat. Assoc. 22 (1927) 209-212.
func Wilson(successes, n int, confidence float64) Interval {
	if n == 0 {
		return Interval{0, 1}
	}
	p, count, z := float64(successes)/float64(n), float64(n), z(confidence)
	center := (p + z*z/(2*count)) / (1 + z*z/count)
	half := z * math.Sqrt(p*(1-p)/count+z*z/(4*count*count)) / (1 + z*z/count)
	i := Interval{center - half, center + half}
	// At both ends the formula is exact, but its rounding is not.
	if successes == 0 {
		i.Low = 0
	}
	if successes == n {
		i.High = 1
	}
	return i
}

// Quantile returns a quantile of sorted values by linear interpolation, as
// numpy does by default. It is NaN without values.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	below := int(math.Floor(at))
	if below >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	low, high, t := sorted[below], sorted[below+1], at-float64(below)
	if low == high || t == 0 { // also where both are infinite
		return low
	}
	return low + (high-low)*t
}

// Resampling says how Bootstrap draws.
type Resampling struct {
	Replicates int     // number of samples; 0: 10,000
	Seed       uint64  // of the generator
	Confidence float64 // of the interval; 0: 0.95
	Workers    int     // goroutines; 0: as many as processors. It does not affect the result.
}

func (r *Resampling) withDefaults() Resampling {
	var full Resampling
	if r != nil {
		full = *r
	}
	if full.Replicates == 0 {
		full.Replicates = 10_000
	}
	if full.Confidence == 0 {
		full.Confidence = 0.95
	}
	return full
}

// Bootstrap returns the percentile intervals of k statistics of n items.
// statistics computes them from a sample: the indices of the drawn items, some
// of them several times. It is called from several goroutines and must write
// its results to out, which has length k. NaN marks a replicate in which a
// statistic is undefined; the interval is taken over the others.
//
// Replicate i draws from math/rand/v2's PCG with the seeds (Seed, i), so that
// the result does not depend on the number of workers.
func Bootstrap(n, k int, opts *Resampling, statistics func(sample []int, out []float64)) []Interval {
	o := opts.withDefaults()
	return bootstrap(n, k, &o, func(rng *rand.Rand, sample []int) {
		for i := range sample {
			sample[i] = rng.IntN(n)
		}
	}, statistics)
}

// StratifiedBootstrap is Bootstrap for items in strata, such as categories:
// each sample has as many items of each stratum as there are. strata lists the
// items of each.
func StratifiedBootstrap(strata [][]int, k int, opts *Resampling, statistics func(sample []int, out []float64)) []Interval {
	o := opts.withDefaults()
	n := 0
	for _, items := range strata {
		n += len(items)
	}
	return bootstrap(n, k, &o, func(rng *rand.Rand, sample []int) {
		i := 0
		for _, items := range strata {
			for range items {
				sample[i] = items[rng.IntN(len(items))]
				i++
			}
		}
	}, statistics)
}

func bootstrap(n, k int, o *Resampling, draw func(*rand.Rand, []int), statistics func([]int, []float64)) []Interval {
	values := make([][]float64, k) // of each statistic, by replicate
	for i := range values {
		values[i] = make([]float64, o.Replicates)
	}
	if n > 0 {
		type buffers struct {
			sample []int
			out    []float64
		}
		// Without errors and with a context that does not end, ForState returns nil.
		_ = parallel.ForState(context.Background(), o.Workers, o.Replicates,
			func(int) buffers { return buffers{make([]int, n), make([]float64, k)} },
			func(_ context.Context, b buffers, replicate int) error {
				draw(rand.New(rand.NewPCG(o.Seed, uint64(replicate))), b.sample)
				statistics(b.sample, b.out)
				for i, x := range b.out {
					values[i][replicate] = x
				}
				return nil
			})
	}
	intervals := make([]Interval, k)
	for i, x := range values {
		x = slices.DeleteFunc(x, math.IsNaN)
		if n == 0 {
			x = nil
		}
		slices.Sort(x)
		tail := (1 - o.Confidence) / 2
		intervals[i] = Interval{Quantile(x, tail), Quantile(x, 1-tail)}
	}
	return intervals
}
