package eval

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// Comparison is the result of a pairwise study.
type Comparison struct {
	Kind      Kind         `json:"kind"`      // Pairwise
	Items     int          `json:"items"`     // with a judgment that is not a skip
	Judgments int          `json:"judgments"` // skips included
	Raters    int          `json:"raters"`    // number of raters
	Pairs     []PairResult `json:"pairs"`     // in the order in which they are named first
	Strengths Strengths    `json:"strengths"` // fitted on the verdicts of items
	Agreement Agreement    `json:"agreement"` // of the raters, over all pairs
	BySide    BySide       `json:"by_side"`   // whether the place on the screen matters
	ByLength  []ByLength   `json:"by_length"` // whether the length of an output matters
	Excluded  []Exclusion  `json:"excluded"`  // judgments that rules removed
}

// PairResult is the result of one pair of systems. Wins, ties and losses are
// A's, and of items: the verdict of an item is the sign of the mean of its
// judgments, a win being 1, a tie 0 and a loss -1.
type PairResult struct {
	A            string         `json:"a"`               // the system whose wins are counted
	B            string         `json:"b"`               // the other system
	Items        int            `json:"items"`           // with a judgment that is not a skip
	Wins         int            `json:"wins"`            // items that A wins
	Ties         int            `json:"ties"`            // items with a tie
	Losses       int            `json:"losses"`          // items that A loses
	WinRate      float64        `json:"win_rate"`        // wins/items
	TieRate      float64        `json:"tie_rate"`        // ties/items
	LossRate     float64        `json:"loss_rate"`       // losses/items
	WinOrTieRate float64        `json:"win_or_tie_rate"` // (wins+ties)/items
	Adjusted     float64        `json:"adjusted"`        // (wins+ties/2)/items
	Net          float64        `json:"net"`             // (wins-losses)/items
	Wilson       WilsonRates    `json:"wilson"`          // by Wilson, n being the number of items
	Bootstrap    BootstrapRates `json:"bootstrap"`       // by resampling items
	SignTestP    *float64       `json:"sign_test_p"`     // nil without wins and losses
	HolmP        *float64       `json:"holm_p"`          // adjusted for the number of pairs
	Counts       JudgmentCounts `json:"judgment_counts"` // of judgments
}

// WilsonRates are the score intervals of a pair's rates.
type WilsonRates struct {
	WinRate      Interval `json:"win_rate"`        // of wins/items
	WinOrTieRate Interval `json:"win_or_tie_rate"` // of (wins+ties)/items
}

// BootstrapRates are the intervals of a pair's rates by resampling items.
type BootstrapRates struct {
	Adjusted Interval `json:"adjusted"` // of (wins+ties/2)/items
	Net      Interval `json:"net"`      // of (wins-losses)/items
}

// JudgmentCounts counts the judgments of a pair, A's wins and losses.
type JudgmentCounts struct {
	Wins   int `json:"wins"`   // judgments for A
	Ties   int `json:"ties"`   // both kinds of ties
	Losses int `json:"losses"` // judgments for B
	Skips  int `json:"skips"`  // not judged
}

// Strengths are the fitted strengths, or why there are none.
type Strengths struct {
	Davidson     *DavidsonFit `json:"davidson,omitempty"`      // nil if there is no finite fit
	BradleyTerry []EloRating  `json:"bradley_terry,omitempty"` // strongest first
	Error        string       `json:"error,omitempty"`         // why there is no fit
}

// DavidsonFit is the result of Davidson.
type DavidsonFit struct {
	Nu      float64    `json:"nu"`      // weight of ties
	Systems []Strength `json:"systems"` // by name
}

// EloRating is a system's Bradley–Terry strength on the scale of Elo.
type EloRating struct {
	System string  `json:"system"` // its name
	Elo    float64 `json:"elo"`    // mean 1000 over all systems
}

// Agreement is how far raters agree. A measure that is not defined is nil, and
// Undefined says why by its name.
type Agreement struct {
	AlphaNominal  *float64          `json:"alpha_nominal,omitempty"`  // Krippendorff's alpha of choices
	AlphaOrdinal  *float64          `json:"alpha_ordinal,omitempty"`  // Krippendorff's alpha of scores, by rank
	AlphaInterval *float64          `json:"alpha_interval,omitempty"` // Krippendorff's alpha of scores, by difference
	FleissKappa   *float64          `json:"fleiss_kappa"`             // for equal numbers of judgments
	Percent       *float64          `json:"percent"`                  // of pairs of judgments, 0 to 100
	Undefined     map[string]string `json:"undefined,omitempty"`      // reasons, by the name of the measure in JSON
}

