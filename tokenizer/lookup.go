package tokenizer

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// appendKnown appends the tokens of words until one is not in the cache. It
// returns the end of that word as ahead, or 0 if it stopped for another reason:
// the limit, the end of the text, or something that is not a word.
//
// A word here has up to 15 bytes, and at most one ▁ before it. It ends after a
// \r, before any other control character or space, or with the text. All of
// these are exact cuts, except within a run of ▁: see findWords. For a word of
// many tokens the cache has those of its beginning; the rest is then looked up
// as a word of its own.
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

// appendHits appends the tokens of words as long as the first look finds them,
// the tokens are those of the whole word, and dst has room for four more. It
// returns the key and the end of the word at which it stops. The end is 0 if
// that is not a word, or if nothing is left to do.
//
// This is the hottest loop of encoding. It has one branch per word that is hard
// to predict: whether the word is known. The end of a word, its key and its
// place in the cache are arithmetic on 16 bytes. All functions that it calls are
// inlined, so the values stay in registers.
func (t *Tokenizer) appendHits(dst []Token, g *segment, limit int) (out []Token, key cacheKey, ahead int) {
	text, lines, at, spaces := g.text, g.cache.lines, g.pos, uint64(g.spaces)
	if text[at] == ' ' && spaces > 0 { // a run of several ▁
		return dst, key, 0
	}
	last := len(text)
	if g.open {
		last -= utf8.UTFMax // the character after a word must be complete: see settled
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
		// n is the length of the word. A \r belongs to the word before it.
		n := untilBreak(a, b)
		if begin+n < len(text) && text[begin+n] == '\r' {
			n++
		}
		// A longer word of ASCII is looked up as far as its last cut.
		if n > cacheShort && (a|b)&high == 0 {
			n = t.lastCut(text, begin)
		}
		// A control character that joins no other is a token by itself. The two
		// stores do not depend on spaced; the second overwrites the first.
		if n == 0 && begin < len(text) && t.isolated[text[begin]] >= 0 && len(dst)+2 <= cap(dst) {
			dst = dst[:len(dst)+int(spaced)+1]
			dst[len(dst)-1-int(spaced)] = t.runs[1]
			dst[len(dst)-1] = t.isolated[text[begin]]
			at, spaces = begin+1, 0
			continue
		}
		if uint(n-1) >= cacheShort || begin+n > last { // n is 0 or too large
			break
		}
		a, b = shortKey(a, b, n, spaced)
		s := lines[hash(a, b)&uint64(len(lines)-1)].find(a, b)
		// The head is loaded first and compared last, so that a concurrent
		// write is noticed: see cache. Where the bits from cacheBytes on are n,
		// the slot is not claimed, and its tokens are all those of the word.
		head, three, before := s.head.Load(), s.tokens.Load(), len(dst)
		if s.a.Load() != a || s.b.Load() != b || head>>cacheBytes&0xff != uint64(n) || s.head.Load() != head || before+4 > cap(dst) {
			key, ahead = cacheKey{a: a, b: b, kind: b >> 56}, begin+n
			break
		}
		*(*[4]Token)(dst[before : before+4]) = unpackShort(head, three) // always four, so that there is no branch on their number
		dst = dst[:before+int(head>>linkBits&7)]
		at, spaces = begin+n, 0
	}
	g.pos, g.spaces = at, int(spaces)
	return dst, key, ahead
}

// appendNew appends the tokens of a word that the cache does not know, chunk by
// chunk, and puts them into the cache: the tokens of as many chunks as have up
// to four tokens together, or of one chunk, then those of the rest as a word of
// its own. It returns false if a chunk must wait for more text.
//
// Two kinds of words are not put into the cache. A word that ends within a run
// of ▁ has other tokens if a space follows. A word that is not UTF-8 is unlikely
// to come again; its chunks are put there instead.
func (t *Tokenizer) appendNew(dst []Token, g *segment, end int) ([]Token, bool) {
	begin, spaced, before := g.pos, g.spaces > 0, len(dst)
	if g.text[begin] == ' ' {
		begin, spaced = begin+1, true
	}
	g.uncached = utf8.ValidString(g.text[begin:end])
	defer func() { g.uncached = false }()
	for g.pos < end {
		at, mark, more := g.pos, len(dst), false
		if dst, more = t.appendNext(dst, g); !more {
			return dst, false
		}
		if g.uncached && len(dst)-before > 4 && mark > before {
			key := keyOf(g.text, begin, end, spaced)
			g.cache.put(&key, dst[before:mark], at-begin)
			begin, spaced, before = at, false, mark
		}
	}
	if g.uncached && g.pos == end && !strings.HasSuffix(g.text[:end], spaceText) {
		key := keyOf(g.text, begin, end, spaced)
		g.cache.put(&key, dst[before:], end-begin)
	}
	return dst, true
}

// lastCut returns the last offset, relative to at, at which the 16 bytes from at
// can be cut, or 0 if there is none. The bytes are ASCII characters without
// spaces.
func (a *alphabet) lastCut(text string, at int) int {
	n := cacheShort
	for n > 0 && a.joinedASCII(text[at+n-1], text[at+n]) {
		n--
	}
	return n
}

// Masks of the highest and of the lowest bit of each byte of a word.
const (
	high = 0x8080808080808080
	ones = 0x0101010101010101
)

// untilBreak returns the number of bytes, of 16, that come before the first
// space or control character. The subtraction sets the highest bit of each byte
// that is less than '!', and perhaps of bytes after the first such one, which do
// not matter (Bit Twiddling Hacks, "Determine if a word has a byte less than
// n").
func untilBreak(a, b uint64) int {
	a = (a - (' '+1)*ones) &^ a & high
	b = (b - (' '+1)*ones) &^ b & high
	n := bits.TrailingZeros64(a) / 8
	return n + bits.TrailingZeros64(b)/8&-(n>>3) // adds the second word only if n is 8, without a branch
}

// tail returns the last 16 bytes of s, with zeros before a shorter s.
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

// shifted returns 16 bytes without the first n, from 0 to 15, and with zeros
// after the rest.
func shifted(a, b uint64, n int) (uint64, uint64) {
	shift := 8 * uint(n) & 63
	a, b = a>>shift|b<<1<<(63-shift), b>>shift // b<<1<<63 is 0, as it must be where shift is 0
	if n >= 8 {
		return b, 0
	}
	return a, b
}
