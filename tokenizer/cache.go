package tokenizer

import (
	"math/bits"
	"sync/atomic"
)

// Sizes of the cache of known chunks: at first 32,768 lines of two short slots
// of 32 bytes and 8,192 long slots of 64, 2.5 MiB in all; when half of either
// are full, twice and four times as many, 6 MiB in all. A text that needs no
// more than the small one does not wait for the memory of the large one.
const (
	cacheLines  = 1 << 15
	cacheSlots  = 1 << 13
	cacheText   = 24                          // longest chunk in bytes
	cacheTokens = 12                          // most tokens of a chunk, 3 a word
	cacheShort  = 15                          // longest chunk of a short slot
	cacheWeight = 2 * cacheLines / cacheSlots // of a long slot: there are so many fewer
)

// cache remembers the tokens of short chunks, and of words, which are whole
// chunks one behind another. What has up to 15 bytes is in one of two lines of
// two short slots, which hold up to 4 tokens or the note that they are in a long
// slot; a chunk of up to 24 bytes is in one of two long slots. Of a word whose
// tokens are more than 4, a slot has those of its first chunks. Of the slots
// where something may be, the one that was written least often is overwritten,
// so that the cache never grows but once.
//
// It is shared by all goroutines without a lock: a slot has a head with a
// version, which changes with every write, and whoever reads compares it
// before and after. Whoever writes claims the slot in the head, or gives up
// when another has.
type cache struct {
	lines []cacheLine // a power of two, like slots
	slots []cacheSlot
	used  atomic.Int64 // how much has been filled: 1 for a short slot, cacheWeight for a long one
}

type cacheLine [2]shortSlot

// shortSlot is a chunk or a word as shortKey gives it, its first three tokens,
// and of how many of its bytes the tokens are.
type shortSlot struct {
	head   atomic.Uint64 // version << 32 | claimed << 31 | long << 30 | bytes << 24 | number of tokens << 21 | the fourth
	a, b   atomic.Uint64
	tokens atomic.Uint64
}

type cacheSlot struct {
	head   atomic.Uint64 // version << 32 | claimed << 31 | number of tokens << 8 | kind
	text   [3]atomic.Uint64
	tokens [4]atomic.Uint64
}

const (
	cacheClaimed  = 1 << 31
	cacheLong     = 1 << 30
	cacheBytes    = linkBits + 3 // place of the number of bytes in the head
	cacheTwoWords = 16<<1 | 1    // the greatest kind whose text is two words
)

// cacheKey is a short chunk: its bytes, padded with zeros, and its kind, which
// is twice its length plus one if a ▁ stands before it. Up to 15 bytes, the
// last byte of b is the kind.
type cacheKey struct {
	a, b, c uint64
	kind    uint64
}

// keyMask has the bits of a and of b that are a chunk's, by its length.
var keyMask = func() (masks [cacheShort + 1][2]uint64) {
	for n := range masks {
		masks[n] = [2]uint64{1<<(8*min(n, 8)) - 1, 1<<(8*max(n-8, 0)) - 1}
	}
	return masks
}()

// shortKey is a and b of the key of the first n of 16 bytes, n from 1 to 15.
func shortKey(a, b uint64, n int, spaces uint64) (uint64, uint64) {
	mask := &keyMask[n&cacheShort]
	return a & mask[0], b&mask[1] | uint64(n)<<57 | spaces<<56
}

// keyOf is the key of text[at:end], 1 to 24 bytes long.
func keyOf(text string, at, end int, spaced bool) (k cacheKey) {
	n := end - at
	k.kind = uint64(n) << 1
	if spaced {
		k.kind |= 1
	}
	switch {
	case n <= 8:
		k.a = loadUpTo8(text, at, n)
		k.b = k.kind << 56
	case n <= 16:
		k.a = load8(text, at)
		k.b = loadUpTo8(text, at+8, n-8)
		if n <= cacheShort {
			k.b |= k.kind << 56
		}
	default:
		k.a = load8(text, at)
		k.b = load8(text, at+8)
		k.c = loadUpTo8(text, at+16, n-16)
	}
	return k
}

