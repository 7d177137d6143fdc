package tokenizer

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// tables are a vocabulary made ready for merging. A symbol is a character
// that occurs in a piece, or a piece that merging makes.
type tables struct {
	alphabet
	linear
	v       *vocabulary
	user    *literals  // user-defined symbols
	byteIDs [256]Token // with byte fallback
	singles [128]Token // character of ASCII → its token when it stands alone, -1 when that is not one
	lone    [256]Token // those of them that are neighbours of no other in a piece; -1 for other bytes
	ids     []Token    // symbol → id; -1 for a character that is no piece
	texts   []string

	// runs are the ids of 1, 2, … times ▁, counted from 1, when runs of ▁
	// can be split off: see findRuns. nil switches that off.
	runs []Token
	// fast is whether linear holds for the vocabulary; without it the queue
	// merges, by ranks or, where these are nil, by scores.
	fast   bool
	scores []float32
	ranks  map[uint64]rank
	// whole is whether a text cannot be cut: unused pieces are taken apart
	// by what was considered anywhere in it.
	whole  bool
	unused []bool
	// words is whether words may be looked up: see findWords.
	words bool
}

// countPages is how many pages the characters of the pieces are on.
func (v *vocabulary) countPages() int {
	var seen [(utf8.MaxRune + 1) / 32 / 64]uint64
	for id := range v.pieces {
		if v.halves != nil && v.halves[id].left >= 0 {
			continue
		}
		for _, r := range v.pieces[id].text {
			seen[r>>11] |= 1 << (r >> 5 & 63)
		}
	}
	n := 0
	for _, word := range seen {
		n += bits.OnesCount64(word)
	}
	return n
}

// builder makes tables.
type builder struct {
	*tables
	symbol []int32 // id → symbol, -1
	run    []bool  // id → whether the rule for runs makes the piece
}

// build makes the tables of a checked vocabulary.
func build(v *vocabulary) (*tables, error) {
	b := &builder{tables: &tables{alphabet: newAlphabet(v.countPages()), v: v, user: newLiterals(v, UserDefined)}, symbol: make([]int32, len(v.pieces))}
	for id := range v.pieces {
		if c, ok := byteOf(v.pieces[id].text); ok && v.pieces[id].typ == Byte {
			b.byteIDs[c] = Token(id)
		}
	}
	b.reserve(len(v.pieces))
	b.characters()
	b.findRuns()
	b.neighbourhoods()
	switch {
	case v.halves != nil:
		b.knownHalves()
	case v.merges != nil:
		b.mergedHalves()
	default:
		b.scoredHalves()
	}
	b.rest()
	b.alones()
	b.couples()
	b.findWords()
	return b.tables, b.trie()
}

// alones finds the tokens of single characters of ASCII.
func (b *builder) alones() {
	for c := range b.singles {
		b.singles[c] = -1
		switch s := b.ascii[c]; {
		case c == ' ' || !b.v.byteFallback:
		case s < 0:
			b.singles[c] = b.byteIDs[c]
		default:
			b.singles[c] = b.ids[s]
		}
	}
	for c := range b.lone {
		b.lone[c] = -1
		if c < ' ' && c != '\r' && (b.ascii[c] < 0 || b.sides[b.ascii[c]] == 0) {
			b.lone[c] = b.singles[c]
		}
	}
}

// couples finds what each two characters of ASCII make.
func (b *builder) couples() {
	for l := range b.couple {
		for r := range b.couple[l] {
			if b.couple[l][r] = maxLink; b.fast && b.follows(byte(l), byte(r)) {
				b.couple[l][r] = b.made(b.ascii[l], b.ascii[r])
			}
		}
	}
}

// findWords checks whether words may be looked up: no token depends on the one
// before it, and in no piece a character below the space stands behind another
// one than ▁, but for \r, which must stand before none. So a text may be cut
// before the ones and behind the other.
func (b *builder) findWords() {
	b.words = b.runs != nil && b.v.byteFallback && (b.ascii['\r'] < 0 || b.sides[b.ascii['\r']]&1 == 0)
	for id := range b.v.pieces {
		if p := &b.v.pieces[id]; p.mergeable() {
			for i := 1; i < len(p.text); i++ {
				b.words = b.words && (p.text[i] >= ' ' || p.text[i] == '\r' || p.text[:i] == spaceText)
			}
		}
	}
}

// reserve makes room for n symbols.
func (b *builder) reserve(n int) {
	b.ids, b.texts, b.bytes = make([]Token, 0, n), make([]string, 0, n), make([]uint16, 0, n)
	b.left, b.right = make([]int32, 0, n), make([]int32, 0, n)
}

