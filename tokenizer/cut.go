package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// segment is a text on its way to tokens, chunk by chunk.
type segment struct {
	text   string
	pos    int  // offset of the next chunk
	spaces int  // number of ▁ to put before the next chunk: 0 or 1
	open   bool // more text follows, so the last chunk must wait for it

	afterUnknown bool // the last token was the unknown token
	splitUnknown bool // do not fuse runs of unknown tokens
	uncached     bool // merge chunks without the cache, because their word goes there whole
	cache        *cache
}

// settled reports whether a chunk that ends at offset end ends there whatever
// text follows: the character after it is complete.
func (g *segment) settled(end int) bool { return !g.open || end+utf8.UTFMax <= len(g.text) }

// done reports whether no chunk is left.
func (g *segment) done() bool { return g.pos >= len(g.text) }

// appendWords appends the tokens of chunks until the text ends or dst has limit
// tokens or more. It requires t.runs.
func (t *Tokenizer) appendWords(dst []Token, g *segment, limit int) []Token {
	for !g.done() && len(dst) < limit {
		ahead, more := 0, false // ahead is the end of a word that is not in the cache
		if t.words {
			if dst, ahead = t.appendKnown(dst, g, limit); g.done() || len(dst) >= limit {
				break
			}
		}
		if ahead > 0 {
			dst, more = t.appendNew(dst, g, ahead)
		} else {
			dst, more = t.appendNext(dst, g)
		}
		if !more {
			return dst
		}
		if g.cache.full() {
			g.cache = t.grow(g.cache)
		}
	}
	return dst
}

// appendNext appends the tokens of the next chunk, or of several chunks of one
// character each. It cuts before runs of ▁ and between characters that are
// neighbours in no piece: see alphabet for why that is exact. It returns false
// if the chunk must wait for more text.
func (t *Tokenizer) appendNext(dst []Token, g *segment) ([]Token, bool) {
	text := g.text
	spaces, at := g.spaces, g.pos
	for at < len(text) && text[at] == ' ' {
		at++
		spaces++
	}
	if at < len(text) && text[at] == spaceText[0] {
		spaces, at = countSpaces(text, at, spaces)
	}
	// Chunks of one character need no search for their end. Without byte
	// fallback, tokens depend on those before them: see fuse.
	switch {
	case !t.v.byteFallback || spaces > 0 || at == len(text):
	case text[at] >= utf8.RuneSelf:
		if !g.open {
			if dst, at = t.appendSingles(dst, text, at); at > g.pos {
				g.pos = at
				return dst, true
			}
		}
	case t.isSingle(text, at):
		g.pos = at + 1
		return append(dst, t.singles[text[at]&127]), true
	}
	w := t.tables.word(text, at, spaces > 0)
	if !g.settled(w.end) {
		return dst, false
	}
	before := len(dst)
	switch {
	case w.end == at: // nothing follows the run, or nothing that joins a ▁
		dst = t.appendRun(dst, spaces)
	case spaces > 1:
		dst = t.appendSpaced(dst, g, at, w, spaces)
	case w.single && w.last < 0:
		dst = t.appendUnknown(dst, text[at:w.end])
	case w.single && t.ids[w.last] >= 0:
		dst = append(dst, t.ids[w.last])
	default:
		dst = t.appendChunk(dst, g, text, at, w.end, spaces > 0)
	}
	if !t.v.byteFallback {
		dst = g.fuse(dst, before, t.v)
	}
	g.pos, g.spaces = w.end, 0
	return dst, true
}

// isSingle reports whether the chunk at offset at is one ASCII character that
// is one token. It is false for the last character of the text.
func (t *Tokenizer) isSingle(text string, at int) bool {
	return at+1 < len(text) && text[at] < utf8.RuneSelf && t.singles[text[at]&127] >= 0 &&
		text[at+1] < utf8.RuneSelf && !t.joinedASCII(text[at], text[at+1])
}

// appendSingles appends the tokens of non-ASCII characters while each is a
// chunk by itself and another such character follows. It returns the offset of
// the first character that it leaves.
func (t *Tokenizer) appendSingles(dst []Token, text string, at int) ([]Token, int) {
	r, size := decode(text, at)
	s := t.symbol(r)
	for {
		next := at + size
		if r == utf8.RuneError || r == space || next >= len(text) || text[next] < utf8.RuneSelf {
			return dst, at
		}
		r2, size2 := decode(text, next)
		s2 := t.symbol(r2)
		switch {
		case s < 0:
			dst = t.appendUnknown(dst, text[at:next])
		case t.joins(s, s2) || t.ids[s] < 0:
			return dst, at
		default:
			dst = append(dst, t.ids[s])
		}
		at, r, s, size = next, r2, s2, size2
	}
}

