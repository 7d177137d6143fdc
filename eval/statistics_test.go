package eval_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/eval"
)

func TestWilsonEnds(t *testing.T) {
	require.Equal(t, eval.Interval{Low: 0, High: 1}, eval.Wilson(0, 0, 0.95))
	require.Zero(t, eval.Wilson(0, 5, 0.95).Low)
	require.Equal(t, 1.0, eval.Wilson(5, 5, 0.95).High)
}

func TestQuantileLikeNumpy(t *testing.T) {
	x := []float64{1, 2, 4, 8}
	for q, want := range map[float64]float64{0: 1, 1: 8, 0.5: 3, 0.25: 1.75, 0.9: 6.8} {
		require.InDelta(t, want, eval.Quantile(x, q), 1e-12)
	}
	require.True(t, math.IsNaN(eval.Quantile(nil, 0.5)))
	require.Equal(t, math.Inf(1), eval.Quantile([]float64{1, math.Inf(1), math.Inf(1)}, 0.9))
}

func TestSignTest(t *testing.T) {
	p, ok := eval.SignTest(5, 0)
	require.True(t, ok)
	require.Equal(t, 0.0625, p)
	p, _ = eval.SignTest(3, 3)
	require.Equal(t, 1.0, p)
	p, _ = eval.SignTest(2000, 1000)
	require.Less(t, p, 1e-70)
	require.Greater(t, p, 0.0)
}

func TestHolm(t *testing.T) {
	// R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
	require.InDeltaSlice(t, []float64{0.03, 0.06, 0.06, 0.02}, eval.Holm([]float64{0.01, 0.04, 0.03, 0.005}), 1e-12)
	got := eval.Holm([]float64{0.5, math.NaN(), 0.9})
	require.True(t, math.IsNaN(got[1]))
	require.Equal(t, []float64{1, 1}, []float64{got[0], got[2]})
	require.Empty(t, eval.Holm(nil))
}

func TestStratifiedBootstrapKeepsTheStrata(t *testing.T) {
	value := []float64{1, 1, 1, 5, 5}
	got := eval.StratifiedBootstrap([][]int{{0, 1, 2}, {3, 4}}, 1, &eval.Resampling{Replicates: 100}, func(sample []int, out []float64) {
		out[0] = 0
		for _, i := range sample {
			out[0] += value[i]
		}
	})
	require.Equal(t, eval.Interval{Low: 13, High: 13}, got[0])
}

func TestUndefinedAgreement(t *testing.T) {
	for name, units := range map[string][][]float64{"no units": nil, "one judgment each": {{1}, {2}}} {
		_, err := eval.Alpha(units, eval.Nominal)
		require.ErrorIs(t, err, eval.ErrNoPairs, name)
		_, err = eval.PercentAgreement(units)
		require.ErrorIs(t, err, eval.ErrNoPairs, name)
		_, err = eval.FleissKappa(units)
		require.ErrorIs(t, err, eval.ErrNoPairs, name)
	}
	_, err := eval.FleissKappa([][]float64{{1, 1}, {1, 1}})
	require.ErrorIs(t, err, eval.ErrNoVariation)
	_, err = eval.FleissKappa([][]float64{{1, 1}, {1, 1, 2}})
	require.ErrorContains(t, err, "unit 1 has 3 judgments")
	_, err = eval.CohenKappa([]float64{1}, []float64{1}, eval.Linear)
	require.ErrorIs(t, err, eval.ErrNoVariation)
	_, err = eval.CohenKappa([]float64{1}, nil, eval.Linear)
	require.Error(t, err)
	_, err = eval.CohenKappa(nil, nil, eval.Linear)
	require.ErrorIs(t, err, eval.ErrNoPairs)
}

func TestNoFit(t *testing.T) {
	for name, outcomes := range map[string][]eval.Outcome{
		"none":                   nil,
		"never loses":            {{A: "a", B: "b", Wins: 5}},
		"never loses, but ties":  {{A: "a", B: "b", Wins: 5, Ties: 2}},
		"all ties":               {{A: "a", B: "b", Ties: 3}},
		"two parts":              {{A: "a", B: "b", Wins: 1, Losses: 1}, {A: "c", B: "d", Wins: 1, Losses: 1}},
		"two parts, one way":     {{A: "a", B: "b", Wins: 1, Losses: 1}, {A: "c", B: "d", Wins: 1, Losses: 1}, {A: "a", B: "c", Wins: 2}},
		"a cycle with one leave": {{A: "a", B: "b", Wins: 1}, {A: "b", B: "c", Wins: 1}, {A: "c", B: "a", Wins: 1}, {A: "c", B: "d", Wins: 1}},
	} {
		_, _, err := eval.Davidson(outcomes)
		require.ErrorIs(t, err, eval.ErrNoFit, name)
	}
	_, err := eval.BradleyTerry([]eval.Outcome{{A: "a", B: "b", Wins: 1, Losses: 1}, {A: "c", B: "d", Wins: 1, Losses: 1}})
	require.ErrorContains(t, err, "{a, b} never won or tied against {c, d}")
	s, err := eval.BradleyTerry([]eval.Outcome{{A: "a", B: "b", Ties: 3}})
	require.NoError(t, err)
	require.Zero(t, s[0].Strength)
	s, nu, err := eval.Davidson([]eval.Outcome{{A: "a", B: "b", Wins: 3, Losses: 1}})
	require.NoError(t, err)
	require.Zero(t, nu)
	require.InDelta(t, math.Log(3), s[0].Strength-s[1].Strength, 1e-12)
}

