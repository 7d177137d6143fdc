package eval

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrNoVariation is the error of a measure of agreement where all judgments are
// equal: agreement by chance would be complete too, so that the measure is not
// defined.
var ErrNoVariation = errors.New("undefined: all judgments are equal")

// ErrNoPairs is the error of a measure of agreement where no unit has two
// judgments.
var ErrNoPairs = errors.New("undefined: no unit has two judgments")

// Metric is how far apart two values are for Krippendorff's alpha.
type Metric uint8

// The metrics.
const (
	Nominal       Metric = iota // equal or not
	Ordinal                     // by the number of values between them
	IntervalScale               // by the square of their difference
)

// Alpha returns Krippendorff's alpha: 1 - observed/expected disagreement. Each
// unit lists the values that its raters gave; units with fewer than two values
// are ignored. It is 1 for complete agreement and 0 for agreement by chance.
//
// Source: K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011).
func Alpha(units [][]float64, metric Metric) (float64, error) {
	values := distinct(units)
	if len(values) == 0 {
		return math.NaN(), ErrNoPairs
	}
	if len(values) == 1 {
		return math.NaN(), ErrNoVariation
	}
	coincidences, totals := coincide(units, values)
	n := 0.0
	for _, x := range totals {
		n += x
	}
	distance := distances(values, totals, metric)
	observed, expected := 0.0, 0.0
	for c := range values {
		for k := range values {
			observed += coincidences[c][k] * distance(c, k)
			expected += totals[c] * totals[k] * distance(c, k)
		}
	}
	return 1 - (n-1)*observed/expected, nil
}

// distinct returns the sorted values of the units that have two or more.
func distinct(units [][]float64) []float64 {
	var all []float64
	for _, unit := range units {
		if len(unit) > 1 {
			all = append(all, unit...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// coincide counts the pairs of values within units, each unit weighted by
// 1/(number of its values - 1), and the sums of the rows of that matrix.
func coincide(units [][]float64, values []float64) (matrix [][]float64, totals []float64) {
	matrix, totals = make([][]float64, len(values)), make([]float64, len(values))
	for i := range matrix {
		matrix[i] = make([]float64, len(values))
	}
	for _, unit := range units {
		if len(unit) < 2 {
			continue
		}
		weight := 1 / float64(len(unit)-1)
		for i, a := range unit {
			c, _ := slices.BinarySearch(values, a)
			totals[c]++
			for j, b := range unit {
				if i != j {
					k, _ := slices.BinarySearch(values, b)
					matrix[c][k] += weight
				}
			}
		}
	}
	return matrix, totals
}

// distances returns the squared difference between two values, by index.
func distances(values, totals []float64, metric Metric) func(c, k int) float64 {
	switch metric {
	case Ordinal:
		return func(c, k int) float64 {
			between := 0.0
			for _, n := range totals[min(c, k) : max(c, k)+1] {
				between += n
			}
			d := between - (totals[c]+totals[k])/2
			return d * d
		}
	case IntervalScale:
		return func(c, k int) float64 {
			d := values[c] - values[k]
			return d * d
		}
	}
	return func(c, k int) float64 {
		if c == k {
			return 0
		}
		return 1
	}
}

// PercentAgreement returns the share, from 0 to 100, of pairs of judgments of
// one unit that are equal, over all pairs of all units.
func PercentAgreement(units [][]float64) (float64, error) {
	equal, pairs := 0, 0
	for _, unit := range units {
		for i, a := range unit {
			for _, b := range unit[:i] {
				pairs++
				if a == b {
					equal++
				}
			}
		}
	}
	if pairs == 0 {
		return math.NaN(), ErrNoPairs
	}
	return 100 * float64(equal) / float64(pairs), nil
}

// FleissKappa returns Fleiss' kappa of units that all have the same number of
// judgments, at least two.
//
// Source: J. L. Fleiss, "Measuring nominal scale agreement among many raters",
// Psychol. Bull. 76 (1971) 378-382.
func FleissKappa(units [][]float64) (float64, error) {
	if len(units) == 0 || len(units[0]) < 2 {
		return math.NaN(), ErrNoPairs
	}
	raters := len(units[0])
	values := distinct(units)
	totals := make([]float64, len(values))
	agreement := 0.0
	for i, unit := range units {
		if len(unit) != raters {
			return math.NaN(), fmt.Errorf("undefined: unit %d has %d judgments and unit 0 has %d", i, len(unit), raters)
		}
		counts := make([]float64, len(values))
		for _, x := range unit {
			c, _ := slices.BinarySearch(values, x)
			counts[c]++
			totals[c]++
		}
		for _, n := range counts {
			agreement += n * (n - 1)
		}
	}
	if len(values) == 1 {
		return math.NaN(), ErrNoVariation
	}
	n := float64(len(units) * raters)
	agreement /= n * float64(raters-1)
	chance := 0.0
	for _, x := range totals {
		chance += x / n * x / n
	}
	return (agreement - chance) / (1 - chance), nil
}

// Weighting is how Cohen's kappa weighs a disagreement.
type Weighting uint8

// The weightings. The distance is that of the ranks of both values.
const (
	Unweighted Weighting = iota // any disagreement counts 1
	Linear                      // the distance
	Quadratic                   // the square of the distance
)

// CohenKappa returns Cohen's kappa of two raters who judged the same units:
// a[i] and b[i] are their values of unit i.
//
// Source: J. Cohen, "Weighted kappa", Psychol. Bull. 70 (1968) 213-220.
func CohenKappa(a, b []float64, weighting Weighting) (float64, error) {
	if len(a) != len(b) {
		return math.NaN(), fmt.Errorf("the raters judged %d and %d units: give the units that both judged", len(a), len(b))
	}
	if len(a) == 0 {
		return math.NaN(), ErrNoPairs
	}
	values := slices.Concat(a, b)
	slices.Sort(values)
	values = slices.Compact(values)
	if len(values) == 1 {
		return math.NaN(), ErrNoVariation
	}
	marginA, marginB := make([]float64, len(values)), make([]float64, len(values))
	weight := func(c, k int) float64 {
		d := math.Abs(float64(c - k))
		switch {
		case weighting == Linear:
			return d
		case weighting == Quadratic:
			return d * d
		}
		return min(d, 1)
	}
	observed, expected := 0.0, 0.0
	for i := range a {
		c, _ := slices.BinarySearch(values, a[i])
		k, _ := slices.BinarySearch(values, b[i])
		marginA[c]++
		marginB[k]++
		observed += weight(c, k)
	}
	for c := range values {
		for k := range values {
			expected += marginA[c] * marginB[k] * weight(c, k)
		}
	}
	return 1 - observed*float64(len(a))/expected, nil
}
