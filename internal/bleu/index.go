package bleu

import "slices"

// Index finds, among a set of hypotheses, those whose score against a reference
// exceeds a threshold. It is immutable and safe for concurrent use. Each
// goroutine needs a Searcher of its own.
//
// The index skips a pair only if its score cannot exceed the threshold. For
// each pair it knows both lengths and the numbers of shared 2-, 3- and 4-grams.
// Counting these costs time in proportion to the n-grams of the reference that
// also occur in hypotheses. Together with the assumption that all unigrams are
// shared, they give an upper bound of the score, because a score never falls
// when the count of an order rises from a value above zero, or that of unigrams
// from any value.
//
// Pairs without shared bigrams need care, since they may score through
// smoothing. With a threshold of 20 this concerns only hypotheses of fewer than
// five tokens: longer ones reach at most 15.98. For hypotheses that can exceed
// the threshold without a shared bigram, unigrams are counted for every
// reference.
type Index struct {
	over    float64 // the threshold
	hyps    []hypothesis
	tokens  map[string]uint32            // number of each token, from 1
	grams   [Order - 1]map[uint64]uint32 // number of each n-gram, from 1
	posts   [Order - 1][][]posting       // by n-gram
	loose   []int                        // hypotheses that can exceed the threshold without a shared bigram
	exact   map[string][]int             // hypotheses by their tokens, each after a space
	longest int                          // number of tokens of the longest hypothesis
}

type hypothesis struct {
	tokens   int       // number of tokens
	unigrams []posting // counts of the tokens
	need     []int32   // by length of the reference: number of bigrams that must be shared to exceed the threshold
}

// posting is the count of an n-gram in a hypothesis. id is the number of the
// n-gram or of the hypothesis.
type posting struct {
	id    uint32
	count uint32
}

// Hit is a hypothesis that matches a reference.
type Hit struct {
	Hypothesis int     // its index in the list given to NewIndex
	Score      float64 // BLEU in percent
	Same       bool    // whether the tokens are equal, in which case the score may be below the threshold
}

// NewIndex returns an index of hypotheses for the threshold over, in percent.
func NewIndex(hypotheses []string, over float64) *Index {
	x := &Index{over: over, tokens: map[string]uint32{}, exact: map[string][]int{}, hyps: make([]hypothesis, len(hypotheses))}
	for n := range x.grams {
		x.grams[n] = map[uint64]uint32{}
		x.posts[n] = make([][]posting, 1)
	}
	for i, text := range hypotheses {
		x.add(i, sentence(text))
	}
	return x
}

// Len returns the number of hypotheses.
func (x *Index) Len() int { return len(x.hyps) }

func (x *Index) add(i int, tokens []string) {
	h := &x.hyps[i]
	h.tokens = len(tokens)
	ids := make([]uint32, len(tokens))
	var key []byte
	for k, token := range tokens {
		if x.tokens[token] == 0 {
			x.tokens[token] = uint32(len(x.tokens) + 1)
		}
		ids[k] = x.tokens[token]
		key = append(append(key, ' '), token...)
	}
	x.exact[string(key)] = append(x.exact[string(key)], i)
	x.longest = max(x.longest, len(tokens))
	h.unigrams = counted(ids)
	// An n-gram is the pair of its prefix and its last token, so that a key is
	// just two numbers.
	prefix := ids
	for n := range x.grams {
		prefix = x.extend(n, prefix, ids)
		for _, g := range counted(prefix) {
			x.posts[n][g.id] = append(x.posts[n][g.id], posting{uint32(i), g.count})
		}
	}
	h.need = x.needs(h.tokens)
	if slices.Contains(h.need, 0) {
		x.loose = append(x.loose, i)
	}
}

// needs returns, for references of each length, how many bigrams a hypothesis
// of hyp tokens must share. A pair shares at most as many 3- and 4-grams as
// bigrams, since each of them contains a different bigram. References longer
// than the list need at least as many bigrams as its last element says: even if
// all of the hypothesis matches, a longer reference only lowers the score.
func (x *Index) needs(hyp int) []int32 {
	list := make([]int32, 4*hyp+2)
	need := 0
	for ref := range list {
		for need > 0 && ref <= hyp && x.passes(hyp, ref, need-1) {
			need--
		}
		for need <= hyp && !x.passes(hyp, ref, need) {
			need++
		}
		list[ref] = int32(need)
	}
	return list
}

// passes reports whether a pair that shares the given number of bigrams may
// exceed the threshold.
func (x *Index) passes(hyp, ref, bigrams int) bool {
	var shared [Order]int
	for n := 1; n < Order; n++ {
		shared[n] = max(0, min(bigrams, hyp-n))
	}
	return x.best(hyp, ref, shared) > x.over
}

// extend returns the numbers of the n+2-grams of a text, given the numbers of
// its n+1-grams.
func (x *Index) extend(n int, prefix, ids []uint32) []uint32 {
	var longer []uint32
	for i := 0; i+n+1 < len(ids); i++ {
		key := uint64(prefix[i])<<32 | uint64(ids[i+n+1])
		g := x.grams[n][key]
		if g == 0 {
			g = uint32(len(x.posts[n]))
			x.grams[n][key] = g
			x.posts[n] = append(x.posts[n], nil)
		}
		longer = append(longer, g)
	}
	return longer
}

