package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// segment is a text on its way to tokens, piece by piece.
type segment struct {
	text   string
	pos    int  // where the next chunk begins
	spaces int  // ▁ to be put before it: 0 or 1
	open   bool // more text will follow: the last chunk must wait for it

	unknown bool // the last token was the unknown one
	apart   bool // do not fuse unknown tokens
	merging bool // the chunks of a word are merged, neither looked up nor remembered
	cache   *cache
}

// settled is whether a chunk that was cut at a place is cut there whatever
// follows the text: the character behind it is all there.
func (g *segment) settled(end int) bool { return !g.open || end+utf8.UTFMax <= len(g.text) }

// done is whether no chunk is left.
func (g *segment) done() bool { return g.pos >= len(g.text) }

// appendWords appends the tokens of words until the text ends or dst has limit
// tokens or more. It needs the rule for runs.
func (t *Tokenizer) appendWords(dst []Token, g *segment, limit int) []Token {
	for !g.done() && len(dst) < limit {
		ahead, more := 0, false
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

// appendNext appends the tokens of the next chunk, or of several that are one
// character each. Chunks are cut before runs of ▁ and between characters that
// are neighbours in no piece. It returns false if the chunk must wait for more
// text.
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
	switch {
	case !t.v.byteFallback || spaces > 0 || at == len(text):
	case text[at] >= utf8.RuneSelf:
		if !g.open {
			if dst, at = t.appendSingles(dst, text, at); at > g.pos {
				g.pos = at
				return dst, true
			}
		}
	case t.alone(text, at):
		g.pos = at + 1
		return append(dst, t.singles[text[at]&127]), true
	}
	w := t.tables.word(text, at, spaces > 0)
	if !g.settled(w.end) {
		return dst, false
	}
	before := len(dst)
	switch {
	case w.end == at:
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

// alone is whether a chunk is one character of ASCII that is one token, and is
// not the last of its text.
func (t *Tokenizer) alone(text string, at int) bool {
	return at+1 < len(text) && text[at] < utf8.RuneSelf && t.singles[text[at]&127] >= 0 &&
		text[at+1] < utf8.RuneSelf && !t.follows(text[at], text[at+1])
}

// appendSingles appends the tokens of characters beyond ASCII as long as each is
// a chunk by itself and another such character follows, and returns the place
// of the first that is not.
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

// follows is whether two characters of ASCII are neighbours in a piece.
func (a *alphabet) follows(left, right byte) bool {
	return a.joined[left&127][right>>6&1]>>(right&63)&1 != 0
}

// countSpaces counts on a run of ▁ and spaces.
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
	end    int
	last   int32 // the last character's symbol, -1 when it is in no piece
	single bool  // one character with no ▁ before it
}

// word is the chunk that begins at a place. It is empty when its first
// character cannot follow the ▁ before it. A character that is in no piece is
// a chunk by itself.
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
		if !a.follows(last, c) {
			break
		}
		last = c
		i++
	}
	return word{i, a.ascii[last&127], i == at+1 && !spaced}
}

// wordOfAny goes on with a chunk from place i, behind the symbol last, which
// is -1 at its beginning.
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

// decode is utf8.DecodeRuneInString at a place, faster for what is frequent.
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

// appendRun appends a run of n ▁.
func (t *Tokenizer) appendRun(dst []Token, n int) []Token {
	most := len(t.runs) - 1
	for ; n >= most; n -= most {
		dst = append(dst, t.runs[most])
	}
	if n > 0 {
		dst = append(dst, t.runs[n])
	}
	return dst
}

// appendSpaced appends a chunk behind a run of several ▁. The last of them
// belongs to the chunk, unless the chunk's first token is that ▁ alone: then
// it belongs to the run.
func (t *Tokenizer) appendSpaced(dst []Token, g *segment, at int, w word, spaces int) []Token {
	dst = t.appendRun(dst, spaces-1)
	mark := len(dst)
	dst = t.appendChunk(dst, g, g.text, at, w.end, true)
	rest := (spaces - 1) % (len(t.runs) - 1)
	if dst[mark] != t.runs[1] || rest == 0 {
		return dst
	}
	dst[mark-1] = t.runs[rest+1]
	return slices.Delete(dst, mark, mark+1)
}

// appendChunk appends the tokens of the text from at to end, with a ▁ before it if
// spaced: from the cache if they may be there and are, by merging if not.
func (t *Tokenizer) appendChunk(dst []Token, g *segment, text string, at, end int, spaced bool) []Token {
	if text[at] >= utf8.RuneSelf && end-at <= cacheText/3 && allBad(text[at:end]) {
		text, at, end = badText, 0, 3*(end-at) // all of them are the same
	}
	if end-at > cacheText || g.merging {
		return t.appendMerged(dst, text[at:end], spaced)
	}
	key := keyOf(text, at, end, spaced)
	dst, known := g.cache.get(dst, &key)
	if known >= 0 {
		return dst
	}
	before := len(dst)
	dst = t.appendMerged(dst, text[at:end], spaced)
	g.cache.put(&key, dst[before:], end-at)
	return dst
}