// characters numbers the single characters.
func (b *builder) characters() {
	for id := range b.v.pieces {
		b.symbol[id] = -1
		p := &b.v.pieces[id]
		if !p.mergeable() {
			continue
		}
		b.whole = b.whole || p.typ == Unused
		if b.v.halves != nil && b.v.halves[id].left >= 0 {
			continue // its halves bring its characters
		}
		for i, r := range p.text {
			s := b.add(r)
			if int(s) == len(b.ids) {
				b.symbols(-1, p.text[i:i+utf8.RuneLen(r)], s, s)
			}
		}
		if utf8.RuneCountInString(p.text) == 1 {
			r, _ := utf8.DecodeRuneInString(p.text)
			b.symbol[id] = b.alphabet.symbol(r)
			b.ids[b.symbol[id]] = Token(id)
		}
	}
}

// symbols appends a symbol.
func (b *builder) symbols(id Token, text string, left, right int32) {
	b.ids = append(b.ids, id)
	b.texts = append(b.texts, text)
	b.bytes = append(b.bytes, uint16(len(text)))
	b.left = append(b.left, left)
	b.right = append(b.right, right)
}

// findRuns checks whether runs of ▁ may be split off a text and be cut by
// arithmetic: no piece has a ▁ behind its first character but the runs of 2,
// 3, … up to some number of ▁; and these have the same score, which is lower
// than any other piece's. Then they are merged last, the leftmost first, so
// that a run is as many of the longest as fit and one for the rest.
func (b *builder) findRuns() {
	if b.v.merges != nil || b.whole {
		return
	}
	run := map[int]Token{}
	low, high, others := float32(math.MaxFloat32), float32(-math.MaxFloat32), float32(math.MaxFloat32)
	for id := range b.v.pieces {
		p := &b.v.pieces[id]
		if !p.mergeable() {
			continue
		}
		switch n := strings.Count(p.text, spaceText); {
		case n > 0 && n*len(spaceText) == len(p.text):
			run[n] = Token(id)
			if n > 1 {
				low, high = min(low, p.score), max(high, p.score)
			}
		case n > 1 || n == 1 && !strings.HasPrefix(p.text, spaceText):
			return
		case p.score < others && utf8.RuneCountInString(p.text) > 1:
			others = min(others, p.score)
		}
	}
	if len(run) < 2 || low == high && high < others {
		b.takeRuns(run)
	}
}

// takeRuns keeps the runs if they are of 1, 2, … to some number of ▁.
func (b *builder) takeRuns(run map[int]Token) {
	runs := make([]Token, len(run)+1)
	for n := 1; n <= len(run); n++ {
		id, ok := run[n]
		if !ok {
			return
		}
		runs[n] = id
	}
	if len(run) == 0 {
		return
	}
	b.runs, b.run = runs, make([]bool, len(b.v.pieces))
	for _, id := range runs[2:] {
		b.run[id] = true
	}
}

// isRun is whether a piece is merged by the rule for runs.
func (b *builder) isRun(id int) bool { return b.run != nil && b.run[id] }

// neighbourhoods notes which characters stand side by side in pieces.
func (b *builder) neighbourhoods() {
	for id := range b.v.pieces {
		p := &b.v.pieces[id]
		switch {
		case !p.mergeable() || b.isRun(id):
		case b.v.halves == nil:
			b.joinAll(p.text)
		case b.v.halves[id].left >= 0:
			h := b.v.halves[id]
			last, _ := utf8.DecodeLastRuneInString(b.v.pieces[h.left].text)
			first, _ := utf8.DecodeRuneInString(b.v.pieces[h.right].text)
			b.join(last, first)
		}
	}
}

// knownHalves takes the halves as the vocabulary gives them, in the order of
// ids, which is that of merging.
func (b *builder) knownHalves() {
	b.fast = true
	b.merge = newLinks(len(b.v.halves))
	for id, h := range b.v.halves {
		if h.left < 0 || b.isRun(id) {
			continue
		}
		b.accepted(Token(id), b.symbol[h.left], b.symbol[h.right])
	}
}

// accepted gives a piece its symbol and its halves.
func (b *builder) accepted(id Token, left, right int32) {
	s := int32(len(b.ids))
	b.symbols(id, b.v.pieces[id].text, left, right)
	b.symbol[id] = s
	b.joinHalves(left, right, s)
}

// multi lists the pieces of several characters that merging makes and that
// the rule for runs does not.
func (b *builder) multi() []Token {
	var list []Token
	for id := range b.v.pieces {
		if p := &b.v.pieces[id]; p.mergeable() && b.symbol[id] < 0 && !b.isRun(id) {
			list = append(list, Token(id))
		}
	}
	return list
}

