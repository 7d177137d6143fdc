package eval

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Line is a least-squares line of a rating against the natural logarithm of x:
// rating = Intercept + Slope·ln x.
type Line struct {
	N         int     // points
	Intercept float64 // the rating at x = 1
	Slope     float64 // for a factor of e in x
	R2        float64 // the share of the variance that the line explains
	// SlopeCI is the 95 % interval of the slope, by Student's t with N-2
	// degrees of freedom. With two points it is unbounded.
	SlopeCI Interval
}

// SlopePerDecade returns the slope for a factor of ten in x.
func (l *Line) SlopePerDecade() float64 { return l.Slope * math.Ln10 }

// At returns the rating that the line predicts at x.
func (l *Line) At(x float64) float64 { return l.Intercept + l.Slope*math.Log(x) }

// ErrExtrapolation is the kind of error for a line that does not say where it
// reaches a rating.
var ErrExtrapolation = errors.New("the line does not say where it reaches the rating")

// Solve returns the x at which the line reaches a rating. It refuses fewer than
// three points and a line that does not rise.
func (l *Line) Solve(rating float64) (float64, error) {
	switch {
	case l.N < 3:
		return math.NaN(), fmt.Errorf("%w: %d points are too few, give three or more", ErrExtrapolation, l.N)
	case !(l.Slope > 0):
		return math.NaN(), fmt.Errorf("%w: its slope %.4g is not positive", ErrExtrapolation, l.Slope)
	}
	return math.Exp((rating - l.Intercept) / l.Slope), nil
}

// FitLog fits a line to at least two points of positive and different x.
func FitLog(x, rating []float64) (*Line, error) {
	if len(x) != len(rating) || len(x) < 2 {
		return nil, fmt.Errorf("a line needs two points or more, each with a rating: got %d and %d values", len(x), len(rating))
	}
	n := float64(len(x))
	meanX, meanY := 0.0, 0.0
	for i := range x {
		if !(x[i] > 0) || math.IsInf(x[i], 0) || math.IsNaN(rating[i]) || math.IsInf(rating[i], 0) {
			return nil, fmt.Errorf("point %d is (%v, %v): give a positive x and a finite rating", i, x[i], rating[i])
		}
		meanX += math.Log(x[i]) / n
		meanY += rating[i] / n
	}
	sxx, sxy, syy := 0.0, 0.0, 0.0
	for i := range x {
		dx, dy := math.Log(x[i])-meanX, rating[i]-meanY
		sxx, sxy, syy = sxx+dx*dx, sxy+dx*dy, syy+dy*dy
	}
	if sxx == 0 {
		return nil, errors.New("all points have the same x: give points of different x")
	}
	l := &Line{N: len(x), Slope: sxy / sxx, R2: 1, SlopeCI: Interval{math.Inf(-1), math.Inf(1)}}
	l.Intercept = meanY - l.Slope*meanX
	residual := max(0, syy-l.Slope*sxy)
	if syy > 0 {
		l.R2 = 1 - residual/syy
	}
	if len(x) > 2 {
		t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 2}.Quantile(0.975)
		half := t * math.Sqrt(residual/(n-2)/sxx)
		l.SlopeCI = Interval{l.Slope - half, l.Slope + half}
	}
	return l, nil
}

// SolveInterval returns the interval of the x at which the line reaches a
// rating, by refitting samples of the points. A replicate whose line does not
// rise reaches the rating nowhere and counts as infinite, so that the upper end
// is infinite where the data do not exclude a level line.
func SolveInterval(x, rating []float64, target float64, opts *Resampling) Interval {
	return Bootstrap(len(x), 1, opts, func(sample []int, out []float64) {
		sx, sy := make([]float64, len(sample)), make([]float64, len(sample))
		for i, k := range sample {
			sx[i], sy[i] = x[k], rating[k]
		}
		l, err := FitLog(sx, sy)
		switch {
		case err != nil: // all points of the sample are one point
			out[0] = math.NaN()
		case !(l.Slope > 0):
			out[0] = math.Inf(1)
		default:
			out[0] = math.Exp((target - l.Intercept) / l.Slope)
		}
	})[0]
}