// loadUpTo8 is the n bytes at a place, 1 to 8, the first one lowest.
func loadUpTo8(s string, at, n int) (word uint64) {
	switch over := at + 8 - len(s); {
	case over <= 0:
		return load8(s, at) & (^uint64(0) >> (64 - 8*n))
	case len(s) >= 8:
		return load8(s, len(s)-8) >> (8 * over) & (^uint64(0) >> (64 - 8*n))
	}
	for i := n - 1; i >= 0; i-- {
		word = word<<8 | uint64(s[at+i])
	}
	return word
}

// load8 is the eight bytes at a place, the first one lowest.
func load8(s string, at int) uint64 {
	s = s[at : at+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// hash spreads a key.
func hash(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xc2b2ae3d27d4eb4f)
	return hi ^ lo
}

// newCache is an empty cache, of the first size.
func newCache() *cache {
	return &cache{lines: make([]cacheLine, cacheLines), slots: make([]cacheSlot, cacheSlots)}
}

// grown is a larger cache with all that c knows.
func (c *cache) grown() *cache {
	large := &cache{lines: make([]cacheLine, 2*cacheLines), slots: make([]cacheSlot, 4*cacheSlots)}
	var tokens []Token
	move := func(k cacheKey) {
		var bytes int
		if tokens, bytes = c.get(tokens[:0], &k); bytes >= 0 && len(tokens) > 0 {
			large.put(&k, tokens, bytes)
		}
	}
	for i := range c.lines {
		for j := range c.lines[i] {
			s := &c.lines[i][j]
			b := s.b.Load()
			move(cacheKey{a: s.a.Load(), b: b, kind: b >> 56})
		}
	}
	for i := range c.slots {
		s := &c.slots[i]
		if kind := s.head.Load() & 0xff; kind>>1 > cacheShort {
			move(cacheKey{s.text[0].Load(), s.text[1].Load(), s.text[2].Load(), kind})
		}
	}
	return large
}

// full is whether the cache is to grow.
func (c *cache) full() bool { return len(c.lines) == cacheLines && c.used.Load() > cacheLines }

// line is the first of the two lines of a chunk; the other is beside it.
func (c *cache) line(a, b uint64) uint64 { return hash(a, b) & uint64(len(c.lines)-1) }

// find is the slot of a line that has a chunk, if any: whoever reads it must
// look again. It is no branch.
func (l *cacheLine) find(a, b uint64) *shortSlot {
	i := 0
	if l[0].a.Load()^a|l[0].b.Load()^b != 0 {
		i = 1
	}
	return &l[i]
}

// get appends the tokens of a chunk if they are known, and returns of how many
// of its bytes they are, which is all of them for what no word can be cut in;
// -1 when they are not known.
func (c *cache) get(dst []Token, k *cacheKey) ([]Token, int) {
	if k.kind>>1 > cacheShort {
		return c.getLong(dst, k, int(k.kind>>1))
	}
	i := c.line(k.a, k.b)
	head, three, known := c.lines[i].find(k.a, k.b).get(k)
	if !known {
		if head, three, known = c.lines[i^1].find(k.a, k.b).get(k); !known {
			return dst, -1
		}
	}
	bytes := int(head >> cacheBytes & cacheShort)
	if head&cacheLong != 0 {
		return c.getLong(dst, k, bytes)
	}
	four := unpackShort(head, three)
	return append(dst, four[:head>>linkBits&7]...), bytes
}

// get is the head and the first three tokens of a slot if it has the chunk.
func (s *shortSlot) get(k *cacheKey) (head, three uint64, known bool) {
	head, three = s.head.Load(), s.tokens.Load()
	return head, three, s.a.Load() == k.a && s.b.Load() == k.b && head&cacheClaimed == 0 && s.head.Load() == head
}

// unpackShort undoes packShort; there are zeros behind fewer tokens than four.
func unpackShort(head, three uint64) [4]Token {
	return [4]Token{Token(three & linkMask), Token(three >> linkBits & linkMask), Token(three >> (2 * linkBits) & linkMask), Token(head & linkMask)}
}

// slot is the first of the two long slots of a chunk; the other is beside it.
func (c *cache) slot(k *cacheKey) uint64 {
	return (hash(k.a, k.b+k.c*0x165667b19e3779f9) ^ k.kind) & uint64(len(c.slots)-1)
}

// getLong is get for what is in a long slot.
func (c *cache) getLong(dst []Token, k *cacheKey, bytes int) ([]Token, int) {
	i := c.slot(k)
	dst, known := c.slots[i].get(dst, k)
	if !known {
		if dst, known = c.slots[i^1].get(dst, k); !known {
			return dst, -1
		}
	}
	return dst, bytes
}

func (s *cacheSlot) get(dst []Token, k *cacheKey) ([]Token, bool) {
	head := s.head.Load()
	if head&(cacheClaimed|0xff) != k.kind || s.text[0].Load() != k.a || s.text[1].Load() != k.b || k.kind > cacheTwoWords && s.text[2].Load() != k.c {
		return dst, false
	}
	before := len(dst)
	dst = s.unpack(dst, s.tokens[0].Load(), int(head>>8&0xff))
	if s.head.Load() != head {
		return dst[:before], false
	}
	return dst, true
}

// unpack appends tokens, of which the first word is read already.
func (s *cacheSlot) unpack(dst []Token, word uint64, n int) []Token {
	for i := 1; ; i++ {
		dst = append(dst, Token(word&linkMask))
		if n--; n == 0 {
			return dst
		}
		if word >>= linkBits; i%3 == 0 {
			word = s.tokens[i/3&3].Load()
		}
	}
}

// put remembers the tokens of so many bytes of a chunk, unless they are more
// than 12.
func (c *cache) put(k *cacheKey, tokens []Token, bytes int) {
	if len(tokens) > cacheTokens {
		return
	}
	if k.kind>>1 > cacheShort {
		c.putLong(k, tokens)
		return
	}
	head, three := uint64(cacheLong), uint64(0)
	if len(tokens) > 4 {
		c.putLong(k, tokens)
	} else {
		head, three = packShort(tokens)
	}
	s, old := c.victim(k)
	if s == nil || old&cacheClaimed != 0 || !s.head.CompareAndSwap(old, old|cacheClaimed) {
		return
	}
	if old == 0 {
		c.used.Add(1)
	}
	s.a.Store(k.a)
	s.b.Store(k.b)
	s.tokens.Store(three)
	s.head.Store((old>>32+1)<<32 | head | uint64(bytes)<<cacheBytes)
}

// packShort is the head, without a version, and the first three of up to four
// tokens.
func packShort(tokens []Token) (head, three uint64) {
	for i, t := range tokens[:min(3, len(tokens))] {
		three |= uint64(t) << (i * linkBits)
	}
	head = uint64(len(tokens)) << linkBits
	if len(tokens) == 4 {
		head |= uint64(tokens[3])
	}
	return head, three
}

// victim is the short slot for a chunk, the one that was written least often,
// and its head; nil if the chunk is there, for its tokens are always the same.
func (c *cache) victim(k *cacheKey) (best *shortSlot, head uint64) {
	i := c.line(k.a, k.b)
	for _, line := range []*cacheLine{&c.lines[i], &c.lines[i^1]} {
		for j := range line {
			s := &line[j]
			if s.a.Load() == k.a && s.b.Load() == k.b {
				return nil, 0
			}
			if h := s.head.Load(); best == nil || h>>32 < head>>32 {
				best, head = s, h
			}
		}
	}
	return best, head
}

// putLong remembers the tokens of a chunk in a long slot.
func (c *cache) putLong(k *cacheKey, tokens []Token) {
	i := c.slot(k)
	s := &c.slots[i]
	if other := &c.slots[i^1]; s.head.Load() != 0 && other.head.Load()>>32 < s.head.Load()>>32 {
		s = other // the one that was written less often
	}
	head := s.head.Load()
	if head&cacheClaimed != 0 || !s.head.CompareAndSwap(head, head|cacheClaimed) {
		return
	}
	if head == 0 {
		c.used.Add(cacheWeight)
	}
	s.text[0].Store(k.a)
	s.text[1].Store(k.b)
	if k.kind > cacheTwoWords {
		s.text[2].Store(k.c)
	}
	for i := 0; i < len(tokens); i += 3 {
		var word uint64
		for j, t := range tokens[i:min(i+3, len(tokens))] {
			word |= uint64(t) << (j * linkBits)
		}
		s.tokens[i/3].Store(word)
	}
	s.head.Store((head>>32+1)<<32 | uint64(len(tokens))<<8 | k.kind)
}
