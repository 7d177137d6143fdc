package eval_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/eval"
	"github.com/koala-go/sdk/internal/fixture"
)

// verdicts makes three judgments an item: counts of items that a wins, ties and
// loses.
func verdicts(a, b string, wins, ties, losses int) (list []eval.Judgment) {
	for item := range wins + ties + losses {
		choices := []eval.Choice{eval.ChooseA, eval.ChooseA, eval.ChooseB}
		switch {
		case item >= wins+ties:
			choices = []eval.Choice{eval.ChooseB, eval.ChooseTie, eval.ChooseB}
		case item >= wins:
			choices = []eval.Choice{eval.ChooseA, eval.ChooseB, eval.ChooseWorse}
		}
		for rater, choice := range choices {
			list = append(list, eval.Judgment{Item: fmt.Sprint(item), A: a, B: b, Left: "a", Choice: choice, Rater: fmt.Sprint(rater)})
		}
	}
	return list
}

func TestCompare(t *testing.T) {
	c, err := eval.Compare(verdicts("koala", "alpaca", 86, 40, 54), &eval.Resampling{Replicates: 1000})
	require.NoError(t, err)
	require.Equal(t, 180, c.Items)
	require.Equal(t, 540, c.Judgments)
	require.Equal(t, 3, c.Raters)
	p := c.Pairs[0]
	require.Equal(t, []int{86, 40, 54}, []int{p.Wins, p.Ties, p.Losses})
	require.InDelta(t, 0.0085565479610758, *p.SignTestP, 1e-12)
	require.Equal(t, *p.SignTestP, *p.HolmP)
	require.InDelta(t, 0.5888888888888889, p.Adjusted, 1e-12)
	require.InDelta(t, 0.17777777777777778, p.Net, 1e-12)
	require.InDelta(t, 0.40603567279845093, p.Wilson.WinRate.Low, 1e-12)
	require.Less(t, p.Bootstrap.Net.Low, p.Net)
	require.Greater(t, p.Bootstrap.Net.High, p.Net)
	require.Equal(t, eval.JudgmentCounts{Wins: 212, Ties: 94, Losses: 234}, p.Counts)
	require.InDelta(t, 0.4653632496892333, c.Strengths.Davidson.Systems[1].Strength-c.Strengths.Davidson.Systems[0].Strength, 1e-12)
	require.Len(t, c.Strengths.BradleyTerry, 2)
	require.Equal(t, eval.BySide{LeftWins: 212, RightWins: 234, Ties: 94, LeftWinRate: c.BySide.LeftWinRate}, c.BySide)
	require.NotNil(t, c.Agreement.AlphaNominal)
}

