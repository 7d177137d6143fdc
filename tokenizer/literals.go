package tokenizer

import (
	"cmp"
	"slices"
)

// literals finds fixed texts in a text, and the longest if several begin at one
// offset. It serves user-defined symbols and special tokens. The nil *literals
// finds nothing.
type literals struct {
	first [256]bool // whether a literal begins with the byte
	list  []literal // the longest first
	most  int       // length in bytes of the longest
}

// literal is a fixed text and its token.
type literal struct {
	text string
	id   Token
}

// newLiterals returns the literals of the pieces of the given types, or nil if
// there are none.
func newLiterals(v *vocabulary, types ...PieceType) *literals {
	var l literals
	for id := range v.pieces {
		if p := &v.pieces[id]; slices.Contains(types, p.typ) {
			l.list = append(l.list, literal{p.text, Token(id)})
			l.first[p.text[0]] = true
			l.most = max(l.most, len(p.text))
		}
	}
	if l.list == nil {
		return nil
	}
	slices.SortStableFunc(l.list, func(x, y literal) int { return cmp.Compare(len(y.text), len(x.text)) })
	return &l
}

// match returns the longest literal that s begins with. size is 0 if there is
// none.
func (l *literals) match(s []byte) (id Token, size int) {
	if l == nil || len(s) == 0 || !l.first[s[0]] {
		return 0, 0
	}
	for i := range l.list {
		if x := &l.list[i]; len(x.text) <= len(s) && string(s[:len(x.text)]) == x.text {
			return x.id, len(x.text)
		}
	}
	return 0, 0
}

// next returns the leftmost literal in s at or after from. If there is none, at
// is len(s) and size is 0.
func (l *literals) next(s string, from int) (at int, id Token, size int) {
	for at = from; l != nil && at < len(s); at++ {
		if !l.first[s[at]] {
			continue
		}
		for i := range l.list {
			if x := &l.list[i]; len(x.text) <= len(s)-at && s[at:at+len(x.text)] == x.text {
				return at, x.id, len(x.text)
			}
		}
	}
	return len(s), 0, 0
}
