package tokenizer

import "math/bits"

// appendKnown appends the tokens of words that the cache knows, until one is
// not there. A word here is what ends before a space, a run of ▁ by itself
// and so an exact cut, or with the text; it has up to 15 bytes, of any kind,
// and at most one ▁ before it. If it is a word that stops it, ahead is its
// end and key its key; otherwise ahead is 0.
//
// There is one branch a word that is hard to foretell: whether it is known.
// Its end, its key and its place in the cache are arithmetic on 16 bytes.
func (t *Tokenizer) appendKnown(dst []Token, g *segment, limit int) (out []Token, key cacheKey, ahead int) {
	text, c, at, spaces := g.text, g.cache, g.pos, g.spaces
	for at < len(text) && len(dst) < limit {
		begin, spaced := at, spaces
		if text[at] == ' ' {
			begin++
			spaced++
		}
		var a, b uint64
		if begin+16 <= len(text) {
			a, b = load8(text, begin), load8(text, begin+8)
		} else {
			a, b = loadTail(text, begin)
		}
		n := min(untilSpace(a, b), len(text)-begin)
		if n > cacheShort && (a|b)&high == 0 {
			n = t.lastCut(text, begin)
		}
		if uint(n-1) >= cacheShort || spaced > 1 || !g.settled(begin+n) {
			break
		}
		a, b = shortKey(a, b, n, spaced)
		s := c.lines[c.line(a, b)].find(a, b)
		head, three, before := s.head.Load(), s.tokens.Load(), len(dst)
		if s.a.Load() == a && s.b.Load() == b && head&(cacheClaimed|cacheLong) == 0 && s.head.Load() == head && before+4 <= cap(dst) {
			*(*[4]Token)(dst[before : before+4]) = unpackShort(head, three) // no branch on how many they are
			dst = dst[:before+int(head>>linkBits&7)]
		} else {
			key = cacheKey{a: a, b: b, kind: b >> 56}
			var known bool
			if dst, known = c.get(dst, &key); !known {
				ahead = begin + n
				break
			}
		}
		at, spaces = begin+n, 0
	}
	g.pos, g.spaces = at, spaces
	return dst, key, ahead
}

// lastCut is how many of the 16 characters of ASCII at a place, none of them a
// space, come before the last two that are neighbours in no piece.
func (a *alphabet) lastCut(text string, at int) int {
	n := cacheShort
	for n > 0 && a.follows(text[at+n-1], text[at+n]) {
		n--
	}
	return n
}

// high has the highest bit of each byte, ones the lowest.
const high, ones = 0x8080808080808080, 0x0101010101010101

// untilSpace is how many of sixteen bytes come before the first space.
func untilSpace(a, b uint64) int {
	a ^= ' ' * ones
	b ^= ' ' * ones
	a = (a - ones) &^ a & high
	b = (b - ones) &^ b & high
	n := bits.TrailingZeros64(a) / 8
	return n + bits.TrailingZeros64(b)/8&-(n>>3) // cheaper than a branch
}

// loadTail is the sixteen bytes at a place with zeros behind the end of the
// text.
func loadTail(s string, at int) (a, b uint64) {
	shift := 8 * uint(at)
	if len(s) >= 16 {
		a, b = load8(s, len(s)-16), load8(s, len(s)-8)
		shift = 8 * uint(at+16-len(s))
	} else if a = loadUpTo8(s, 0, min(len(s), 8)); len(s) > 8 {
		b = load8(s, len(s)-8) >> (8 * uint(16-len(s)))
	}
	return a>>shift | b<<(64-shift) | b>>(shift-64), b >> shift
}