// TestCompareTurnsPairs has the same judgments with the systems named in the
// other order.
func TestCompareTurnsPairs(t *testing.T) {
	list := verdicts("a", "b", 5, 3, 2)
	want, err := eval.Compare(list, nil)
	require.NoError(t, err)
	for i := range list {
		if i%2 == 1 {
			j := &list[i]
			j.A, j.B, j.Left = j.B, j.A, "b"
			switch j.Choice {
			case eval.ChooseA:
				j.Choice = eval.ChooseB
			case eval.ChooseB:
				j.Choice = eval.ChooseA
			}
		}
	}
	got, err := eval.Compare(list, nil)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestCompareSkips(t *testing.T) {
	list := []eval.Judgment{
		{Item: "1", A: "a", B: "b", Choice: eval.ChooseSkip, Rater: "r"},
		{Item: "2", A: "a", B: "b", Choice: eval.ChooseTie, Rater: "r"},
	}
	c, err := eval.Compare(list, nil)
	require.NoError(t, err)
	require.Equal(t, 1, c.Items, "an item of skips alone does not count")
	require.Equal(t, 2, c.Judgments)
	require.Equal(t, 1, c.Pairs[0].Counts.Skips)
	require.Nil(t, c.Pairs[0].SignTestP)
	require.Contains(t, c.Strengths.Error, "all verdicts are ties")
	require.Contains(t, c.Agreement.Undefined["alpha_nominal"], "no unit has two judgments")
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.Contains(t, string(text), `"fleiss_kappa":null`)
}

// TestTable2 recomputes the weighted averages of the report's Table 2.
func TestTable2(t *testing.T) {
	text, err := os.ReadFile(fixture.Path(t, "golden", "tables.json"))
	require.NoError(t, err)
	var tables struct {
		Columns []string
		Table2  struct {
			Rows [][]any   `json:"rows_category_frequency_ratings"`
			Want []float64 `json:"recomputed_weighted_avg"`
		}
	}
	require.NoError(t, json.Unmarshal(text, &tables))
	frequency, of := map[string]float64{}, map[string]string{}
	var list []eval.Judgment
	for _, row := range tables.Table2.Rows {
		category := row[0].(string)
		frequency[category] = row[1].(float64)
		for column, system := range tables.Columns {
			// Ten items whose scores have the mean of the cell.
			tenths := int(row[2+column].(float64)*10 + 0.5)
			for i := range 10 {
				item := fmt.Sprint(category, i)
				of[item] = category
				score := tenths / 10
				if i < tenths%10 {
					score++
				}
				list = append(list, eval.Judgment{Item: item, System: system, Score: score, Rater: "r"})
			}
		}
	}
	r, err := eval.Rate(list, &eval.Categories{Of: of, Frequency: frequency}, &eval.Resampling{Replicates: 200})
	require.NoError(t, err)
	for i, s := range r.Systems {
		require.Equal(t, tables.Columns[i], s.System)
		require.InDelta(t, tables.Table2.Want[i], *s.WeightedMean, 1e-12)
		require.Len(t, s.Categories, 9)
		require.LessOrEqual(t, s.WeightedMeanCI.Low, *s.WeightedMean)
		require.GreaterOrEqual(t, s.WeightedMeanCI.High, *s.WeightedMean)
	}
}

func TestRateWeighsItemsNotJudgments(t *testing.T) {
	r, err := eval.Rate([]eval.Judgment{
		{Item: "1", System: "s", Score: 1, Rater: "a"}, {Item: "1", System: "s", Score: 1, Rater: "b"}, {Item: "1", System: "s", Score: 1, Rater: "c"},
		{Item: "2", System: "s", Score: 5, Rater: "a"},
	}, nil, nil)
	require.NoError(t, err)
	require.Equal(t, 3.0, r.Systems[0].Mean)
	require.Nil(t, r.Systems[0].WeightedMean)
	require.Equal(t, eval.Interval{Low: 1, High: 5}, r.Systems[0].MeanCI)
}

func TestBadCategories(t *testing.T) {
	list := []eval.Judgment{{Item: "1", System: "s", Score: 1, Rater: "a"}}
	for says, c := range map[string]*eval.Categories{
		"give a positive number":  {Of: map[string]string{"1": "x"}, Frequency: map[string]float64{"x": 0}},
		"has no frequency":        {Of: map[string]string{"1": "y"}, Frequency: map[string]float64{"x": 1}},
		`has the frequency +Inf`:  {Frequency: map[string]float64{"x": 1 / zero}},
		`has the frequency NaN: `: {Frequency: map[string]float64{"x": zero / zero}},
	} {
		_, err := eval.Rate(list, c, nil)
		require.ErrorContains(t, err, says)
	}
}

var zero = 0.0

func TestReadJudgments(t *testing.T) {
	const text = `{"item":"1","a":"x","b":"y","left":"a","choice":"a","rater":"r","revision":0}

{"item":"1","a":"x","b":"y","left":"a","choice":"tie","rater":"r","revision":1,"visible_ms":1200,"note":{"kept":"by nobody"}}
{"item":"2","a":"x","b":"y","choice":"skip","rater":"r","reason":null}
`
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	for name, in := range map[string]string{"plain": text, "gzip": packed.String()} {
		list, err := eval.ReadJudgments(strings.NewReader(in))
		require.NoError(t, err, name)
		require.Len(t, list, 2, "the last revision counts")
		require.Equal(t, eval.ChooseTie, list[0].Choice)
		require.EqualValues(t, 1200, list[0].VisibleMS)
	}
}

func TestBadJudgments(t *testing.T) {
	const good = `{"item":"1","a":"x","b":"y","left":"a","choice":"a","rater":"r"}`
	for name, row := range map[string]struct{ text, says string }{
		"not JSON":           {"{", "line 1: "},
		"two values":         {good + good, "line 1: "},
		"a name twice":       {`{"item":"1","item":"2"}`, "duplicate"},
		"letter case":        {strings.Replace(good, `"item"`, `"Item"`, 1), `no member "item"`},
		"no rater":           {strings.Replace(good, `"rater":"r"`, `"rater":""`, 1), `no member "rater"`},
		"item is a number":   {strings.Replace(good, `"1"`, `1`, 1), `member "item" is not a string`},
		"against itself":     {strings.Replace(good, `"y"`, `"x"`, 1), "compared with itself"},
		"unknown choice":     {strings.Replace(good, `"choice":"a"`, `"choice":"left"`, 1), `member "choice" is "left": give`},
		"unknown side":       {strings.Replace(good, `"left":"a"`, `"left":"x"`, 1), `member "left" is "x": give`},
		"unknown rater kind": {strings.Replace(good, `"rater"`, `"rater_kind":"robot","rater"`, 1), `give "human" or "model"`},
		"neither kind":       {`{"item":"1","rater":"r"}`, "names no system"},
		"score 0":            {`{"item":"1","rater":"r","system":"s","score":0}`, "between 1 and 5"},
		"score 6":            {`{"item":"1","rater":"r","system":"s","score":6}`, "between 1 and 5"},
		"score 1e300":        {`{"item":"1","rater":"r","system":"s","score":1e300}`, "whole number"},
		"score 2.5":          {`{"item":"1","rater":"r","system":"s","score":2.5}`, "whole number"},
		"no score":           {`{"item":"1","rater":"r","system":"s"}`, `no member "score"`},
		"both in one":        {`{"item":"1","rater":"r","system":"s","score":3,"a":"x","b":"y"}`, "a rating and a comparison"},
		"both in one file":   {good + "\n" + `{"item":"1","rater":"r","system":"s","score":3}`, "line 2: the judgment is of kind rating"},
		"one rater twice":    {good + "\n" + good, "line 2: rater"},
		"a NUL":              {strings.Replace(good, `"1"`, `"1\u0000"`, 1), "NUL"},
		"a long line":        {strings.Repeat(" ", 8<<20) + good, "more than 8388608 bytes"},
		"broken gzip":        {"\x1f\x8b\x00", "EOF"},
	} {
		_, err := eval.ReadJudgments(strings.NewReader(row.text))
		require.ErrorContains(t, err, row.says, name)
	}
	_, err := eval.Compare(nil, nil)
	require.ErrorIs(t, err, eval.ErrKind)
	_, err = eval.Rate(verdicts("a", "b", 1, 0, 0), nil, nil)
	require.ErrorIs(t, err, eval.ErrKind)
	_, err = eval.Compare([]eval.Judgment{{}}, nil)
	var at *eval.LineError
	require.True(t, errors.As(err, &at))
	require.Equal(t, 1, at.Line)
}

func ExampleCompare() {
	judgments, err := eval.ReadJudgments(strings.NewReader(`
{"item":"1","a":"koala","b":"alpaca","left":"a","choice":"a","rater":"ann"}
{"item":"1","a":"koala","b":"alpaca","left":"b","choice":"tie","rater":"ben"}
{"item":"2","a":"koala","b":"alpaca","left":"b","choice":"b","rater":"ann"}
{"item":"3","a":"koala","b":"alpaca","left":"a","choice":"a","rater":"ben"}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := eval.Compare(judgments, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	p := c.Pairs[0]
	fmt.Printf("%s wins %d, ties %d, loses %d of %d items; p = %.2f\n", p.A, p.Wins, p.Ties, p.Losses, p.Items, *p.SignTestP)
	// Output: koala wins 2, ties 0, loses 1 of 3 items; p = 1.00
}

// BenchmarkCompare is a study of 4 systems, 180 items and 3 judgments.
func BenchmarkCompare(b *testing.B) {
	systems := []string{"a", "b", "c", "d"}
	var list []eval.Judgment
	for i, x := range systems {
		for _, y := range systems[i+1:] {
			list = append(list, verdicts(x, y, 80, 40, 60)...)
		}
	}
	for b.Loop() {
		if _, err := eval.Compare(list, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAgree(t *testing.T) {
	r, err := eval.Agree([]eval.Judgment{
		{Item: "1", System: "s", Score: 3, Rater: "a"}, {Item: "1", System: "s", Score: 3, Rater: "b"}, {Item: "1", System: "s", Score: 4, Rater: "c"},
		{Item: "2", System: "s", Score: 1, Rater: "a"}, {Item: "2", System: "s", Score: 1, Rater: "b"},
		{Item: "3", System: "s", Score: 5, Rater: "a"}, {Item: "3", System: "s", Score: 4, Rater: "b"}, {Item: "3", System: "s", Score: 5, Rater: "c"},
		{Item: "4", System: "s", Score: 2, Rater: "a"},
	})
	require.NoError(t, err)
	require.Equal(t, 3, r.Raters)
	require.Equal(t, 4, r.Units)
	require.InDelta(t, 0.825, *r.Alpha.Ordinal, 1e-12) // krippendorff 0.9.0
	require.Nil(t, r.FleissKappa)
	require.Contains(t, r.Undefined["fleiss_kappa"], "has 2 judgments")
	require.Len(t, r.Cohen, 3)
	require.Equal(t, "a", r.Cohen[0].A)
	require.InDelta(t, 3.0/7*100, *r.Percent, 1e-12)

	one, err := eval.Agree(verdicts("x", "y", 3, 0, 0)[:1])
	require.NoError(t, err)
	require.Empty(t, one.Cohen)
	require.Contains(t, one.Undefined["alpha"], "no unit has two judgments")
	_, err = eval.Agree(nil)
	require.ErrorIs(t, err, eval.ErrKind)
}
