package local

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/koala"
)

func TestGreedy(t *testing.T) {
	s := newSampler(koala.Sampling{TopP: 1})
	require.Equal(t, int32(1), s.next([]float32{0, 2, 1, 2}))
	require.Equal(t, int32(0), s.next([]float32{-1}))
}

// shares returns how often each token is chosen, as a part of 1.
func shares(s koala.Sampling, logits []float32, n int) []float64 {
	seed := int64(7)
	s.Seed = &seed
	sampler := newSampler(s)
	counts := make([]float64, len(logits))
	for range n {
		counts[sampler.next(logits)] += 1 / float64(n)
	}
	return counts
}

// TestShares compares with the probabilities of the definition.
func TestShares(t *testing.T) {
	logits := []float32{0, 3, 1, 2, 3, -5, 2.5}
	for _, o := range []koala.Sampling{
		{Temperature: 1, TopP: 1}, {Temperature: 0.5, TopP: 1}, {Temperature: 2, TopP: 1}, {Temperature: 1, TopK: 1, TopP: 1},
		{Temperature: 1, TopK: 3, TopP: 1}, {Temperature: 1, TopK: 100, TopP: 1}, {Temperature: 1, TopP: 0.5},
		{Temperature: 1, TopP: 0.9}, {Temperature: 1, TopP: 1e-9}, {Temperature: 3, TopK: 4, TopP: 0.7},
	} {
		order := []int{1, 4, 6, 3, 2, 0, 5} // the likeliest first, the lower id of equals
		if o.TopK > 0 {
			order = order[:min(o.TopK, len(order))]
		}
		weight := func(id int) float64 { return math.Exp(float64(logits[id]) / o.Temperature) }
		total, kept := 0., 0.
		for _, id := range order {
			total += weight(id)
		}
		want := make([]float64, len(logits))
		for _, id := range order {
			if kept < o.TopP*total {
				want[id] = weight(id)
				kept += weight(id)
			}
		}
		got := shares(o, logits, 20000)
		for id := range want {
			require.InDelta(t, want[id]/kept, got[id], 0.02, "%+v, token %d", o, id)
			require.Equal(t, want[id] == 0, got[id] == 0 && want[id] == 0, "%+v, token %d", o, id)
		}
	}
}

// TestSeed checks that the same seed gives the same tokens, and another seed others.
func TestSeed(t *testing.T) {
	logits := make([]float32, 1000)
	draw := func(seed int64) (ids []int32) {
		s := newSampler(koala.Sampling{Temperature: 1, TopP: 0.99, TopK: 900, Seed: &seed})
		for range 20 {
			ids = append(ids, s.next(logits))
		}
		return ids
	}
	require.Equal(t, draw(1), draw(1))
	require.NotEqual(t, draw(1), draw(2))
	one, two := newSampler(koala.Sampling{}), newSampler(koala.Sampling{})
	require.NotEqual(t, one.random.Uint64(), two.random.Uint64())
}

// TestNucleus compares with sorting all candidates.
func TestNucleus(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 120 {
		all := make([]candidate, 1+r.IntN(2000))
		total := 0.
		for i := range all {
			logit := float32(r.IntN(50))
			all[i] = candidate{int32(i), logit, math.Exp(float64(logit) / float64(1+n))}
			total += all[i].weight
		}
		sorted := slices.Clone(all)
		slices.SortFunc(sorted, candidate.compare)
		enough := total * r.Float64()
		got, sum := nucleus(slices.Clone(all), enough)
		require.Equal(t, sorted[:len(got)], got)
		require.GreaterOrEqual(t, sum, enough)
		require.Less(t, sum-got[len(got)-1].weight, enough)
		got, _ = nucleus(all, 2*total)
		require.Equal(t, sorted, got)
	}
}

// BenchmarkNext samples from a vocabulary of LLaMA's size.
func BenchmarkNext(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	logits := make([]float32, 32000)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * 3)
	}
	s := newSampler(koala.Sampling{Temperature: 0.8, TopP: 0.95})
	for b.Loop() {
		s.next(logits)
	}
}

// TestLargest compares with sorting all candidates.
func TestLargest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		all := make([]candidate, 1+r.IntN(60))
		for i := range all {
			all[i] = candidate{id: int32(i), logit: float32(r.IntN(20))}
		}
		sorted := slices.Clone(all)
		slices.SortFunc(sorted, candidate.compare)
		k := 1 + r.IntN(len(all))
		got := largest(all, k)
		slices.SortFunc(got, candidate.compare)
		require.Equal(t, sorted[:k], got)
	}
}

func TestNothingIsAllocatedPerToken(t *testing.T) {
	logits := make([]float32, 32000)
	s := newSampler(koala.Sampling{Temperature: 1, TopK: 50, TopP: 0.9})
	require.Zero(t, testing.AllocsPerRun(20, func() { s.next(logits) }))
}
