package tokenizer

import (
	"cmp"
	"slices"
)

// literals finds fixed texts, the longest at a place: user-defined symbols
// and special tokens.
type literals struct {
	first [256]bool
	list  []literal // the longest first
	most  int       // length of the longest
}

type literal struct {
	text string
	id   Token
}

// newLiterals takes the pieces of some types, nil when there are none.
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

// match is the longest literal at the beginning of s, with size 0 when there
// is none.
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

// next is the leftmost literal in s at or behind from; at is len(s) when there
// is none.
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
