package eval

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Outcome counts the verdicts on one pair of systems.
type Outcome struct {
	A, B               string  // the systems
	Wins, Ties, Losses float64 // of A against B
}

// Strength is the strength of a system in natural log units. The mean over all
// systems is zero.
type Strength struct {
	System   string  `json:"system"`   // its name
	Strength float64 `json:"strength"` // natural log units
}

// Elo returns a strength on the scale of chess ratings, 400 for a factor of
// ten, with mean 1000, as FastChat prints it.
func (s Strength) Elo() float64 { return 400/math.Ln10*s.Strength + 1000 }

// ErrNoFit is the kind of error for outcomes that have no finite maximum of the
// likelihood.
var ErrNoFit = errors.New("no finite fit")

// BradleyTerry fits strengths where a tie counts half a win and half a loss:
// P(a beats b) = e^a/(e^a+e^b). The error is ErrNoFit if a group of systems
// never wins or ties against the others, or was never compared with them.
//
// Source: R. A. Bradley and M. E. Terry, "Rank analysis of incomplete block
// designs", Biometrika 39 (1952) 324-345.
func BradleyTerry(outcomes []Outcome) ([]Strength, error) {
	halves := make([]Outcome, len(outcomes))
	for i, o := range outcomes {
		halves[i] = Outcome{A: o.A, B: o.B, Wins: o.Wins + o.Ties/2, Losses: o.Losses + o.Ties/2}
	}
	names, err := fittable(halves)
	if err != nil {
		return nil, err
	}
	f := newFit(names, halves, false)
	if err := f.maximize(); err != nil {
		return nil, err
	}
	return f.strengths(), nil
}

// Davidson fits strengths and the weight nu of ties: with p = e^strength,
// P(a beats b) = p_a/z, P(tie) = nu·√(p_a·p_b)/z, z = p_a + p_b + nu·√(p_a·p_b).
// Without ties nu is zero. Errors are those of BradleyTerry, and ErrNoFit
// where all verdicts are ties or a system never loses to make nu finite.
//
// Source: R. R. Davidson, "On extending the Bradley-Terry model to accommodate
// ties", J. Am. Stat. Assoc. 65 (1970) 317-328.
func Davidson(outcomes []Outcome) (strengths []Strength, nu float64, err error) {
	ties, decided := 0.0, 0.0
	for _, o := range outcomes {
		ties += o.Ties
		decided += o.Wins + o.Losses
	}
	switch {
	case ties == 0:
		strengths, err = BradleyTerry(outcomes)
		return strengths, 0, err
	case decided == 0:
		return nil, math.NaN(), fmt.Errorf("%w: all verdicts are ties", ErrNoFit)
	}
	names, err := fittable(outcomes)
	if err != nil {
		return nil, math.NaN(), err
	}
	f := newFit(names, outcomes, true)
	if err := f.maximize(); err != nil {
		return nil, math.NaN(), err
	}
	return f.strengths(), math.Exp(f.x[len(f.names)]), nil
}

// fittable returns the names of the systems, sorted, or an error that names the
// groups that cannot be put on one scale: a maximum needs a way from each
// system to each other one along wins and ties (Ford, 1957).
func fittable(outcomes []Outcome) ([]string, error) {
	var names []string
	for _, o := range outcomes {
		names = append(names, o.A, o.B)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) < 2 {
		return nil, fmt.Errorf("%w: there are fewer than two systems", ErrNoFit)
	}
	reach := reachable(names, outcomes)
	for i := range names {
		var up, others []string // those that i can reach, and the rest
		for j, name := range names {
			if reach[i][j] {
				up = append(up, name)
			} else {
				others = append(others, name)
			}
		}
		if len(others) > 0 {
			return nil, fmt.Errorf("%w: {%s} never won or tied against {%s}: compare them on more items, or fit each group alone",
				ErrNoFit, strings.Join(up, ", "), strings.Join(others, ", "))
		}
	}
	return names, nil
}

// reachable returns for each pair of systems whether a chain of wins and ties
// leads from the first to the second (Warshall's algorithm).
func reachable(names []string, outcomes []Outcome) [][]bool {
	reach := make([][]bool, len(names))
	for i := range reach {
		reach[i] = make([]bool, len(names))
		reach[i][i] = true
	}
	for _, o := range outcomes {
		a, _ := slices.BinarySearch(names, o.A)
		b, _ := slices.BinarySearch(names, o.B)
		reach[a][b] = reach[a][b] || o.Wins+o.Ties > 0
		reach[b][a] = reach[b][a] || o.Losses+o.Ties > 0
	}
	for k := range names {
		for i := range names {
			for j := range names {
				reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
			}
		}
	}
	return reach
}

// fit maximizes the likelihood of outcomes. Both models are multinomial logits
// whose logits are linear in x, so that the logarithm of the likelihood is
// concave and Newton's method finds the one maximum. gonum's optimize stops at
// a relative tolerance of the value, which gives half of the digits; Newton's
// method on two to ten variables gives all of them and is shorter than the call.
type fit struct {
	names    []string
	outcomes []indexed
	ties     bool
	x        []float64 // strengths, then ln nu
	gradient []float64
	hessian  [][]float64 // of the negated likelihood
}

type indexed struct {
	a, b               int
	wins, ties, losses float64
}

