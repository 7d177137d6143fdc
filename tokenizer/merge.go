package tokenizer

import (
	"slices"
	"unicode/utf8"
)

// appendRun appends the tokens of a run of n ▁: as many of the longest piece
// as fit, and one for the rest.
func (t *Tokenizer) appendRun(dst []Token, n int) []Token {
	longest := len(t.runs) - 1
	for ; n >= longest; n -= longest {
		dst = append(dst, t.runs[longest])
	}
	if n > 0 {
		dst = append(dst, t.runs[n])
	}
	return dst
}

// appendSpaced appends a run of several ▁ and the chunk after it. The last ▁ is
// encoded with the chunk. If it stays a token of its own there, it belongs to
// the run, whose last token becomes one ▁ longer.
func (t *Tokenizer) appendSpaced(dst []Token, g *segment, at int, w word, spaces int) []Token {
	dst = t.appendRun(dst, spaces-1)
	mark := len(dst)
	dst = t.appendChunk(dst, g, g.text, at, w.end, true)
	// With no rest the run consists of longest pieces, which do not grow.
	rest := (spaces - 1) % (len(t.runs) - 1)
	if dst[mark] != t.runs[1] || rest == 0 {
		return dst
	}
	dst[mark-1] = t.runs[rest+1]
	return slices.Delete(dst, mark, mark+1)
}

// appendChunk appends the tokens of text[at:end], with a ▁ before it if spaced
// is true: from the cache if they are there, by merging otherwise.
//
// Chunks are independent of each other, so the tokens of a chunk depend only on
// its bytes and on spaced, which are the key of the cache.
func (t *Tokenizer) appendChunk(dst []Token, g *segment, text string, at, end int, spaced bool) []Token {
	if text[at] >= utf8.RuneSelf && end-at <= cacheText/3 && allInvalid(text[at:end]) {
		text, at, end = invalidText, 0, 3*(end-at) // one entry of the cache for all of this length
	}
	if end-at > cacheText || g.uncached {
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

// invalidText is what a chunk of up to 8 invalid bytes is read as.
const invalidText = "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"

// allInvalid reports whether no byte of a chunk belongs to a character.
func allInvalid(chunk string) bool {
	for i := range len(chunk) {
		if _, size := decode(chunk, i); size > 1 || chunk[i] < utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendMerged appends the tokens of a chunk by merging.
func (t *Tokenizer) appendMerged(dst []Token, chunk string, spaced bool) []Token {
	if t.isLinear && len(chunk) < shortRow { // a byte is at most one character
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
	var s short                 // on the stack
	last := byte(utf8.RuneSelf) // the last character, with a space for ▁, or RuneSelf if it is not ASCII
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
				s.merges[s.n-1] = t.asciiMerges[last&127][c&127]
			} else {
				s.merges[s.n-1] = t.mergeOf(s.row[s.n-1], s.row[s.n])
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

// appendValid appends s with U+FFFD for each invalid byte.
func appendValid(dst []byte, s string) []byte {
	if utf8.ValidString(s) {
		return append(dst, s...)
	}
	for _, r := range s {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// merge appends the tokens of a chunk, which is valid UTF-8, by the linear
// method or by the queue.
func (t *Tokenizer) merge(dst []Token, chunk []byte, sc *scratch) []Token {
	if !t.isLinear {
		return sc.queue.append(dst, chunk)
	}
	sc.row = t.linear.encode(sc.row[:0], chunk, &sc.dead)
	for _, s := range sc.row {
		dst = t.appendSymbol(dst, s, t.texts[s])
	}
	return dst
}

// appendSymbol appends the token of a symbol with the given text. A symbol of
// -1 is a character in no piece.
func (t *tables) appendSymbol(dst []Token, symbol int32, text string) []Token {
	if symbol >= 0 && t.ids[symbol] >= 0 {
		return append(dst, t.ids[symbol])
	}
	return t.appendUnknown(dst, text)
}

// appendUnknown appends the tokens of a character that is not a piece: those of
// its bytes, or the unknown token.
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

// fuse replaces each run of unknown tokens in dst[before:] by one, also where
// the run began before. It does nothing if the model has byte fallback or
// gives each unknown character a token.
func (g *segment) fuse(dst []Token, before int, v *vocabulary) []Token {
	if v.byteFallback || v.splitUnknown || g.splitUnknown {
		return dst
	}
	kept := dst[:before]
	for _, id := range dst[before:] {
		if id != v.unk || !g.afterUnknown {
			kept = append(kept, id)
		}
		g.afterUnknown = id == v.unk
	}
	return kept
}
