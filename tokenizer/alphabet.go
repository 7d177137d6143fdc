package tokenizer

import "unicode/utf8"

// space is the character that stands for a space in pieces, U+2581.
const (
	space     = '▁'
	spaceText = "▁"
)

// alphabet knows the characters that occur in pieces and which of them stand
// side by side in one. Two characters that never do can never be merged
// into one token: between them is an exact cut.
//
// In the tables of ASCII, the space stands for ▁.
type alphabet struct {
	ascii  [128]int32     // character → symbol, -1 when it is in no piece
	joined [128][2]uint64 // bit c of row p: p and c are neighbours in a piece

	pages []uint16    // rune / 32 → page
	cells [][32]int32 // page → symbols; page 0 has none
	pairs links       // neighbours by their symbols
	sides []uint8     // symbol → whether it is the left one (1), the right one (2) of neighbours
	size  int32       // number of characters
}

// newAlphabet makes an alphabet with room for so many pages.
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

// symbol is the symbol of a character, -1 when it is in no piece.
func (a *alphabet) symbol(r rune) int32 {
	return a.cells[a.pages[uint32(r)>>5]][r&31]
}

// add gives a character a symbol, or finds the one it has.
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

// join notes that two characters are neighbours in a piece.
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

// joins is whether two symbols are neighbours in a piece; -1 never is.
func (a *alphabet) joins(left, right int32) bool {
	if right < 0 || a.sides[left]&1 == 0 || a.sides[right]&2 == 0 {
		return false
	}
	_, ok := a.pairs.get(left, right)
	return ok
}

// asciiOf is the index of a character in the tables of ASCII, 128 when it
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

// joinAll notes all the neighbours of a piece.
func (a *alphabet) joinAll(piece string) {
	last := rune(-1)
	for _, r := range piece {
		if last >= 0 {
			a.join(last, r)
		}
		last = r
	}
}