// TestDavidsonIsAMaximum checks the condition of a maximum: for each system the
// expected score is the observed one, and so is the number of ties.
func TestDavidsonIsAMaximum(t *testing.T) {
	outcomes := []eval.Outcome{
		{A: "a", B: "b", Wins: 3, Ties: 2, Losses: 7}, {A: "b", B: "c", Wins: 100, Ties: 1, Losses: 1},
		{A: "c", B: "d", Wins: 4, Ties: 0, Losses: 2}, {A: "d", B: "a", Wins: 1, Ties: 9, Losses: 6},
	}
	strengths, nu, err := eval.Davidson(outcomes)
	require.NoError(t, err)
	p := map[string]float64{}
	for _, s := range strengths {
		p[s.System] = math.Exp(s.Strength)
	}
	observed, expected, ties, expectedTies := map[string]float64{}, map[string]float64{}, 0.0, 0.0
	for _, o := range outcomes {
		n, root := o.Wins+o.Ties+o.Losses, nu*math.Sqrt(p[o.A]*p[o.B])
		z := p[o.A] + p[o.B] + root
		observed[o.A] += o.Wins + o.Ties/2
		observed[o.B] += o.Losses + o.Ties/2
		expected[o.A] += n * (p[o.A] + root/2) / z
		expected[o.B] += n * (p[o.B] + root/2) / z
		ties, expectedTies = ties+o.Ties, expectedTies+n*root/z
	}
	for system := range p {
		require.InDelta(t, observed[system], expected[system], 1e-9)
	}
	require.InDelta(t, ties, expectedTies, 1e-9)
}

func TestFitLog(t *testing.T) {
	// scipy.stats.linregress(np.log([20, 100, 200, 500]), [3.4, 3.5, 3.6, 3.7])
	l, err := eval.FitLog([]float64{20, 100, 200, 500}, []float64{3.4, 3.5, 3.6, 3.7})
	require.NoError(t, err)
	require.InDelta(t, 0.09332, l.Slope, 1e-4)
	require.InDelta(t, 0.215, l.SlopePerDecade(), 1e-3)
	require.InDelta(t, 0.041, l.SlopeCI.Low, 1e-3)
	require.InDelta(t, 0.146, l.SlopeCI.High, 1e-3)
	x, err := l.Solve(4.0)
	require.NoError(t, err)
	require.InDelta(t, 14717, x, 1)
	require.InDelta(t, 4.0, l.At(x), 1e-12)

	two, err := eval.FitLog([]float64{1, 10}, []float64{1, 2})
	require.NoError(t, err)
	require.InDelta(t, 1.0, two.R2, 1e-15)
	require.True(t, math.IsInf(two.SlopeCI.High, 1))
	_, err = two.Solve(3)
	require.ErrorIs(t, err, eval.ErrExtrapolation)
	level, err := eval.FitLog([]float64{1, 10, 100}, []float64{2, 1, 2})
	require.NoError(t, err)
	_, err = level.Solve(3)
	require.ErrorIs(t, err, eval.ErrExtrapolation)
	for _, bad := range [][2][]float64{
		{{1}, {1}}, {{1, 2}, {1}}, {{0, 1}, {1, 2}}, {{1, -1}, {1, 2}}, {{1, math.NaN()}, {1, 2}}, {{1, 2}, {1, math.Inf(1)}}, {{2, 2}, {1, 2}},
	} {
		_, err := eval.FitLog(bad[0], bad[1])
		require.Error(t, err, "%v", bad)
	}
}

// TestSolveIntervalIsUnbounded has ratings of which some samples do not rise.
func TestSolveIntervalIsUnbounded(t *testing.T) {
	i := eval.SolveInterval([]float64{1, 10, 100, 1000}, []float64{2, 2.5, 2.2, 2.6}, 3, nil)
	require.True(t, math.IsInf(i.High, 1))
	text, err := i.MarshalJSON()
	require.NoError(t, err)
	require.Regexp(t, `^\[[0-9.e+]+,null\]$`, string(text))
}

func ExampleWilson() {
	i := eval.Wilson(83, 100, 0.95)
	fmt.Printf("%.2f to %.2f\n", i.Low, i.High)
	// Output: 0.74 to 0.89
}

func ExampleDavidson() {
	strengths, nu, err := eval.Davidson([]eval.Outcome{{A: "koala", B: "alpaca", Wins: 86, Ties: 40, Losses: 54}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range strengths {
		fmt.Printf("%s %+.3f\n", s.System, s.Strength)
	}
	fmt.Printf("ties %.3f\n", nu)
	// Output:
	// alpaca -0.233
	// koala +0.233
	// ties 0.587
}

func ExampleAlpha() {
	alpha, err := eval.Alpha([][]float64{{3, 3, 4}, {1, 1}, {5, 4, 5}, {2}}, eval.Ordinal)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f\n", alpha)
	// Output: 0.825
}