// BySide counts judgments by the side that they prefer.
type BySide struct {
	LeftWins    int      `json:"left_wins"`     // judgments for the output on the left
	RightWins   int      `json:"right_wins"`    // judgments for the output on the right
	Ties        int      `json:"ties"`          // judgments for neither
	LeftWinRate *float64 `json:"left_win_rate"` // of the judgments that prefer a side
}

// ByLength is the result of the items in one quarter by the difference in
// length of the two outputs.
type ByLength struct {
	Quarter       int     `json:"quarter"`         // from 1, the smallest difference
	Items         int     `json:"items"`           // in the quarter
	LongerWinRate float64 `json:"longer_win_rate"` // of the items that are decided
}

// Exclusion counts the judgments that a rule removed.
type Exclusion struct {
	Rule      string `json:"rule"`      // its name
	Judgments int    `json:"judgments"` // removed by it
}

// ErrKind is the error of a function that is given judgments of the other kind,
// or none.
var ErrKind = errors.New("the judgments are not of this kind")

// Compare evaluates pairwise judgments. A pair keeps the order in which it is
// named first. Strengths are fitted on the verdicts of items.
func Compare(list []Judgment, opts *Resampling) (*Comparison, error) {
	list, err := Current(list)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0].Kind() != Pairwise {
		return nil, ErrKind
	}
	c := &Comparison{Kind: Pairwise, Judgments: len(list), Pairs: []PairResult{}, ByLength: []ByLength{}, Excluded: []Exclusion{}}
	items, raters := map[string]bool{}, map[string]bool{}
	var units [][]float64
	for _, p := range groupPairs(list) {
		result, pairUnits := p.evaluate(opts)
		c.Pairs = append(c.Pairs, result)
		units = append(units, pairUnits...)
	}
	for i := range list {
		raters[list[i].Rater] = true
		if list[i].Choice != ChooseSkip {
			items[list[i].Item] = true
		}
		c.BySide.add(&list[i])
	}
	c.Items, c.Raters = len(items), len(raters)
	c.BySide.finish()
	c.adjust()
	c.fit()
	c.Agreement = agree(units, Pairwise)
	return c, nil
}

// pair is a pair of systems with its items in their order.
type pair struct {
	a, b   string
	items  []string
	values map[string][]float64 // of an item: 1, 0 and -1, from a's side
	counts JudgmentCounts
}

func groupPairs(list []Judgment) []*pair {
	var pairs []*pair
	find := func(j *Judgment) *pair {
		for _, p := range pairs {
			if p.a == j.A && p.b == j.B || p.a == j.B && p.b == j.A {
				return p
			}
		}
		pairs = append(pairs, &pair{a: j.A, b: j.B, values: map[string][]float64{}})
		return pairs[len(pairs)-1]
	}
	for i := range list {
		j := &list[i]
		find(j).add(j)
	}
	return pairs
}

// add counts a judgment from a's side.
func (p *pair) add(j *Judgment) {
	value := 0.0
	switch j.Choice {
	case ChooseSkip:
		p.counts.Skips++
		return
	case ChooseA:
		value = 1
	case ChooseB:
		value = -1
	}
	if j.A != p.a {
		value = -value
	}
	switch {
	case value > 0:
		p.counts.Wins++
	case value < 0:
		p.counts.Losses++
	default:
		p.counts.Ties++
	}
	if p.values[j.Item] == nil {
		p.items = append(p.items, j.Item)
	}
	p.values[j.Item] = append(p.values[j.Item], value)
}

