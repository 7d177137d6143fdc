package eval

import "slices"

// AgreementReport is how far raters agree, by all measures. A measure that is
// not defined is nil, and Undefined says why by its name.
type AgreementReport struct {
	Raters      int               `json:"raters"` // number of raters
	Units       int               `json:"units"`  // items of a pair, or of a system, with a judgment
	Alpha       AlphaReport       `json:"alpha"`  // Krippendorff's alpha
	FleissKappa *float64          `json:"fleiss_kappa"`
	Percent     *float64          `json:"percent"` // of pairs of judgments that are equal, 0 to 100
	Cohen       []CohenReport     `json:"cohen"`   // of each two raters with a unit in common
	Undefined   map[string]string `json:"undefined,omitempty"`
}

// AlphaReport is Krippendorff's alpha for each metric.
type AlphaReport struct {
	Nominal  *float64 `json:"nominal"`  // equal or not
	Ordinal  *float64 `json:"ordinal"`  // by rank
	Interval *float64 `json:"interval"` // by difference
}

// CohenReport is Cohen's kappa of two raters for each weighting, over the units
// that both judged.
type CohenReport struct {
	A         string   `json:"a"`         // a rater
	B         string   `json:"b"`         // the other one
	Kappa     *float64 `json:"kappa"`     // Unweighted
	Linear    *float64 `json:"linear"`    // Linear
	Quadratic *float64 `json:"quadratic"` // Quadratic
}

// Agree measures the agreement of judgments of one kind. A choice counts as 1,
// 0 or -1, skips do not count.
func Agree(list []Judgment) (*AgreementReport, error) {
	list, err := Current(list)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrKind
	}
	t := tabulate(list)
	r := &AgreementReport{Raters: len(t.raters), Units: len(t.units), Cohen: []CohenReport{}, Undefined: map[string]string{}}
	units := make([][]float64, len(t.units))
	for i, byRater := range t.units {
		for _, rater := range t.raters {
			if x, ok := byRater[rater]; ok {
				units[i] = append(units[i], x)
			}
		}
	}
	set := func(to **float64, name string, x float64, err error) {
		if err != nil {
			r.Undefined[name] = err.Error()
			return
		}
		*to = &x
	}
	for _, m := range []struct {
		to     **float64
		metric Metric
	}{{&r.Alpha.Nominal, Nominal}, {&r.Alpha.Ordinal, Ordinal}, {&r.Alpha.Interval, IntervalScale}} {
		x, err := Alpha(units, m.metric)
		set(m.to, "alpha", x, err)
	}
	x, err := FleissKappa(units)
	set(&r.FleissKappa, "fleiss_kappa", x, err)
	x, err = PercentAgreement(units)
	set(&r.Percent, "percent", x, err)
	r.Cohen = t.cohen(set)
	return r, nil
}

// table holds the values of judgments by unit and rater.
type table struct {
	raters []string // in the order of their first judgment
	units  []map[string]float64
}

// tabulate enters judgments into a table. The value of a choice is seen from
// the system that comes first by name.
func tabulate(list []Judgment) *table {
	t, places := &table{}, map[task]int{}
	for i := range list {
		j := &list[i]
		value := float64(j.Score)
		if j.Kind() == Pairwise {
			if j.Choice == ChooseSkip {
				continue
			}
			value = map[Choice]float64{ChooseA: 1, ChooseB: -1}[j.Choice]
			if j.A > j.B {
				value = -value
			}
		}
		at, ok := places[j.task()]
		if !ok {
			at = len(t.units)
			places[j.task()] = at
			t.units = append(t.units, map[string]float64{})
		}
		t.units[at][j.Rater] = value
		if !slices.Contains(t.raters, j.Rater) {
			t.raters = append(t.raters, j.Rater)
		}
	}
	return t
}

// cohen returns the kappas of each two raters with a unit in common.
func (t *table) cohen(set func(to **float64, name string, x float64, err error)) []CohenReport {
	list := []CohenReport{}
	for i, a := range t.raters {
		for _, b := range t.raters[i+1:] {
			var x, y []float64
			for _, unit := range t.units {
				xa, okA := unit[a]
				xb, okB := unit[b]
				if okA && okB {
					x, y = append(x, xa), append(y, xb)
				}
			}
			if len(x) == 0 {
				continue
			}
			c := CohenReport{A: a, B: b}
			for _, w := range []struct {
				to        **float64
				weighting Weighting
			}{{&c.Kappa, Unweighted}, {&c.Linear, Linear}, {&c.Quadratic, Quadratic}} {
				kappa, err := CohenKappa(x, y, w.weighting)
				set(w.to, "cohen "+a+" "+b, kappa, err)
			}
			list = append(list, c)
		}
	}
	return list
}