// scoredHalves finds the halves of each piece in the order of merging: by
// falling score. Two pieces of one score, or a piece that does not encode to
// itself, switch the linear method off.
func (b *builder) scoredHalves() {
	order := b.multi()
	slices.SortStableFunc(order, func(x, y Token) int { return cmp.Compare(b.v.pieces[y].score, b.v.pieces[x].score) })
	b.fast = !b.whole && !b.v.queued
	for i, id := range order[min(1, len(order)):] {
		b.fast = b.fast && b.v.pieces[id].score < b.v.pieces[order[i]].score
	}
	if !b.fast {
		return
	}
	b.merge = newLinks(len(order))
	known := make(map[string]int32, len(b.ids)+len(order))
	for s, text := range b.texts {
		known[text] = int32(s)
	}
	for _, id := range order {
		if !b.halve(id, known) {
			b.fast = false
			return
		}
	}
}

// halve finds the two symbols that stand before the last merge of a piece.
func (b *builder) halve(id Token, known map[string]int32) bool {
	text := b.v.pieces[id].text
	for i := range text {
		left, ok := known[text[:i]]
		if !ok {
			continue
		}
		if right, ok := known[text[i:]]; ok && b.linear.neighbours(left, right) {
			known[text] = int32(len(b.ids))
			b.accepted(id, left, right)
			return true
		}
	}
	return false
}

// mergedHalves finds the halves of each piece in a list of merges: the first
// whose two sides stand side by side when only what comes before is merged.
// A piece without halves switches the linear method off.
func (b *builder) mergedHalves() {
	b.merge = newLinks(len(b.v.pieces))
	b.fast = true
	for _, m := range b.v.merges {
		left, right := b.symbol[m.left], b.symbol[m.right]
		if b.symbol[m.into] < 0 && left >= 0 && right >= 0 && b.linear.neighbours(left, right) {
			b.accepted(m.into, left, right)
		}
	}
	for _, m := range b.v.merges {
		b.fast = b.fast && b.symbol[m.into] >= 0
	}
}

// rest numbers what has no halves, and makes what the queue needs, where the
// linear method is off.
func (b *builder) rest() {
	if b.fast {
		return
	}
	for _, id := range b.multi() {
		b.symbol[id] = int32(len(b.ids))
		b.symbols(id, b.v.pieces[id].text, -1, -1)
	}
	if b.v.merges != nil {
		b.rankMerges()
		return
	}
	b.scores = make([]float32, len(b.ids))
	b.unused = make([]bool, len(b.ids))
	for s, id := range b.ids {
		if id >= 0 {
			b.scores[s] = b.v.pieces[id].score
			b.unused[s] = b.v.pieces[id].typ == Unused
		}
	}
}

// rank is what a listed merge makes, and its place in the list.
type rank struct{ symbol, order int32 }

func (b *builder) rankMerges() {
	b.ranks = make(map[uint64]rank, len(b.v.merges))
	for i, m := range b.v.merges {
		key := uint64(b.symbol[m.left])<<32 | uint64(b.symbol[m.right])
		if _, ok := b.ranks[key]; !ok {
			b.ranks[key] = rank{b.symbol[m.into], int32(i)}
		}
	}
}

// trie enters the texts of all symbols.
func (b *builder) trie() error {
	nodes := b.v.nodes
	if nodes == 0 {
		nodes = countNodes(b.texts)
	}
	if nodes >= maxLink {
		return unsupported("the pieces have %d different beginnings, more than %d", nodes, maxLink-1)
	}
	b.edges = newLinks(nodes)
	b.accept = make([]int32, 1, nodes+1)
	b.accept[0] = -1
	parent := make([]int32, 1, nodes+1)
	ends := make([]int32, len(b.ids))
	for s := range b.ids {
		node, text := int32(0), b.texts[s]
		if left := b.left[s]; left >= 0 && int(left) != s {
			node, text = ends[left], text[b.bytes[left]:]
		}
		for i := range len(text) {
			next := b.edges.add(node, int32(text[i]), int32(len(b.accept)))
			if int(next) == len(b.accept) {
				b.accept, parent = append(b.accept, -1), append(parent, node)
			}
			node = next
		}
		b.accept[node], ends[s] = int32(s), node
	}
	b.prefixes(parent, ends)
	return nil
}

// prefixes finds for each symbol the longest one that begins it: nodes are
// numbered after their parents.
func (b *builder) prefixes(parent, ends []int32) {
	above := parent // reused: the symbol above each node
	for node := range above {
		up := above[node]
		if node == 0 {
			above[0] = -1
		} else if above[node] = b.accept[up]; above[node] < 0 {
			above[node] = above[up]
		}
	}
	b.prefix = ends
	for s, node := range ends {
		b.prefix[s] = above[node]
	}
	for c := range b.first {
		b.first[c] = -1
		if node, ok := b.edges.get(0, int32(c)); ok {
			b.first[c] = node
		}
	}
}

// countNodes is the number of different beginnings of some texts.
func countNodes(texts []string) int {
	sorted := slices.Sorted(slices.Values(texts))
	nodes, last := 0, ""
	for _, text := range sorted {
		shared := 0
		for shared < min(len(last), len(text)) && last[shared] == text[shared] {
			shared++
		}
		nodes += len(text) - shared
		last = text
	}
	return nodes
}