// evaluate returns the pair's result and the judgments of each of its items.
func (p *pair) evaluate(opts *Resampling) (PairResult, [][]float64) {
	verdicts, units := make([]int, len(p.items)), make([][]float64, len(p.items))
	r := PairResult{A: p.a, B: p.b, Items: len(p.items), Counts: p.counts}
	for i, item := range p.items {
		units[i] = p.values[item]
		verdicts[i] = verdict(units[i])
		switch verdicts[i] {
		case 1:
			r.Wins++
		case -1:
			r.Losses++
		default:
			r.Ties++
		}
	}
	o := opts.withDefaults()
	if n := float64(r.Items); n > 0 {
		r.WinRate, r.TieRate, r.LossRate = float64(r.Wins)/n, float64(r.Ties)/n, float64(r.Losses)/n
		r.WinOrTieRate, r.Adjusted = float64(r.Wins+r.Ties)/n, (float64(r.Wins)+float64(r.Ties)/2)/n
		r.Net = float64(r.Wins-r.Losses) / n
	}
	r.Wilson = WilsonRates{Wilson(r.Wins, r.Items, o.Confidence), Wilson(r.Wins+r.Ties, r.Items, o.Confidence)}
	intervals := Bootstrap(r.Items, 2, opts, func(sample []int, out []float64) {
		sum := 0
		for _, i := range sample {
			sum += verdicts[i]
		}
		net := float64(sum) / float64(len(sample))
		out[0], out[1] = (net+1)/2, net // the adjusted rate is (1 + net)/2
	})
	r.Bootstrap = BootstrapRates{intervals[0], intervals[1]}
	if x, ok := SignTest(r.Wins, r.Losses); ok {
		r.SignTestP = &x
	}
	return r, units
}

// verdict returns the sign of the sum of an item's judgments.
func verdict(values []float64) int {
	sum := 0.0
	for _, x := range values {
		sum += x
	}
	return cmp.Compare(sum, 0)
}

func (s *BySide) add(j *Judgment) {
	switch j.Choice {
	case ChooseTie, ChooseWorse:
		s.Ties++
	case ChooseA, ChooseB:
		switch {
		case j.Left == "":
		case string(j.Choice) == j.Left:
			s.LeftWins++
		default:
			s.RightWins++
		}
	}
}

func (s *BySide) finish() {
	if n := s.LeftWins + s.RightWins; n > 0 {
		rate := float64(s.LeftWins) / float64(n)
		s.LeftWinRate = &rate
	}
}

// adjust sets the p-values of all pairs that are adjusted for their number.
func (c *Comparison) adjust() {
	p := make([]float64, len(c.Pairs))
	for i := range p {
		p[i] = math.NaN()
		if x := c.Pairs[i].SignTestP; x != nil {
			p[i] = *x
		}
	}
	for i, x := range Holm(p) {
		if !math.IsNaN(x) {
			c.Pairs[i].HolmP = &x
		}
	}
}

// fit fits the strengths of all systems.
func (c *Comparison) fit() {
	outcomes := make([]Outcome, len(c.Pairs))
	for i, p := range c.Pairs {
		outcomes[i] = Outcome{p.A, p.B, float64(p.Wins), float64(p.Ties), float64(p.Losses)}
	}
	davidson, nu, err := Davidson(outcomes)
	if err != nil {
		c.Strengths.Error = err.Error()
	} else {
		c.Strengths.Davidson = &DavidsonFit{nu, davidson}
	}
	if bt, err := BradleyTerry(outcomes); err == nil {
		for _, s := range bt {
			c.Strengths.BradleyTerry = append(c.Strengths.BradleyTerry, EloRating{s.System, s.Elo()})
		}
		slices.SortStableFunc(c.Strengths.BradleyTerry, func(a, b EloRating) int { return cmp.Compare(b.Elo, a.Elo) })
	}
}

// agree computes the measures of agreement that fit a kind of study.
func agree(units [][]float64, kind Kind) Agreement {
	a := Agreement{Undefined: map[string]string{}}
	set := func(to **float64, name string, x float64, err error) {
		if err != nil {
			a.Undefined[name] = err.Error()
			return
		}
		*to = &x
	}
	measure := func(to **float64, name string, m Metric) {
		x, err := Alpha(units, m)
		set(to, name, x, err)
	}
	if kind == Pairwise {
		measure(&a.AlphaNominal, "alpha_nominal", Nominal)
	} else {
		measure(&a.AlphaOrdinal, "alpha_ordinal", Ordinal)
		measure(&a.AlphaInterval, "alpha_interval", IntervalScale)
	}
	x, err := FleissKappa(units)
	set(&a.FleissKappa, "fleiss_kappa", x, err)
	x, err = PercentAgreement(units)
	set(&a.Percent, "percent", x, err)
	return a
}
