package bleu

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bruteForce compares all pairs.
func bruteForce(hyps []string, ref string, over float64) (hits []Hit) {
	r := sentence(ref)
	for i, hyp := range hyps {
		h := sentence(hyp)
		s := CompareTokens(h, r)
		same := strings.Join(h, " ") == strings.Join(r, " ")
		if score := s.Score(); same || score > over {
			hits = append(hits, Hit{i, score, same})
		}
	}
	return hits
}

// someText returns a text of words from a small vocabulary, so that n-grams are
// often shared and repeated.
func someText(r *rand.Rand, words, length int) string {
	list := make([]string, r.IntN(length+1))
	for i := range list {
		list[i] = string(rune('a' + r.IntN(words)))
	}
	return strings.Join(list, " ")
}

// TestIndexIsBruteForce compares hits and scores for texts of many lengths,
// vocabularies of many sizes, and many thresholds.
func TestIndexIsBruteForce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, over := range []float64{0, 5, 15, 20, 50, 99} {
		for _, words := range []int{2, 5, 20} {
			var hyps []string
			for range 60 {
				hyps = append(hyps, someText(r, words, 16))
			}
			s := NewIndex(hyps, over).Searcher()
			hits := 0
			for range 60 {
				ref := someText(r, words, 24)
				want := bruteForce(hyps, ref, over)
				require.Equal(t, want, append([]Hit(nil), s.Search(ref)...), "bound %v: %q", over, ref)
				hits += len(want)
			}
			require.NotZero(t, hits)
		}
	}
}

// TestIndexOnText compares hits for sentences with punctuation and common
// phrases.
func TestIndexOnText(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	hyps := make([]string, 180)
	for i := range hyps {
		hyps[i] = sentenceLike(r, 4+r.IntN(30))
	}
	s := NewIndex(hyps, 20).Searcher()
	hits := 0
	for k := range 300 {
		ref := sentenceLike(r, 4+r.IntN(40))
		if k%8 == 0 { // near copies
			words := strings.Fields(hyps[r.IntN(len(hyps))])
			words[r.IntN(len(words))] = "other"
			ref = strings.Join(words, " ")
		}
		want := bruteForce(hyps, ref, 20)
		require.Equal(t, want, append([]Hit(nil), s.Search(ref)...), ref)
		hits += len(want)
	}
	require.Greater(t, hits, 30)
}

func TestIndexShortTexts(t *testing.T) {
	s := NewIndex([]string{"Who are you?", "Hi", "", "Hi", "a b c d"}, 20).Searcher()
	require.Equal(t, []Hit{{1, 0, true}, {3, 0, true}}, s.Search("Hi"))
	require.Equal(t, []Hit{{2, 0, true}}, s.Search(" \n"))
	require.Equal(t, []Hit{{0, Compare("Who are you?", "Who are you?").score100(), true}}, s.Search("Who are you ?"))
	require.Empty(t, s.Search("Hi there"))
	require.Len(t, s.Search("d c b a"), 1)
	require.Empty(t, NewIndex(nil, 20).Searcher().Search("Hi"))
}

func (s Stats) score100() float64 { return s.Score() }

// common lists common words, roughly by frequency, so that texts share bigrams
// as often as real ones.
var common = strings.Fields("the of to a and in is that for it you with on as are be this i have can how what or your not from at write about an list which do make me my if will more good way best some one all we by there so when up out use people get like new time also just")

// sentenceLike draws words by Zipf's law, including some rare ones.
func sentenceLike(r *rand.Rand, n int) string {
	z := rand.NewZipf(r, 1.1, 2, uint64(len(common)+3000))
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		if k := z.Uint64(); int(k) < len(common) {
			b.WriteString(common[k])
		} else {
			b.WriteString("w")
			b.WriteByte(byte('a' + k%26))
			b.WriteByte(byte('a' + k/26%26))
			b.WriteByte(byte('a' + k/676%26))
		}
		if r.IntN(12) == 0 {
			b.WriteByte(',')
		}
	}
	return b.String() + "."
}

// BenchmarkIndex searches 180 queries in examples of 20 to 220 words, which it
// draws anew for each run of 1,000. One operation is one example. The largest
// real case has a million examples.
func BenchmarkIndex(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	hyps := make([]string, 180)
	for i := range hyps {
		hyps[i] = sentenceLike(r, 5+r.IntN(40))
	}
	s := NewIndex(hyps, 20).Searcher()
	refs := make([]string, 20_000)
	for i := range refs {
		refs[i] = sentenceLike(r, 20+r.IntN(200))
	}
	hits, bytes := 0, 0
	b.ResetTimer()
	for i := range b.N {
		ref := refs[i%len(refs)]
		bytes += len(ref)
		hits += len(s.Search(ref))
	}
	b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
	b.SetBytes(int64(bytes / b.N))
}
