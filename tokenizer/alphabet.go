package tokenizer

import "unicode/utf8"

// space is the character that stands for a space in pieces, U+2581.
const (
	space     = '▁'
	spaceText = "▁"
)

// alphabet records which characters occur in pieces and which of them are
// neighbours in a piece.
//
// It is the basis of the first stage, cut. BPE merges symbols only into pieces.
// Let l and r be neighbours in a text. Any merge across the border between them
// makes a piece in which l and r are neighbours. If no piece has them as
// neighbours, no merge ever crosses the border, so the text can be cut there:
// encoding the two sides separately gives the same tokens.
//
// The tables of ASCII hold ▁ at the index of the space: a text has spaces where
// pieces have ▁.
type alphabet struct {
	ascii  [128]int32     // character → symbol, -1 if it is in no piece
	joined [128][2]uint64 // bit c of row p is set if p and c are neighbours, in this order, in a piece

	pages []uint16    // rune / 32 → index in cells
	cells [][32]int32 // symbols of 32 successive runes, -1 for none; cells[0] has none
	pairs links       // the pairs of symbols that are neighbours in a piece
	sides []uint8     // symbol → bit 0: it is the left one of some pair; bit 1: the right one
	size  int32       // number of characters
}

// newAlphabet returns an empty alphabet with room for characters on the given
// number of pages, which are blocks of 32 runes.
func newAlphabet(pages int) alphabet {
	a := alphabet{pages: make([]uint16, (utf8.MaxRune+1)/32), cells: make([][32]int32, 1, pages+1), pairs: newLinks(0)}
	for i := range a.ascii {
		a.ascii[i] = -1
	}
	for i := range a.cells[0] {
		a.cells[0][i] = -1
	}
	return a
}

// symbol returns the symbol of a character, or -1 if it is in no piece.
func (a *alphabet) symbol(r rune) int32 {
	return a.cells[a.pages[uint32(r)>>5]][r&31]
}

// add returns the symbol of a character and assigns the next one if it has none
// yet.
func (a *alphabet) add(r rune) int32 {
	if s := a.symbol(r); s >= 0 {
		return s
	}
	page := a.pages[r>>5]
	if page == 0 {
		page = uint16(len(a.cells))
		a.cells = append(a.cells, a.cells[0])
		a.pages[r>>5] = page
	}
	a.cells[page][r&31] = a.size
	switch {
	case r == space:
		a.ascii[' '] = a.size
	case r < utf8.RuneSelf && r != ' ':
		a.ascii[r] = a.size
	}
	a.size++
	a.sides = append(a.sides, 0)
	return a.size - 1
}

// join records that two characters are neighbours in a piece.
func (a *alphabet) join(left, right rune) {
	l, r := a.symbol(left), a.symbol(right)
	if _, ok := a.pairs.get(l, r); ok {
		return
	}
	a.pairs.put(l, r, 0)
	a.sides[l] |= 1
	a.sides[r] |= 2
	if p, c := asciiOf(left), asciiOf(right); p < utf8.RuneSelf && c < utf8.RuneSelf {
		a.joined[p][c>>6] |= 1 << (c & 63)
	}
}

// joins reports whether two symbols are neighbours in a piece. The right one may
// be -1, which has no neighbours.
func (a *alphabet) joins(left, right int32) bool {
	// Most symbols of a text that is not ASCII are on one side of pairs only or
	// in no pair: sides answers for them without a look at the hash table.
	if right < 0 || a.sides[left]&1 == 0 || a.sides[right]&2 == 0 {
		return false
	}
	_, ok := a.pairs.get(left, right)
	return ok
}

// asciiOf returns the index of a character in the tables of ASCII, or 128 if it
// has none.
func asciiOf(r rune) rune {
	switch {
	case r == space:
		return ' '
	case r == ' ' || r >= utf8.RuneSelf:
		return utf8.RuneSelf
	}
	return r
}

// joinAll records all neighbours of a piece.
func (a *alphabet) joinAll(piece string) {
	last := rune(-1)
	for _, r := range piece {
		if last >= 0 {
			a.join(last, r)
		}
		last = r
	}
}
