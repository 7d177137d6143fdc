package tokenizer

import (
	"math/bits"
	"sync/atomic"
)

// Sizes of the cache of known chunks: 32,768 slots of 64 bytes, 2 MiB in all.
const (
	cacheSlots  = 1 << 15
	cacheText   = 24 // longest chunk in bytes
	cacheTokens = 12 // most tokens of a chunk, 3 a word
)

// cache remembers the tokens of short chunks. A chunk has two places; of these
// the one that was written less often is overwritten, so that it never grows.
//
// It is shared by all goroutines without a lock: a slot is a head, three
// words of text and four of tokens. The head has a version, which changes
// with every write, and whoever reads compares it before and after. Whoever
// writes claims the slot in the head, or gives up when another has.
type cache struct{ slots [cacheSlots]cacheSlot }

type cacheSlot struct {
	head   atomic.Uint64 // version << 32 | claimed << 31 | number of tokens << 8 | kind
	text   [3]atomic.Uint64
	tokens [4]atomic.Uint64
}

const (
	cacheClaimed  = 1 << 31
	cacheTwoWords = 16<<1 | 1 // the greatest kind whose text is two words
)

// cacheKey is a short chunk: its bytes, padded with zeros, and its kind, which
// is twice its length plus one if a ▁ stands before it.
type cacheKey struct {
	a, b, c uint64
	kind    uint64
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
	case n <= 16:
		k.a = load8(text, at)
		k.b = loadUpTo8(text, at+8, n-8)
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

// slot is the first of the two places of a chunk; the other is beside it.
func (c *cache) slot(k *cacheKey) uint64 {
	hi, lo := bits.Mul64(k.a^0x9e3779b97f4a7c15^k.kind<<32, (k.b^0xc2b2ae3d27d4eb4f)+k.c*0x165667b19e3779f9)
	return (hi ^ lo ^ k.kind) % cacheSlots
}

// get appends the tokens of a chunk if they are known.
func (c *cache) get(dst []Token, k *cacheKey) ([]Token, bool) {
	i := c.slot(k)
	dst, known := c.slots[i].get(dst, k)
	if !known {
		return c.slots[i^1].get(dst, k)
	}
	return dst, known
}

func (s *cacheSlot) get(dst []Token, k *cacheKey) ([]Token, bool) {
	head := s.head.Load()
	if head&(cacheClaimed|0xff) != k.kind || s.text[0].Load() != k.a || s.text[1].Load() != k.b || k.kind > cacheTwoWords && s.text[2].Load() != k.c {
		return dst, false
	}
	before, n, word := len(dst), int(head>>8&0xff), s.tokens[0].Load()
	if n <= 3 && before+3 <= cap(dst) {
		three := (*[3]Token)(dst[before : before+3]) // no branch on how many they are
		three[0], three[1], three[2] = Token(word&linkMask), Token(word>>linkBits&linkMask), Token(word>>(2*linkBits)&linkMask)
		dst = dst[:before+n]
	} else {
		dst = s.unpack(dst, word, n)
	}
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

// put remembers the tokens of a chunk, 12 at most.
func (c *cache) put(k *cacheKey, tokens []Token) {
	i := c.slot(k)
	s := &c.slots[i]
	if other := &c.slots[i^1]; s.head.Load() != 0 && other.head.Load()>>32 <= s.head.Load()>>32 {
		s = other // the one that was written less often
	}
	head := s.head.Load()
	if head&cacheClaimed != 0 || !s.head.CompareAndSwap(head, head|cacheClaimed) {
		return
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
