package tokenizer

import (
	"math/bits"
	"sync/atomic"
)

// Sizes of the cache. At first it has 32,768 lines of two short slots of 32
// bytes, and 8,192 long slots of 64 bytes: 2.5 MiB. When half of either are
// full, it grows once to twice and four times as many: 6 MiB. A text for which
// the small cache is enough does not have to touch the memory of the large one.
const (
	cacheLines  = 1 << 15
	cacheSlots  = 1 << 13
	cacheText   = 24                          // length in bytes of the longest chunk
	cacheTokens = 12                          // largest number of tokens of a chunk: 3 in each of 4 uint64
	cacheShort  = 15                          // length in bytes of the longest chunk in a short slot
	cacheWeight = 2 * cacheLines / cacheSlots // weight of a long slot in used: the ratio of the numbers of slots
)

// cache maps short chunks to their tokens, and words, which are sequences of
// chunks.
//
// Keys of up to 15 bytes are in one of two lines of two short slots each. A
// short slot holds up to 4 tokens, or a note that the tokens are in a long slot.
// Keys of up to 24 bytes are in one of two long slots. If a word has more than 4
// tokens, its slot has those of its first chunks, and the number of bytes that
// they cover. A new entry replaces the entry that was written least often among
// its slots, so the cache is bounded: it grows only once.
//
// All goroutines share the cache without a lock. Each slot is a sequence lock
// that never waits. Its head has a version, which every write changes, and a bit
// that claims the slot for one writer. A reader loads the head, then the
// contents, then the head again, and takes the entry only if the head has not
// changed and is not claimed. A writer that does not get the claim drops its
// entry. An entry that is missed costs time and nothing else, because the tokens
// of a key are always the same.
//
// The version has 32 bits. A reader would have to sleep during a multiple of
// 2^32 writes to one slot to take a wrong entry.
type cache struct {
	lines []cacheLine // a power of two, like slots
	slots []cacheSlot
	used  atomic.Int64 // slots that are not empty: 1 for a short one, cacheWeight for a long one
}

// cacheLine is two short slots, which fill a cache line of the processor.
type cacheLine [2]shortSlot

// shortSlot is an entry for a key of up to 15 bytes.
type shortSlot struct {
	head   atomic.Uint64 // version << 32 | claimed << 31 | long << 30 | bytes covered << 24 | number of tokens << 21 | fourth token
	a, b   atomic.Uint64 // the key, as in cacheKey
	tokens atomic.Uint64 // the first three tokens
}

// cacheSlot is a long slot.
type cacheSlot struct {
	head   atomic.Uint64    // version << 32 | claimed << 31 | number of tokens << 8 | kind
	text   [3]atomic.Uint64 // the key, as in cacheKey
	tokens [4]atomic.Uint64 // three tokens each
}

// Fields of the heads of slots.
const (
	cacheClaimed  = 1 << 31      // a writer has the slot
	cacheLong     = 1 << 30      // the tokens are in a long slot
	cacheBytes    = linkBits + 3 // position of the number of bytes covered
	cacheTwoWords = 16<<1 | 1    // largest kind whose text has at most 16 bytes
)

// cacheKey is the key of a chunk or word: its bytes, padded with zeros, and its
// kind, which is twice its length, plus one if a ▁ comes before it. If it has up
// to 15 bytes, the last byte of b is its kind, so that a and b are the whole
// key.
type cacheKey struct {
	a, b, c uint64
	kind    uint64
}

// keyMask has the bits of a and of b that belong to a key, by its length.
var keyMask = func() (masks [cacheShort + 1][2]uint64) {
	for n := range masks {
		masks[n] = [2]uint64{1<<(8*min(n, 8)) - 1, 1<<(8*max(n-8, 0)) - 1}
	}
	return masks
}()

// shortKey returns a and b of the key of the first n of 16 bytes, for n from 1
// to 15.
func shortKey(a, b uint64, n int, spaces uint64) (uint64, uint64) {
	mask := &keyMask[n&cacheShort]
	return a & mask[0], b&mask[1] | uint64(n)<<57 | spaces<<56
}

// keyOf returns the key of text[at:end], which has 1 to 24 bytes.
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

// loadUpTo8 returns the n bytes at offset at, for n from 1 to 8, in
// little-endian order.
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

// load8 returns the 8 bytes at offset at, in little-endian order. The compiler
// makes one load of it.
func load8(s string, at int) uint64 {
	s = s[at : at+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// hash spreads a key by a multiplication whose halves are folded, as in wyhash.
func hash(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xc2b2ae3d27d4eb4f)
	return hi ^ lo
}

// newCache returns an empty cache of the first size.
func newCache() *cache {
	return &cache{lines: make([]cacheLine, cacheLines), slots: make([]cacheSlot, cacheSlots)}
}

// grown returns a larger cache with the entries of c.
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

// full reports whether the cache must grow.
func (c *cache) full() bool { return len(c.lines) == cacheLines && c.used.Load() > cacheLines }

// line returns the index of the first of the two lines for a key. The other
// index differs in the lowest bit.
func (c *cache) line(a, b uint64) uint64 { return hash(a, b) & uint64(len(c.lines)-1) }

// find returns the slot of the line that has the key, or any slot if none has.
// The caller compares the key again. The compiler turns the condition into a
// conditional move, without a branch.
func (l *cacheLine) find(a, b uint64) *shortSlot {
	i := 0
	if l[0].a.Load()^a|l[0].b.Load()^b != 0 {
		i = 1
	}
	return &l[i]
}

// get appends the tokens of a key to dst and returns the number of its bytes
// that they cover, or -1 if the cache does not have the key. The number is less
// than the length of the key only for words of several chunks.
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

// get returns the head and the first three tokens of a slot, and whether the
// slot has the key.
func (s *shortSlot) get(k *cacheKey) (head, three uint64, known bool) {
	head, three = s.head.Load(), s.tokens.Load()
	return head, three, s.a.Load() == k.a && s.b.Load() == k.b && head&cacheClaimed == 0 && s.head.Load() == head
}

// unpackShort is the inverse of packShort. Zeros follow the tokens if they are
// fewer than four.
func unpackShort(head, three uint64) [4]Token {
	return [4]Token{Token(three & linkMask), Token(three >> linkBits & linkMask), Token(three >> (2 * linkBits) & linkMask), Token(head & linkMask)}
}

// slot returns the index of the first of the two long slots for a key. The other
// index differs in the lowest bit.
func (c *cache) slot(k *cacheKey) uint64 {
	return (hash(k.a, k.b+k.c*0x165667b19e3779f9) ^ k.kind) & uint64(len(c.slots)-1)
}

// getLong is get for tokens in a long slot.
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

// get appends the tokens of the slot if it has the key, and reports whether it
// has.
func (s *cacheSlot) get(dst []Token, k *cacheKey) ([]Token, bool) {
	head := s.head.Load()
	// One comparison tells that the kind is right and that no writer has the
	// slot.
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

// unpack appends n tokens. word is the first word of tokens.
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

// put enters the tokens of a key, which cover the given number of its bytes. It
// does nothing if there are more than 12.
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
	// The claim is the compare-and-swap: of several writers one gets the slot.
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

// packShort returns the head, without a version, and the word of tokens for up
// to four tokens.
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

// victim returns the short slot that a new entry for the key replaces, and its
// head. It returns nil if the key has a slot already.
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

// putLong enters the tokens of a key in a long slot.
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
