package eval_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/eval"
	"github.com/koala-go/sdk/internal/fixture"
)

// agreement is golden/agreement.json: what krippendorff, statsmodels,
// scikit-learn and scipy compute.
type agreement struct {
	Alpha []struct {
		Case          string
		RatersByUnits [][]*float64 `json:"raters_by_units"`
		Alpha         map[string]json.RawMessage
	} `json:"krippendorff_alpha"`
	Fleiss []struct {
		Case  string
		Table [][]int
		Kappa float64 `json:"fleiss"`
	} `json:"fleiss_kappa"`
	Cohen []struct {
		Case                     string
		A, B                     []float64
		Percent                  float64 `json:"percent_agreement"`
		Kappa, Linear, Quadratic float64
	} `json:"cohen_kappa"`
	Pairwise []struct {
		Win, Tie, Loss int
		Sign           *float64   `json:"sign_test_two_sided_ties_dropped"`
		Wilson         [2]float64 `json:"wilson95_win"`
		WilsonTie      [2]float64 `json:"wilson95_win_or_tie"`
	} `json:"pairwise_two_systems"`
	Four struct {
		Counts []struct {
			A, B           string
			Win, Tie, Loss float64
		}
		Elo          map[string]float64 `json:"fastchat_compute_bt_elo"`
		BradleyTerry map[string]float64 `json:"bradley_terry_ties_half_theta"`
		Davidson     map[string]float64 `json:"davidson_theta"`
		Nu           float64            `json:"davidson_nu"`
	} `json:"four_systems"`
	Two []struct {
		Win, Tie, Loss float64
		Difference     float64 `json:"theta_diff"`
		Nu             float64
	} `json:"davidson_two_systems_closed_form"`
	Bootstrap struct {
		Means      []float64  `json:"item_means"`
		Percentile [2]float64 `json:"percentile95_200k"`
	} `json:"item_bootstrap_mean"`
}

func golden(t *testing.T) *agreement {
	text, err := os.ReadFile(fixture.Path(t, "golden", "agreement.json"))
	require.NoError(t, err)
	var g agreement
	require.NoError(t, json.Unmarshal(text, &g))
	require.NotEmpty(t, g.Alpha)
	return &g
}

func TestGoldenAlpha(t *testing.T) {
	for _, c := range golden(t).Alpha {
		units := make([][]float64, len(c.RatersByUnits[0]))
		for _, rater := range c.RatersByUnits {
			for unit, value := range rater {
				if value != nil {
					units[unit] = append(units[unit], *value)
				}
			}
		}
		for name, metric := range map[string]eval.Metric{"nominal": eval.Nominal, "ordinal": eval.Ordinal, "interval": eval.IntervalScale} {
			got, err := eval.Alpha(units, metric)
			var want float64
			if json.Unmarshal(c.Alpha[name], &want) != nil { // the reference raises an error
				require.ErrorIs(t, err, eval.ErrNoVariation, c.Case)
				continue
			}
			require.NoError(t, err, c.Case)
			require.InDelta(t, want, got, 1e-12, "%s %s", c.Case, name)
		}
	}
}

func TestGoldenKappas(t *testing.T) {
	g := golden(t)
	for _, c := range g.Fleiss {
		units := make([][]float64, len(c.Table))
		for i, counts := range c.Table {
			for value, n := range counts {
				for range n {
					units[i] = append(units[i], float64(value))
				}
			}
		}
		got, err := eval.FleissKappa(units)
		require.NoError(t, err, c.Case)
		require.InDelta(t, c.Kappa, got, 1e-12, c.Case)
	}
	for _, c := range g.Cohen {
		for weighting, want := range map[eval.Weighting]float64{eval.Unweighted: c.Kappa, eval.Linear: c.Linear, eval.Quadratic: c.Quadratic} {
			got, err := eval.CohenKappa(c.A, c.B, weighting)
			require.NoError(t, err, c.Case)
			require.InDelta(t, want, got, 1e-12, c.Case)
		}
		units := make([][]float64, len(c.A))
		for i := range units {
			units[i] = []float64{c.A[i], c.B[i]}
		}
		percent, err := eval.PercentAgreement(units)
		require.NoError(t, err)
		require.InDelta(t, 100*c.Percent, percent, 1e-12)
	}
}

func TestGoldenPairwise(t *testing.T) {
	for _, c := range golden(t).Pairwise {
		n := c.Win + c.Tie + c.Loss
		win, either := eval.Wilson(c.Win, n, 0.95), eval.Wilson(c.Win+c.Tie, n, 0.95)
		require.InDeltaSlice(t, c.Wilson[:], []float64{win.Low, win.High}, 1e-12)
		require.InDeltaSlice(t, c.WilsonTie[:], []float64{either.Low, either.High}, 1e-12)
		p, ok := eval.SignTest(c.Win, c.Loss)
		require.Equal(t, c.Sign != nil, ok)
		if ok {
			require.InDelta(t, *c.Sign, p, 1e-12)
		}
	}
}

func TestGoldenStrengths(t *testing.T) {
	g := golden(t)
	var outcomes []eval.Outcome
	for _, c := range g.Four.Counts {
		outcomes = append(outcomes, eval.Outcome{A: c.A, B: c.B, Wins: c.Win, Ties: c.Tie, Losses: c.Loss})
	}
	bt, err := eval.BradleyTerry(outcomes)
	require.NoError(t, err)
	davidson, nu, err := eval.Davidson(outcomes)
	require.NoError(t, err)
	require.InDelta(t, g.Four.Nu, nu, 1e-6)
	for i := range bt {
		require.InDelta(t, g.Four.BradleyTerry[bt[i].System], bt[i].Strength, 1e-6)
		require.InDelta(t, g.Four.Elo[bt[i].System], bt[i].Elo(), 1e-3)
		require.InDelta(t, g.Four.Davidson[davidson[i].System], davidson[i].Strength, 1e-6)
	}
	for _, c := range g.Two {
		s, nu, err := eval.Davidson([]eval.Outcome{{A: "a", B: "b", Wins: c.Win, Ties: c.Tie, Losses: c.Loss}})
		require.NoError(t, err)
		require.InDelta(t, c.Difference, s[0].Strength-s[1].Strength, 1e-12)
		require.InDelta(t, c.Nu, nu, 1e-12)
		require.InDelta(t, math.Log(c.Win/c.Loss), s[0].Strength-s[1].Strength, 1e-12)
	}
}

func TestGoldenBootstrap(t *testing.T) {
	g := golden(t).Bootstrap
	mean := func(sample []int, out []float64) {
		out[0] = 0
		for _, i := range sample {
			out[0] += g.Means[i] / float64(len(sample))
		}
	}
	one := eval.Bootstrap(len(g.Means), 1, &eval.Resampling{Seed: 1, Workers: 1}, mean)
	eight := eval.Bootstrap(len(g.Means), 1, &eval.Resampling{Seed: 1, Workers: 8}, mean)
	require.Equal(t, one, eight, "the number of workers does not affect the result")
	require.InDelta(t, g.Percentile[0], one[0].Low, 0.01)
	require.InDelta(t, g.Percentile[1], one[0].High, 0.01)
}