// counted returns each id with its count, in the order of first occurrence.
func counted(ids []uint32) []posting {
	place := make(map[uint32]int, len(ids))
	var list []posting
	for _, id := range ids {
		p, ok := place[id]
		if !ok {
			p = len(list)
			place[id] = p
			list = append(list, posting{id: id})
		}
		list[p].count++
	}
	return list
}

// best returns an upper bound of the score, given the lengths and the numbers
// of shared 2-, 3- and 4-grams. It assumes that all unigrams match, and adds a
// margin for rounding.
func (x *Index) best(hyp, ref int, shared [Order]int) float64 {
	s := Stats{Correct: shared, Total: totals(hyp), HypLen: hyp, RefLen: ref}
	s.Correct[0] = min(hyp, ref)
	return s.Score() * (1 + 1e-9)
}

// Searcher holds the counters of a search. Between searches all counters are
// zero.
type Searcher struct {
	x       *Index
	cut     cutter
	ids     []uint32     // numbers of the reference's tokens; 0 for a token that no hypothesis contains
	counts  []uint32     // by token: its count in the reference
	prefix  []uint32     // numbers of the reference's n-grams
	found   []uint32     // by n-gram: its count in the reference
	met     []uint32     // n-grams with a count in found
	shared  [][Order]int // by hypothesis: numbers of shared n-grams
	touched []bool       // by hypothesis: whether it is in tries
	tries   []int        // hypotheses to score
	key     []byte       // the reference as a key of exact
	hits    []Hit
}

// Searcher returns a new Searcher.
func (x *Index) Searcher() *Searcher {
	size := 0
	for n := range x.posts {
		size = max(size, len(x.posts[n]))
	}
	return &Searcher{
		x: x, counts: make([]uint32, len(x.tokens)+1), found: make([]uint32, size),
		shared: make([][Order]int, len(x.hyps)), touched: make([]bool, len(x.hyps)),
	}
}

// Search returns all hypotheses whose score against a reference exceeds the
// threshold, and those with exactly the same tokens. The latter matter for
// texts of fewer than four tokens, whose score is 0. The hits are in the order
// of the hypotheses, and valid until the next call.
func (s *Searcher) Search(ref string) []Hit {
	s.read(trimEnd(ref))
	same := s.x.exact[string(s.key)]
	if len(s.ids) > s.x.longest {
		same = nil // read stores only the beginning of the reference in the key
	}
	for _, i := range s.x.loose {
		s.touch(i)
	}
	for _, i := range same {
		s.touch(i)
	}
	s.share()
	s.hits = s.hits[:0]
	for _, i := range s.tries {
		s.try(i, slices.Contains(same, i))
		s.shared[i], s.touched[i] = [Order]int{}, false
	}
	s.tries = s.tries[:0]
	for _, id := range s.ids {
		s.counts[id] = 0
	}
	slices.SortFunc(s.hits, func(a, b Hit) int { return a.Hypothesis - b.Hypothesis })
	return s.hits
}

// read tokenizes a reference and counts its tokens.
func (s *Searcher) read(ref string) {
	s.ids, s.key = s.ids[:0], s.key[:0]
	each(s.cut.cut(ref), func(token []byte) {
		id := s.x.tokens[string(token)]
		s.ids = append(s.ids, id)
		s.counts[id]++
		if len(s.ids) <= s.x.longest {
			s.key = append(append(s.key, ' '), token...)
		}
	})
}

func (s *Searcher) touch(i int) {
	if !s.touched[i] {
		s.touched[i] = true
		s.tries = append(s.tries, i)
	}
}

// share counts the 2-, 3- and 4-grams that each hypothesis shares with the
// reference.
func (s *Searcher) share() {
	s.prefix = append(s.prefix[:0], s.ids...)
	for n := range s.x.grams {
		s.meet(n)
		for _, g := range s.met {
			for _, p := range s.x.posts[n][g] {
				s.touch(int(p.id))
				s.shared[p.id][n+1] += int(min(p.count, s.found[g]))
			}
			s.found[g] = 0
		}
	}
}

// meet computes the n+2-grams of the reference from its n+1-grams and counts
// those that occur in hypotheses.
func (s *Searcher) meet(n int) {
	s.met = s.met[:0]
	grams := s.x.grams[n]
	for i := 0; i+n+1 < len(s.ids); i++ {
		a, b := s.prefix[i], s.ids[i+n+1]
		s.prefix[i] = 0
		if a == 0 || b == 0 {
			continue
		}
		g := grams[uint64(a)<<32|uint64(b)]
		if s.prefix[i] = g; g == 0 {
			continue
		}
		if s.found[g]++; s.found[g] == 1 {
			s.met = append(s.met, g)
		}
	}
}

// try scores a pair if it can exceed the threshold.
func (s *Searcher) try(i int, same bool) {
	h := &s.x.hyps[i]
	need := h.need[min(len(s.ids), len(h.need)-1)]
	if !same && s.shared[i][1] < int(need) {
		return
	}
	if !same && s.x.best(h.tokens, len(s.ids), s.shared[i]) <= s.x.over {
		return
	}
	stats := Stats{Correct: s.shared[i], Total: totals(h.tokens), HypLen: h.tokens, RefLen: len(s.ids)}
	for _, u := range h.unigrams {
		stats.Correct[0] += int(min(u.count, s.counts[u.id]))
	}
	if score := stats.Score(); same || score > s.x.over {
		s.hits = append(s.hits, Hit{i, score, same})
	}
}
