package bleu

import "slices"

// Index holds hypotheses and finds those that score over a bound against a
// reference. It never changes and is safe for concurrent use; each goroutine
// has a Searcher of its own.
//
// A pair is skipped only if it cannot pass. Of a pair the index knows the
// lengths and how many 2-, 3- and 4-grams are shared, which costs as much as
// there are n-grams in the reference that some hypothesis has. All unigrams
// taken as shared, that gives the most the pair can score, because the score
// never falls when a count of right n-grams rises from some number to a
// higher one, or a unigram's. Pairs that share no bigram have counts (·,0,0,0):
// for the hypotheses whose best case of that is over the bound, which those
// of five tokens and more never are at a bound of 20 (they reach 15.98), the
// unigrams are counted for every reference.
type Index struct {
	over    float64
	hyps    []hypothesis
	tokens  map[string]uint32 // from 1
	grams   [Order - 1]map[uint64]uint32
	posts   [Order - 1][][]posting // by gram
	loose   []int                  // hypotheses that can pass without a shared bigram
	exact   map[string][]int       // by the text as cut, one space between tokens
	longest int                    // tokens of the longest in exact
}

type hypothesis struct {
	tokens   int
	unigrams []posting // gram and count
	need     []int32   // by the reference's length: bigrams that must be shared to pass
}

// posting is a gram's count in a hypothesis, or the reverse.
type posting struct {
	id    uint32
	count uint32
}

// Hit is a pair that passes.
type Hit struct {
	Hypothesis int     // its place among those the Index was made of
	Score      float64 // BLEU in percent
	Same       bool    // the tokens are equal; then the score may be under the bound
}

// NewIndex indexes hypotheses for the bound over, in percent.
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

// Len is the number of hypotheses.
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

// needs lists how many bigrams a hypothesis must share with a reference of
// each length. As many 3- and 4-grams at most are shared as bigrams are, for
// each holds one. Past the end of the list as many are needed as at the end
// at least: all of a hypothesis being right, a longer reference only lowers
// the score.
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

// passes says whether a pair that shares some bigrams may be over the bound.
func (x *Index) passes(hyp, ref, bigrams int) bool {
	var shared [Order]int
	for n := 1; n < Order; n++ {
		shared[n] = max(0, min(bigrams, hyp-n))
	}
	return x.best(hyp, ref, shared) > x.over
}

// extend numbers the n+2-grams of a text, given the numbers of its n+1-grams.
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

// counted lists each id once, with its count, in the order of first places.
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

// best is the most that a pair can score, given its lengths and how many
// 2-, 3- and 4-grams are shared: with all unigrams right. A hair is added for
// rounding.
func (x *Index) best(hyp, ref int, shared [Order]int) float64 {
	s := Stats{Correct: shared, Total: totals(hyp), HypLen: hyp, RefLen: ref}
	s.Correct[0] = min(hyp, ref)
	return s.Score() * (1 + 1e-9)
}

// Searcher has the counters of one search at a time. Between searches all are
// zero.
type Searcher struct {
	x       *Index
	cut     cutter
	ids     []uint32     // of the reference's tokens, 0 for those in no hypothesis
	counts  []uint32     // by token, in the reference
	prefix  []uint32     // of the reference's n-grams
	found   []uint32     // by n-gram, in the reference
	met     []uint32     // n-grams found
	shared  [][Order]int // by hypothesis
	touched []bool       // by hypothesis: it is to be tried
	tries   []int        // hypotheses touched
	key     []byte
	hits    []Hit
}

// Searcher makes a Searcher.
func (x *Index) Searcher() *Searcher {
	most := 0
	for n := range x.posts {
		most = max(most, len(x.posts[n]))
	}
	return &Searcher{
		x: x, counts: make([]uint32, len(x.tokens)+1), found: make([]uint32, most),
		shared: make([][Order]int, len(x.hyps)), touched: make([]bool, len(x.hyps)),
	}
}

// Search finds all hypotheses that score over the bound against a reference,
// or have its very tokens, which matters for texts under four tokens because
// they score 0. The hits, in the order of the hypotheses, hold until the next
// call.
func (s *Searcher) Search(ref string) []Hit {
	s.read(trimEnd(ref))
	same := s.x.exact[string(s.key)]
	if len(s.ids) > s.x.longest {
		same = nil // the key is not all of the reference
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

// read cuts a reference and counts its tokens.
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

// share counts the 2-, 3- and 4-grams that hypotheses have in common with the
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

// meet makes n+2-grams of the n+1-grams and counts those that some hypothesis
// has.
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

// try scores a pair if it can pass.
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
