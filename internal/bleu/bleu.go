// Package bleu computes sacrebleu's sentence BLEU with the 13a tokenizer,
// n-grams of up to four tokens, exponential smoothing and one reference. Scores
// agree with sacrebleu 2 to the last digits.
//
// Compare compares two texts. An Index finds all pairs of texts whose score
// exceeds a threshold without comparing all pairs.
package bleu

import "math"

// Order is the length of the longest n-grams in tokens.
const Order = 4

// Stats holds the counts from which a score is computed.
type Stats struct {
	Correct [Order]int // n-grams of the hypothesis that also occur in the reference, each counted at most as often as there
	Total   [Order]int // n-grams of the hypothesis
	HypLen  int        // tokens of the hypothesis
	RefLen  int        // tokens of the reference
}

// Compare returns the counts for a hypothesis and a reference. Like sacrebleu
// it first removes white space from the end of both.
func Compare(hyp, ref string) Stats { return CompareTokens(sentence(hyp), sentence(ref)) }

// CompareTokens is like Compare for texts that are already tokenized.
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

// totals returns the numbers of n-grams in a text of the given number of
// tokens.
func totals(tokens int) (t [Order]int) {
	for n := range t {
		t[n] = max(0, tokens-n)
	}
	return t
}

// ngrams counts the n-grams of a text. The last elements of a key are empty if
// n is less than Order.
func ngrams(tokens []string, n int) map[[Order]string]int {
	m := make(map[[Order]string]int)
	for i := 0; i+n <= len(tokens); i++ {
		var gram [Order]string
		copy(gram[:], tokens[i:i+n])
		m[gram]++
	}
	return m
}

// Score returns BLEU in percent, from 0 to 100 up to rounding. A hypothesis of
// fewer than four tokens scores 0.
func (s *Stats) Score() float64 { return s.score(false) }

// ScoreEffectiveOrder returns BLEU over the orders for which the hypothesis has
// n-grams. It suits short texts.
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

// Precisions returns the share of matching n-grams for each order, in percent.
// Exponential smoothing replaces a count of zero by 1/2 for the first such
// order, by 1/4 for the second, and so on.
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

// Brevity returns the brevity penalty, from 0 to 1, for a hypothesis shorter
// than the reference.
func (s *Stats) Brevity() float64 {
	switch {
	case s.HypLen >= s.RefLen:
		return 1
	case s.HypLen == 0:
		return 0
	}
	return math.Exp(1 - float64(s.RefLen)/float64(s.HypLen))
}