// badText is what bad bytes are read as.
const badText = "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"

// allBad is whether no byte of a chunk belongs to a character.
func allBad(chunk string) bool {
	for i := range len(chunk) {
		if _, size := decode(chunk, i); size > 1 || chunk[i] < utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendMerged appends the tokens of a chunk by merging.
func (t *Tokenizer) appendMerged(dst []Token, chunk string, spaced bool) []Token {
	if t.fast && len(chunk) < shortRow {
		return t.appendShort(dst, chunk, spaced)
	}
	sc := t.scratch.Get().(*scratch)
	defer t.scratch.Put(sc)
	sc.chunk = sc.chunk[:0]
	if spaced {
		sc.chunk = append(sc.chunk, spaceText...)
	}
	sc.chunk = appendValid(sc.chunk, chunk)
	return t.merge(dst, sc.chunk, sc)
}

// appendShort is appendMerged for a chunk that fits into a short row.
func (t *Tokenizer) appendShort(dst []Token, chunk string, spaced bool) []Token {
	var s short
	last := byte(utf8.RuneSelf) // the last character if it is one of ASCII or ▁
	if spaced {
		s.row[0], s.n, last = t.ascii[' '], 1, ' '
	}
	for i := 0; i < len(chunk); s.n++ {
		c := chunk[i]
		if c < utf8.RuneSelf {
			s.row[s.n] = t.ascii[c]
			i++
		} else {
			r, size := decode(chunk, i)
			s.row[s.n] = t.symbol(r)
			i += size
		}
		if s.n > 0 {
			if c|last < utf8.RuneSelf {
				s.joints[s.n-1] = t.couple[last&127][c&127]
			} else {
				s.joints[s.n-1] = t.made(s.row[s.n-1], s.row[s.n])
			}
		}
		last = c
	}
	s.merge(&t.linear)
	for _, symbol := range s.row[:s.n] {
		dst = t.appendSymbol(dst, symbol, t.texts[symbol])
	}
	return dst
}

// appendValid appends a text with U+FFFD for each bad byte.
func appendValid(dst []byte, s string) []byte {
	if utf8.ValidString(s) {
		return append(dst, s...)
	}
	for _, r := range s {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// merge appends the tokens of a chunk without bad bytes, whose characters are
// all known.
func (t *Tokenizer) merge(dst []Token, chunk []byte, sc *scratch) []Token {
	if !t.fast {
		return sc.queue.append(dst, chunk)
	}
	sc.row = t.linear.encode(sc.row[:0], chunk, &sc.dead)
	for _, s := range sc.row {
		dst = t.appendSymbol(dst, s, t.texts[s])
	}
	return dst
}

// appendSymbol appends a symbol, which may be a character in no piece: -1.
func (t *tables) appendSymbol(dst []Token, symbol int32, text string) []Token {
	if symbol >= 0 && t.ids[symbol] >= 0 {
		return append(dst, t.ids[symbol])
	}
	return t.appendUnknown(dst, text)
}

// appendUnknown appends what stands for a character that is no piece: its
// bytes, or the unknown token.
func (t *tables) appendUnknown(dst []Token, char string) []Token {
	if !t.v.byteFallback {
		return append(dst, t.v.unk)
	}
	if r, _ := utf8.DecodeRuneInString(char); r == utf8.RuneError {
		char = "\uFFFD"
	}
	for i := range len(char) {
		dst = append(dst, t.byteIDs[char[i]])
	}
	return dst
}

// fuse makes one of the unknown tokens that follow one another, from a place
// in dst on.
func (g *segment) fuse(dst []Token, before int, v *vocabulary) []Token {
	if v.byteFallback || v.splitUnknown || g.apart {
		return dst
	}
	kept := dst[:before]
	for _, id := range dst[before:] {
		if id != v.unk || !g.unknown {
			kept = append(kept, id)
		}
		g.unknown = id == v.unk
	}
	return kept
}

// appendPairs is appendWords without the rule for runs: chunks are cut between
// characters that are neighbours in no piece, ▁ like any other. The text is
// normalized.
func (t *Tokenizer) appendPairs(dst []Token, g *segment, limit int) []Token {
	for !g.done() && len(dst) < limit {
		end := t.tables.stretch(g.text, g.pos)
		before := len(dst)
		if end == g.pos {
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

// stretch is the end of the chunk that begins at a place; it is empty when
// its first character is in no piece.
func (a *alphabet) stretch(text string, at int) int {
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
