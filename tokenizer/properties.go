package tokenizer

import (
	"math"
	"strings"
	"unicode/utf8"
)

// findRuns checks whether runs of ▁ can be split off a text and split by
// arithmetic. Two conditions must hold. No piece has a ▁ after its first
// character, except the runs of 2, 3, … up to some number of ▁. And these runs
// have one score, which is lower than that of any other merged piece.
//
// Then runs are merged after everything else, and the leftmost first. A run
// therefore becomes as many of the longest piece as fit, and one piece for the
// rest.
func (b *builder) findRuns() {
	if b.v.merges != nil || b.noCuts {
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
		b.setRuns(run)
	}
}

// setRuns sets runs if the given pieces are the runs of 1, 2, … up to some
// number of ▁.
func (b *builder) setRuns(run map[int]Token) {
	runs := make([]Token, len(run)+1)
	for n := 1; n <= len(run); n++ {
		id, ok := run[n]
		if !ok {
			return // a length is missing
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

// isRun reports whether runs covers the piece, so that merging need not make
// it.
func (b *builder) isRun(id int) bool { return b.run != nil && b.run[id] }

// findSingles finds the tokens of ASCII characters that are chunks by
// themselves.
func (b *builder) findSingles() {
	for c := range b.singles {
		b.singles[c] = -1
		switch s := b.ascii[c]; {
		case c == ' ' || !b.v.byteFallback:
		case s < 0: // in no piece: its byte piece stands for it
			b.singles[c] = b.byteIDs[c]
		default:
			b.singles[c] = b.ids[s]
		}
	}
	// \r is left out, because a word may end after one: see findWords.
	for c := range b.isolated {
		b.isolated[c] = -1
		if c < ' ' && c != '\r' && (b.ascii[c] < 0 || b.sides[b.ascii[c]] == 0) {
			b.isolated[c] = b.singles[c]
		}
	}
}

// findASCIIMerges fills asciiMerges, which saves appendShort most look-ups in
// the hash table of merges.
func (b *builder) findASCIIMerges() {
	for l := range b.asciiMerges {
		for r := range b.asciiMerges[l] {
			b.asciiMerges[l][r] = noMerge
			if b.isLinear && b.joinedASCII(byte(l), byte(r)) {
				b.asciiMerges[l][r] = b.mergeOf(b.ascii[l], b.ascii[r])
			}
		}
	}
}

// findWords checks whether words may be looked up, which are cut after a \r
// and before every other control character and the space. Three conditions
// must hold. Every character has tokens whatever comes before it, which byte
// fallback ensures. In no piece does a control character except \r follow
// another character than ▁. And in no piece does anything follow a \r. Then
// the cuts are exact.
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
