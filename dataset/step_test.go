package dataset

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/bleu"
)

// numbers yields records with numbered queries.
func numbers(from, to int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for i := from; i < to; i++ {
			r := Record{Fields: []Field{{Key: "human_0", Text: fmt.Sprintf("query %d", i)}, {Key: "gpt_1", Text: "x"}, {Key: "fields", Text: pairList}}}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// queries returns the queries of records.
func queries(t testing.TB, records iter.Seq2[Record, error]) (list []string) {
	t.Helper()
	for r, err := range records {
		require.NoError(t, err)
		list = append(list, r.Query())
	}
	return list
}

// join yields the records of several sequences, one after the other.
func join(list ...iter.Seq2[Record, error]) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, seq := range list {
			for r, err := range seq {
				if !yield(r, err) {
					return
				}
			}
		}
	}
}

// TestDedup checks that the first record of each query stays, however small the
// memory, and that no file is left.
func TestDedup(t *testing.T) {
	want := queries(t, join(numbers(0, 3000)))
	for _, memory := range []int{0, 60, 300, 1000} {
		dir := t.TempDir()
		report := new(Report)
		records := join(numbers(0, 2000), numbers(500, 2500), numbers(0, 3000), numbers(2999, 3000))
		require.Equal(t, want, queries(t, Dedup(t.Context(), records, &DedupOptions{Memory: memory, Dir: dir, Report: report})), memory)
		require.EqualValues(t, 4001, report.Counts().Dropped["duplicate"])
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// TestDedupSides checks that a helpful and an unhelpful reply to the same query
// both stay.
func TestDedupSides(t *testing.T) {
	in := []Input{Text("a", goodHH+"\n"+goodHH+"\n")}
	require.Len(t, queries(t, Dedup(t.Context(), Read(t.Context(), in, &ReadOptions{Source: HH}), nil)), 2)
}

// TestLeaks compares the result with that of comparing all pairs.
func TestLeaks(t *testing.T) {
	var text []string
	for i := range 400 {
		text = append(text, fmt.Sprintf(`{"human_0":"please write a poem about %s number %d and why","human_2":"Who are you?"}`, []string{"snow", "rain", "a cat"}[i%3], i%40))
	}
	tests := []string{
		"please write a poem about snow number 7 and why", "Who are you?", "nothing of the kind is here", "write a poem", "",
		"a poem about a cat number 3 and other things",
	}
	in := []Input{Text("train", strings.Join(text, "\n"))}
	leaks, err := Leaks(t.Context(), Read(t.Context(), in, nil), tests, &LeakOptions{Workers: 2})
	require.NoError(t, err)
	for i, query := range tests {
		best, same := 0.0, false
		for r, err := range Read(t.Context(), in, nil) {
			require.NoError(t, err)
			for _, f := range r.Fields {
				s := bleu.Compare(query, f.Text)
				best, same = max(best, s.Score()), same || query == f.Text
			}
		}
		require.Equal(t, best > 20 || same, leaks[i] != nil, query)
		if leaks[i] != nil {
			require.Equal(t, same, leaks[i].Same)
			require.InDelta(t, best, max(best*b2f(same), leaks[i].Score), 1e-9, query)
			require.Equal(t, "train", leaks[i].At.File)
		}
	}
	require.NotNil(t, leaks[0])
	require.NotNil(t, leaks[1])
	require.Nil(t, leaks[2])

	report := new(Report)
	kept := queries(t, WithoutLeaks(t.Context(), Read(t.Context(), in, nil), tests[:1], &LeakOptions{Report: report}))
	require.EqualValues(t, len(text)-len(kept), report.Counts().Dropped["leak"])
	require.Empty(t, slices.DeleteFunc(kept, func(q string) bool { return !strings.Contains(q, "snow number 7 ") }))
	_, err = Leaks(t.Context(), numbers(0, 1), tests, &LeakOptions{Over: math.NaN()})
	require.Error(t, err)
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// TestFilter checks that Filter counts what it leaves out.
func TestFilter(t *testing.T) {
	report := new(Report)
	english := QueryFilter(func(text string) bool { return !strings.HasSuffix(text, "7") })
	require.Len(t, queries(t, Filter(numbers(0, 100), "language", english, report)), 90)
	require.EqualValues(t, 10, report.Counts().Dropped["language"])
	require.True(t, HasCode("a\n```go\nx```"))
	require.False(t, HasCode("`x`"))
}

// TestSplit checks that the shares are about right, and that the part depends on
// the query only.
func TestSplit(t *testing.T) {
	s, err := NewSplitter(3, []float64{9, 0, 1})
	require.NoError(t, err)
	var counts [3]int
	for r := range numbers(0, 20000) {
		p := s.Part(&r)
		counts[p]++
		r.Fields[1].Text = "another reply"
		require.Equal(t, p, s.Part(&r))
	}
	require.InDelta(t, 18000, counts[0], 150)
	require.Zero(t, counts[1])
	other, err := NewSplitter(4, []float64{1, 1})
	require.NoError(t, err)
	again, err := NewSplitter(3, []float64{1, 1})
	require.NoError(t, err)
	differ := 0
	for r := range numbers(0, 1000) {
		if other.Part(&r) != again.Part(&r) {
			differ++
		}
	}
	require.InDelta(t, 500, differ, 100)
}

// TestSplitIsStable checks the parts of some queries, which must never change:
// the quarters in which the first 8 bytes of the SHA-256 lie, by Python's
// hashlib.
func TestSplitIsStable(t *testing.T) {
	s, err := NewSplitter(0, []float64{1, 1, 1, 1})
	require.NoError(t, err)
	var parts []int
	for r := range numbers(0, 12) {
		parts = append(parts, s.Part(&r))
	}
	require.Equal(t, []int{1, 0, 1, 3, 3, 0, 3, 2, 1, 0, 1, 3}, parts)
}

var badWeights = [][]float64{nil, {}, {0}, {0, 0}, {-1, 2}, {math.NaN()}, {math.Inf(1)}, {math.MaxFloat64, math.MaxFloat64}}

// TestBadWeights checks that impossible weights are option errors.
func TestBadWeights(t *testing.T) {
	for _, list := range badWeights {
		_, err := NewSplitter(0, list)
		require.ErrorIs(t, err, ErrOptions, "%v", list)
		var sources []MixSource
		for _, w := range list {
			sources = append(sources, MixSource{Name: "s", Weight: w, Records: func() iter.Seq2[Record, error] { return numbers(0, 1) }})
		}
		n := 0
		for _, err := range Mix(sources, nil) {
			require.ErrorIs(t, err, ErrOptions, "%v", list)
			n++
		}
		require.Equal(t, 1, n)
	}
}

// TestMix checks that all records are drawn once, in the order of their source
// and about by the weights, and that with a total the sources begin anew.
func TestMix(t *testing.T) {
	source := func(weight float64, from, to int) MixSource {
		return MixSource{"s", weight, func() iter.Seq2[Record, error] { return numbers(from, to) }}
	}
	sources := []MixSource{source(3, 0, 3000), source(1, 10000, 11000), source(0, 50000, 50010)}
	list := queries(t, Mix(sources, &MixOptions{Seed: 5}))
	require.Len(t, list, 4000)
	require.Equal(t, list, queries(t, Mix(sources, &MixOptions{Seed: 5})))
	require.NotEqual(t, list, queries(t, Mix(sources, &MixOptions{Seed: 6})))
	var first []string
	early := 0
	for i, q := range list {
		if len(q) < len("query 10000") {
			first = append(first, q)
			if i < 1000 {
				early++
			}
		}
	}
	require.Equal(t, queries(t, numbers(0, 3000)), first)
	require.InDelta(t, 750, early, 60)
	require.Len(t, queries(t, Mix(sources, &MixOptions{Total: 9999})), 9999)
	for _, err := range Mix([]MixSource{source(1, 0, 0)}, &MixOptions{Total: 5}) {
		require.ErrorContains(t, err, "has no records")
	}
}

// TestShuffle checks that the order depends on the seed and not on the memory,
// and that no file is left.
func TestShuffle(t *testing.T) {
	want := queries(t, Shuffle(t.Context(), numbers(0, 3000), &ShuffleOptions{Seed: 1}))
	sorted := slices.Sorted(slices.Values(want))
	require.Equal(t, slices.Sorted(slices.Values(queries(t, numbers(0, 3000)))), sorted)
	require.NotEqual(t, queries(t, numbers(0, 3000)), want)
	require.NotEqual(t, want, queries(t, Shuffle(t.Context(), numbers(0, 3000), &ShuffleOptions{Seed: 2})))
	dir := t.TempDir()
	for _, memory := range []int64{2000, 100_000} { // the first memory is so small that parts are divided again
		require.Equal(t, want, queries(t, Shuffle(t.Context(), numbers(0, 3000), &ShuffleOptions{Seed: 1, Memory: memory, Dir: dir})))
	}
	for range Shuffle(t.Context(), numbers(0, 3000), &ShuffleOptions{Memory: 1000, Dir: dir}) {
		break
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestStats checks the counts and the HTML page.
func TestStats(t *testing.T) {
	var s Stats
	for r, err := range Read(t.Context(), []Input{Text("<hh>", goodHH)}, &ReadOptions{Source: HH}) {
		require.NoError(t, err)
		s.Add(r.At.File, &r)
	}
	x := s.Sources[0]
	require.EqualValues(t, 2, x.Records)
	require.EqualValues(t, 1, x.Bad)
	require.EqualValues(t, 4, x.Turns)
	require.Equal(t, Histogram{2, 2, 1, []int64{0, 2}}, x.Queries)
	var h Histogram
	for _, n := range []int{0, 1, 2, 3, 4, 7, 8} {
		h.Add(strings.Repeat("é", n))
	}
	require.Equal(t, []int64{1, 1, 2, 2, 1}, h.Buckets)
	var b bytes.Buffer
	require.NoError(t, s.WriteHTML(&b))
	require.Contains(t, b.String(), "&lt;hh&gt;")
	require.NotContains(t, b.String(), "<hh>")
}
