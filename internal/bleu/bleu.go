// Package bleu is sacrebleu's sentence BLEU: the 13a tokenizer, n-grams of up
// to four tokens, exponential smoothing, one reference. Scores agree with
// sacrebleu 2 to the last digits.
//
// Index finds all pairs that score over a bound without comparing all pairs,
// and misses none.
package bleu

import "math"

// Order is the length of the longest n-grams.
const Order = 4

// Stats are the counts that a score is made of.
type Stats struct {
	Correct [Order]int // n-grams of the hypothesis that are in the reference, at most as often as there
	Total   [Order]int // n-grams of the hypothesis
	HypLen  int        // tokens
	RefLen  int        // tokens
}

// Compare counts for one hypothesis and one reference. Both lose the white
// space at their end first, as in sacrebleu.
func Compare(hyp, ref string) Stats { return CompareTokens(sentence(hyp), sentence(ref)) }

// CompareTokens is Compare for texts that are cut into tokens.
func CompareTokens(hyp, ref []string) Stats {
	s := Stats{HypLen: len(hyp), RefLen: len(ref), Total: totals(len(hyp))}
	for n := 1; n <= Order; n++ {
		have := ngrams(ref, n)
		for gram, count := range ngrams(hyp, n) {
			s.Correct[n-1] += min(count, have[gram])
		}
	}
	return s
}

// totals are the numbers of n-grams in a text of some tokens.
func totals(tokens int) (t [Order]int) {
	for n := range t {
		t[n] = max(0, tokens-n)
	}
	return t
}

// ngrams counts the n-grams of a text; unused places are empty.
func ngrams(tokens []string, n int) map[[Order]string]int {
	m := make(map[[Order]string]int)
	for i := 0; i+n <= len(tokens); i++ {
		var gram [Order]string
		copy(gram[:], tokens[i:i+n])
		m[gram]++
	}
	return m
}

// Score is BLEU in percent, from 0 to 100 and a few units of the last digit.
// A hypothesis under four tokens scores 0.
func (s *Stats) Score() float64 { return s.score(false) }

// ScoreEffectiveOrder is BLEU over the orders that the hypothesis has, for
// short texts.
func (s *Stats) ScoreEffectiveOrder() float64 { return s.score(true) }

func (s *Stats) score(effective bool) float64 {
	if s.Correct == [Order]int{} {
		return 0
	}
	p := s.Precisions()
	order := Order
	for effective && order > 1 && s.Total[order-1] == 0 {
		order--
	}
	sum := 0.0
	for _, x := range p[:order] {
		if x == 0 {
			return 0
		}
		sum += math.Log(x)
	}
	return s.Brevity() * math.Exp(sum/float64(order))
}

// Precisions are the shares of n-grams that are right, in percent. An order
// without any right one is smoothed: half of one, the next a quarter, and so
// on.
func (s *Stats) Precisions() (p [Order]float64) {
	if s.Correct == [Order]int{} {
		return p
	}
	smooth := 1.0
	for n, total := range s.Total {
		switch {
		case total == 0:
			return p
		case s.Correct[n] == 0:
			smooth *= 2
			p[n] = 100 / (smooth * float64(total))
		default:
			p[n] = 100 * float64(s.Correct[n]) / float64(total)
		}
	}
	return p
}

// Brevity is the penalty for a hypothesis shorter than the reference, from 0
// to 1.
func (s *Stats) Brevity() float64 {
	switch {
	case s.HypLen >= s.RefLen:
		return 1
	case s.HypLen == 0:
		return 0
	}
	return math.Exp(1 - float64(s.RefLen)/float64(s.HypLen))
}