func newFit(names []string, outcomes []Outcome, ties bool) *fit {
	f := &fit{names: names, ties: ties}
	for _, o := range outcomes {
		a, _ := slices.BinarySearch(names, o.A)
		b, _ := slices.BinarySearch(names, o.B)
		f.outcomes = append(f.outcomes, indexed{a, b, o.Wins, o.Ties, o.Losses})
	}
	n := len(names)
	if ties {
		n++
	}
	f.x, f.gradient = make([]float64, n), make([]float64, n)
	f.hessian = make([][]float64, n)
	for i := range f.hessian {
		f.hessian[i] = make([]float64, n)
	}
	return f
}

// maxStrength is the difference from which a fit counts as infinite: e^40
// wins for each loss.
const maxStrength = 40

func (f *fit) maximize() error {
	value := f.evaluate()
	for range 200 {
		step, ok := solve(f.hessian, f.gradient)
		if !ok {
			return f.unbounded()
		}
		largest := 0.0
		for _, s := range step {
			largest = max(largest, math.Abs(s))
		}
		value = f.advance(step, value)
		for _, x := range f.x {
			if !(math.Abs(x) < maxStrength) {
				return f.unbounded()
			}
		}
		if largest < 1e-13 {
			return nil
		}
	}
	return f.unbounded()
}

func (f *fit) unbounded() error {
	return fmt.Errorf("%w: a system never loses or never wins where others tie: compare it on more items", ErrNoFit)
}

// advance takes the Newton step, or the largest half, quarter, … of it that does
// not lower the likelihood.
func (f *fit) advance(step []float64, value float64) float64 {
	start := slices.Clone(f.x)
	for scale := 1.0; ; scale /= 2 {
		for i := range f.x {
			f.x[i] = start[i] + scale*step[i]
		}
		// Close to the maximum the value does not change in its last digits.
		next := f.evaluate()
		if next >= value-1e-12*math.Abs(value) || scale < 1e-6 {
			return next
		}
	}
}

// evaluate returns the logarithm of the likelihood at x and computes gradient
// and hessian. The strengths are determined up to a constant: adding the square
// of their sum to the negated likelihood fixes it at zero.
func (f *fit) evaluate() float64 {
	clear(f.gradient)
	for _, row := range f.hessian {
		clear(row)
	}
	value, sum := 0.0, 0.0
	n := len(f.names)
	for _, x := range f.x[:n] {
		sum += x
	}
	value -= sum * sum / 2
	for i := range n {
		f.gradient[i] -= sum
		for j := range n {
			f.hessian[i][j]++
		}
	}
	for _, o := range f.outcomes {
		value += f.add(o)
	}
	return value
}

// add adds the terms of one pair. Its three outcomes have the logits x_a, x_b
// and, for ties, ln nu + (x_a+x_b)/2; each logit is given by its coefficients
// of x_a, x_b and ln nu.
func (f *fit) add(o indexed) float64 {
	coefficients := [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0.5, 0.5, 1}}
	counts := [3]float64{o.wins, o.losses, o.ties}
	at, kinds := [3]int{o.a, o.b, len(f.names)}, 3
	if !f.ties {
		kinds = 2
	}
	var logits, p [3]float64
	largest := math.Inf(-1)
	for k := range kinds {
		for v := range kinds {
			logits[k] += coefficients[k][v] * f.x[at[v]]
		}
		largest = max(largest, logits[k])
	}
	z, total := 0.0, 0.0
	for k := range kinds {
		p[k] = math.Exp(logits[k] - largest)
		z += p[k]
		total += counts[k]
	}
	value := 0.0
	var mean [3]float64 // of the coefficients under p
	for k := range kinds {
		p[k] /= z
		value += counts[k] * (logits[k] - largest - math.Log(z))
		for v := range kinds {
			mean[v] += p[k] * coefficients[k][v]
		}
	}
	for k := range kinds {
		for v := range kinds {
			f.gradient[at[v]] += counts[k] * (coefficients[k][v] - mean[v])
			for w := range kinds {
				f.hessian[at[v]][at[w]] += total * p[k] * (coefficients[k][v] - mean[v]) * (coefficients[k][w] - mean[w])
			}
		}
	}
	return value
}

// strengths returns the result, in the order of the names.
func (f *fit) strengths() []Strength {
	list := make([]Strength, len(f.names))
	for i, name := range f.names {
		list[i] = Strength{name, f.x[i]}
	}
	return list
}

// solve solves the system of a symmetric positive definite matrix by Cholesky's
// decomposition. It reports false if the matrix is not definite to working
// accuracy.
func solve(matrix [][]float64, right []float64) ([]float64, bool) {
	n := len(right)
	l := make([][]float64, n)
	for i := range n {
		l[i] = make([]float64, n)
		for j := range i + 1 {
			sum := matrix[i][j]
			for k := range j {
				sum -= l[i][k] * l[j][k]
			}
			if i != j {
				l[i][j] = sum / l[j][j]
				continue
			}
			if !(sum > 1e-13*matrix[i][i]) {
				return nil, false
			}
			l[i][i] = math.Sqrt(sum)
		}
	}
	x := slices.Clone(right)
	for i := range n {
		for k := range i {
			x[i] -= l[i][k] * x[k]
		}
		x[i] /= l[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			x[i] -= l[k][i] * x[k]
		}
		x[i] /= l[i][i]
	}
	return x, true
}
