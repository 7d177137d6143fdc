package tokenizer

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// appendKnown appends the tokens of words that the cache knows, until one is
// not there. A word here is what ends before a character up to the space, all
// of which are exact cuts but in runs of ▁ and before \r, or with the text; it
// has up to 15 bytes, and at most one ▁ before it. Of a word of many tokens, the
// cache has those of the beginning; the rest is a word of its own. If it is a
// word that stops it, ahead is its end; otherwise ahead is 0.
func (t *Tokenizer) appendKnown(dst []Token, g *segment, limit int) (out []Token, ahead int) {
	for !g.done() && len(dst) < limit {
		var key cacheKey
		if dst, key, ahead = t.appendHits(dst, g, limit); ahead == 0 {
			break
		}
		for g.pos < ahead {
			var bytes int
			if dst, bytes = g.cache.get(dst, &key); bytes < 0 {
				return dst, ahead
			}
			g.pos, g.spaces = ahead-int(key.kind>>1)+bytes, 0
			if g.pos < ahead {
				key = keyOf(g.text, g.pos, ahead, false)
			}
		}
	}
	return dst, 0
}

// appendHits appends the tokens of words as long as they are found at the first
// look, are all of the word and dst has room for four. It returns the key and
// the end of the word at which it stops, 0 if it is no word or there is no need
// to go on.
//
// There is one branch a word that is hard to foretell: whether it is known.
// Its end, its key and its place in the cache are arithmetic on 16 bytes. No
// function is called, so that all that is needed stays in registers.
func (t *Tokenizer) appendHits(dst []Token, g *segment, limit int) (out []Token, key cacheKey, ahead int) {
	text, lines, at, spaces := g.text, g.cache.lines, g.pos, uint64(g.spaces)
	if text[at] == ' ' && spaces > 0 {
		return dst, key, 0
	}
	last := len(text)
	if g.open {
		last -= utf8.UTFMax
	}
	tailA, tailB := tail(text)
	for at < len(text) && len(dst) < limit {
		begin, spaced := at, spaces
		if text[at] == ' ' {
			begin, spaced = at+1, 1
		}
		var a, b uint64
		if begin+16 <= len(text) {
			a, b = load8(text, begin), load8(text, begin+8)
		} else if begin < len(text) {
			a, b = shifted(tailA, tailB, begin+16-len(text))
		}
		n := untilBreak(a, b)
		if begin+n < len(text) && text[begin+n] == '\r' {
			n++
		}
		if n > cacheShort && (a|b)&high == 0 {
			n = t.lastCut(text, begin)
		}
		if n == 0 && begin < len(text) && t.lone[text[begin]] >= 0 && len(dst)+2 <= cap(dst) {
			dst = dst[:len(dst)+int(spaced)+1]
			dst[len(dst)-1-int(spaced)] = t.runs[1]
			dst[len(dst)-1] = t.lone[text[begin]]
			at, spaces = begin+1, 0
			continue
		}
		if uint(n-1) >= cacheShort || begin+n > last {
			break
		}
		a, b = shortKey(a, b, n, spaced)
		s := lines[hash(a, b)&uint64(len(lines)-1)].find(a, b)
		head, three, before := s.head.Load(), s.tokens.Load(), len(dst)
		if s.a.Load() != a || s.b.Load() != b || head>>cacheBytes&0xff != uint64(n) || s.head.Load() != head || before+4 > cap(dst) {
			key, ahead = cacheKey{a: a, b: b, kind: b >> 56}, begin+n
			break
		}
		*(*[4]Token)(dst[before : before+4]) = unpackShort(head, three) // no branch on how many they are
		dst = dst[:before+int(head>>linkBits&7)]
		at, spaces = begin+n, 0
	}
	g.pos, g.spaces = at, int(spaces)
	return dst, key, ahead
}

// appendNew appends the tokens of a word that the cache does not know, chunk by
// chunk, and remembers them: as many chunks as have up to four tokens, or one,
// then those of the rest as a word of its own. A word that ends within a run
// of ▁ is not remembered, for the run would be longer where a space follows; nor
// is one that is not UTF-8, which hardly comes again, but its chunks are. It
// returns false if a chunk must wait for more text.
func (t *Tokenizer) appendNew(dst []Token, g *segment, end int) ([]Token, bool) {
	begin, spaced, before := g.pos, g.spaces > 0, len(dst)
	if g.text[begin] == ' ' {
		begin, spaced = begin+1, true
	}
	g.merging = utf8.ValidString(g.text[begin:end])
	defer func() { g.merging = false }()
	for g.pos < end {
		at, mark, more := g.pos, len(dst), false
		if dst, more = t.appendNext(dst, g); !more {
			return dst, false
		}
		if g.merging && len(dst)-before > 4 && mark > before {
			key := keyOf(g.text, begin, end, spaced)
			g.cache.put(&key, dst[before:mark], at-begin)
			begin, spaced, before = at, false, mark
		}
	}
	if g.merging && g.pos == end && !strings.HasSuffix(g.text[:end], spaceText) {
		key := keyOf(g.text, begin, end, spaced)
		g.cache.put(&key, dst[before:], end-begin)
	}
	return dst, true
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

// untilBreak is how many of sixteen bytes come before the first space or
// character below it.
func untilBreak(a, b uint64) int {
	a = (a - (' '+1)*ones) &^ a & high
	b = (b - (' '+1)*ones) &^ b & high
	n := bits.TrailingZeros64(a) / 8
	return n + bits.TrailingZeros64(b)/8&-(n>>3) // cheaper than a branch
}

// tail is the last sixteen bytes of a text, with zeros before a shorter one.
func tail(s string) (a, b uint64) {
	n := len(s)
	switch {
	case n >= 16:
		return load8(s, n-16), load8(s, n-8)
	case n > 8:
		return loadUpTo8(s, 0, n-8) << (8 * (16 - n)), load8(s, n-8)
	}
	return 0, loadUpTo8(s, 0, n) << (8 * (8 - n))
}

// shifted is sixteen bytes without the first n, from 0 to 15, and with zeros
// behind.
func shifted(a, b uint64, n int) (uint64, uint64) {
	bits := 8 * uint(n) & 63
	a, b = a>>bits|b<<1<<(63-bits), b>>bits
	if n >= 8 {
		return b, 0
	}
	return a, b
}