// joinedASCII reports whether two ASCII characters are neighbours in a piece.
func (a *alphabet) joinedASCII(left, right byte) bool {
	return a.joined[left&127][right>>6&1]>>(right&63)&1 != 0
}

// countSpaces adds to n the length of the run of ▁ and spaces at offset at, and
// returns the sum and the end of the run.
func countSpaces(text string, at, n int) (int, int) {
	for ; at < len(text); n++ {
		switch {
		case text[at] == ' ':
			at++
		case strings.HasPrefix(text[at:], spaceText):
			at += len(spaceText)
		default:
			return n, at
		}
	}
	return n, at
}

// word is a chunk of a text.
type word struct {
	end    int   // its end in the text
	last   int32 // symbol of its last character, -1 if that is in no piece
	single bool  // it is one character, without a ▁ before it
}

// word returns the chunk that begins at offset at. If spaced is true, a ▁ comes
// before it; the chunk is empty if its first character cannot follow a ▁. A
// character that is in no piece is a chunk by itself.
func (a *alphabet) word(text string, at int, spaced bool) word {
	i, last := at, byte(' ')
	if !spaced {
		if last = text[i]; last >= utf8.RuneSelf {
			return a.wordOfAny(text, at, at, -1)
		}
		i++
		if a.ascii[last] < 0 {
			return word{i, -1, true}
		}
	}
	for i < len(text) {
		c := text[i]
		if c >= utf8.RuneSelf {
			return a.wordOfAny(text, at, i, a.ascii[last&127])
		}
		if !a.joinedASCII(last, c) {
			break
		}
		last = c
		i++
	}
	return word{i, a.ascii[last&127], i == at+1 && !spaced}
}

// wordOfAny continues a chunk that begins at offset at, from offset i on. last
// is the symbol before i, or -1 at the beginning of the chunk.
func (a *alphabet) wordOfAny(text string, at, i int, last int32) word {
	w := word{end: i, last: last}
	for w.end < len(text) {
		r, size := decode(text, w.end)
		s := a.symbol(r)
		if r == ' ' || r == space || w.last >= 0 && !a.joins(w.last, s) {
			break
		}
		w.single = w.end == at && w.last < 0
		w.last = s
		w.end += size
		if s < 0 {
			break
		}
	}
	return w
}

// decode is utf8.DecodeRuneInString(s[at:]) with fast paths for characters of
// up to three bytes. The bounds on the first byte exclude overlong forms and
// surrogates.
func decode(s string, at int) (rune, int) {
	switch c := s[at]; {
	case c < utf8.RuneSelf:
		return rune(c), 1
	case c < 0xc2 || c > 0xf4:
		return utf8.RuneError, 1
	case c < 0xe0 && at+1 < len(s) && s[at+1]>>6 == 0b10:
		return rune(c&0x1f)<<6 | rune(s[at+1]&0x3f), 2
	case c >= 0xe1 && c < 0xed && at+2 < len(s) && s[at+1]>>6 == 0b10 && s[at+2]>>6 == 0b10:
		return rune(c&0x0f)<<12 | rune(s[at+1]&0x3f)<<6 | rune(s[at+2]&0x3f), 3
	}
	return utf8.DecodeRuneInString(s[at:])
}

// appendPairs is appendWords for vocabularies without t.runs: it cuts between
// characters that are neighbours in no piece, and treats ▁ like any other
// character. The text is normalized.
func (t *Tokenizer) appendPairs(dst []Token, g *segment, limit int) []Token {
	for !g.done() && len(dst) < limit {
		end := t.tables.pairedUntil(g.text, g.pos)
		before := len(dst)
		if end == g.pos { // a character in no piece
			_, size := decode(g.text, g.pos)
			end += size
			dst = t.appendUnknown(dst, g.text[g.pos:end])
		} else {
			dst = t.appendChunk(dst, g, g.text, g.pos, end, false)
		}
		dst = g.fuse(dst, before, t.v)
		g.pos = end
	}
	return dst
}

// pairedUntil returns the end of the chunk that begins at offset at. The chunk
// is empty if its first character is in no piece.
func (a *alphabet) pairedUntil(text string, at int) int {
	last := int32(-1)
	for i, r := range text[at:] {
		s := a.symbol(r)
		if s < 0 {
			return at + i
		}
		if last >= 0 {
			if !a.joins(last, s) {
				return at + i
			}
		}
		last = s
	}
	return len(text)
}
