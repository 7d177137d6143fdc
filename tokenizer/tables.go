package tokenizer

import (
	"math/bits"
	"unicode/utf8"
)

// tables are a vocabulary prepared for merging. A symbol is a character that
// occurs in a piece, or a piece that merging makes. Symbols are numbered from
// 0, the characters first.
type tables struct {
	alphabet
	linear
	v       *vocabulary
	user    *literals  // user-defined symbols, nil for none
	byteIDs [256]Token // byte → its token, with byte fallback

	// singles are the tokens of ASCII characters that are a chunk of one
	// character; -1 where that is not exactly one token.
	singles [128]Token
	// isolated are those of singles whose character is a control character that
	// is a neighbour of no other in any piece; -1 for other bytes.
	isolated [256]Token

	ids   []Token  // symbol → id; -1 for a character that is not a piece
	texts []string // symbol → text

	// runs[n] is the id of the piece of n times ▁, for n from 1. It is nil if
	// runs of ▁ cannot be split off: see findRuns.
	runs []Token
	// isLinear says whether the facts that linear relies on hold. Without them
	// the queue merges, by ranks or, if ranks is nil, by scores.
	isLinear bool
	scores   []float32       // symbol → score
	ranks    map[uint64]rank // left symbol << 32 | right symbol → merge
	// noCuts says that texts cannot be cut: the vocabulary has unused
	// pieces, which are split by what was merged anywhere in the text.
	noCuts bool
	unused []bool // symbol → whether it is an unused piece
	// words says whether words may be looked up: see findWords.
	words bool
}

// rank is the result of a listed merge, and the merge's place in the list.
type rank struct{ symbol, order int32 }

// builder makes tables.
type builder struct {
	*tables
	symbol []int32 // id → symbol, -1 for none yet
	run    []bool  // id → whether the piece is a run of several ▁ that runs covers; nil if runs is nil
}

// build makes the tables of a checked vocabulary. The order of the steps
// matters: symbols are numbered characters first, then pieces in the order of
// merging, as linear needs it.
func build(v *vocabulary) (*tables, error) {
	b := &builder{
		tables: &tables{alphabet: newAlphabet(v.countPages()), v: v, user: newLiterals(v, UserDefined)},
		symbol: make([]int32, len(v.pieces)),
	}
	for id := range v.pieces {
		if c, ok := byteOf(v.pieces[id].text); ok && v.pieces[id].typ == Byte {
			b.byteIDs[c] = Token(id)
		}
	}
	b.reserve(len(v.pieces))
	b.addCharacters()
	b.findRuns()
	b.joinNeighbours()
	switch {
	case v.halves != nil:
		b.addGivenHalves()
	case v.merges != nil:
		b.addListedMerges()
	default:
		b.addScoredPieces()
	}
	b.prepareQueue()
	b.findSingles()
	b.findASCIIMerges()
	b.findWords()
	return b.tables, b.buildTrie()
}

// countPages returns the number of pages on which the characters of the pieces
// lie. Pieces whose halves are known are skipped, because their characters are
// pieces themselves.
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

// reserve makes room for n symbols.
func (b *builder) reserve(n int) {
	b.ids, b.texts, b.bytes = make([]Token, 0, n), make([]string, 0, n), make([]uint16, 0, n)
	b.left, b.right = make([]int32, 0, n), make([]int32, 0, n)
}

// addCharacters numbers the characters that occur in pieces.
func (b *builder) addCharacters() {
	for id := range b.v.pieces {
		b.symbol[id] = -1
		p := &b.v.pieces[id]
		if !p.mergeable() {
			continue
		}
		b.noCuts = b.noCuts || p.typ == Unused
		if b.v.halves != nil && b.v.halves[id].left >= 0 {
			continue // the characters are those of its halves
		}
		for i, r := range p.text {
			s := b.add(r)
			if int(s) == len(b.ids) { // a new one
				b.appendSymbol(-1, p.text[i:i+utf8.RuneLen(r)], s, s)
			}
		}
		if utf8.RuneCountInString(p.text) == 1 {
			r, _ := utf8.DecodeRuneInString(p.text)
			b.symbol[id] = b.alphabet.symbol(r)
			b.ids[b.symbol[id]] = Token(id)
		}
	}
}

// appendSymbol appends the next symbol. A single character is its own left and
// right half; a symbol whose halves are unknown has -1.
func (b *builder) appendSymbol(id Token, text string, left, right int32) {
	b.ids = append(b.ids, id)
	b.texts = append(b.texts, text)
	b.bytes = append(b.bytes, uint16(len(text)))
	b.left = append(b.left, left)
	b.right = append(b.right, right)
}

// joinNeighbours records which characters are neighbours in pieces. Runs of ▁
// that runs covers are left out, so that texts are cut between ▁ and ▁.
func (b *builder) joinNeighbours() {
	for id := range b.v.pieces {
		p := &b.v.pieces[id]
		switch {
		case !p.mergeable() || b.isRun(id):
		case b.v.halves == nil:
			b.joinAll(p.text)
		case b.v.halves[id].left >= 0:
			// The neighbours inside the halves are recorded with the halves'
			// own pieces: only the pair across the border is new.
			h := b.v.halves[id]
			last, _ := utf8.DecodeLastRuneInString(b.v.pieces[h.left].text)
			first, _ := utf8.DecodeRuneInString(b.v.pieces[h.right].text)
			b.join(last, first)
		}
	}
}
