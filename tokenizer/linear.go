package tokenizer

// noMerge is the result of a merge that does not exist. It is greater than any
// symbol.
const noMerge = maxLink

// linear merges a chunk of any length in time linear in its length, by
// backtracking instead of a queue. The method is that of the crate bpe in
// github.com/github/rust-gems (crates/bpe), over characters instead of bytes.
//
// It relies on three facts:
//
//   - Each symbol encodes to itself. Then its last merge joins two symbols in
//     exactly one way: its halves.
//   - Halves have lower numbers than the symbol that they make, because merged
//     symbols are numbered in the order of merging.
//   - A row of symbols is the encoding of its text if and only if each two
//     neighbours are the encoding of theirs.
//
// The builder checks the first two for every vocabulary. The third follows from
// them: a merge that changed the row would have to cross a border between two
// neighbours, and would cross it in the text of these two alone as well.
type linear struct {
	edges  links      // trie of the symbols' texts: (node, byte) → node; the root is 0
	accept []int32    // node → symbol whose text ends there, -1 for none
	first  [256]int32 // byte → node below the root, -1 for none

	bytes  []uint16 // symbol → length of its text
	prefix []int32  // symbol → the longest other symbol that its text begins with, -1 for none
	left   []int32  // symbol → left half; a single character is its own
	right  []int32  // symbol → right half; a single character is its own
	merge  links    // halves → symbol
	halves filter   // the keys of merge
	// asciiMerges is mergeOf for two ASCII characters, by their codes, with the
	// space for ▁.
	asciiMerges [128][128]int32
}

// filter is a set of pairs of symbols that may report pairs that were not added:
// a Bloom filter with one hash function. It is small enough to stay in the
// processor's cache, and answers for most pairs that they have no merge.
type filter [1 << filterBits / 64]uint64

// filterBits is the binary logarithm of the number of bits: 2^18 bits are 32
// KiB.
const filterBits = 18

// locate returns the word and the bit of a pair.
func (f *filter) locate(left, right int32) (word *uint64, bit uint64) {
	h := hashLink(uint64(left)<<linkBits|uint64(right)) >> (64 - filterBits)
	return &f[h/64], 1 << (h % 64)
}

// findMerge returns the symbol whose halves are left and right, and whether
// there is one.
func (m *linear) findMerge(left, right int32) (int32, bool) {
	if word, bit := m.halves.locate(left, right); *word&bit == 0 {
		return 0, false
	}
	return m.merge.get(left, right)
}

// addMerge records that left and right are the halves of into.
func (m *linear) addMerge(left, right, into int32) {
	word, bit := m.halves.locate(left, right)
	*word |= bit
	m.merge.put(left, right, into)
}

// mergeOf returns the symbol whose halves are left and right, or noMerge.
func (m *linear) mergeOf(left, right int32) int32 {
	if merged, ok := m.findMerge(left, right); ok {
		return merged
	}
	return noMerge
}

// shortRow is the largest number of characters that are merged without
// backtracking: those of a chunk in the cache and a ▁.
const shortRow = cacheText + 1

// short is a row of few characters that are merged one pair after another: the
// lowest resulting symbol first, the leftmost of equals. For so few, scanning
// the row takes less time than backtracking. It relies on the first two facts of
// linear: the lowest symbol is the one that BPE merges next.
type short struct {
	row    [shortRow]int32
	merges [shortRow]int32 // mergeOf each symbol and the next
	n      int             // number of symbols
}

// merge merges the row until no two neighbours have a merge.
func (s *short) merge(m *linear) {
	for {
		best, at := int32(noMerge), 0
		for i, merged := range s.merges[:s.n-1] {
			if merged < best {
				best, at = merged, i
			}
		}
		if best == noMerge {
			return
		}
		// The pair becomes one symbol, and the rest moves up. Only the merges
		// with the new symbol's neighbours have changed.
		s.n--
		s.row[at] = best
		for i := at + 1; i < s.n; i++ {
			s.row[i], s.merges[i] = s.row[i+1], s.merges[i+1]
		}
		if at > 0 {
			s.merges[at-1] = m.mergeOf(s.row[at-1], best)
		}
		if at+1 < s.n {
			s.merges[at] = m.mergeOf(best, s.row[at+1])
		}
	}
}

// longest returns the longest symbol that s begins with, or -1 if there is none.
func (m *linear) longest(s []byte) int32 {
	if len(s) == 0 {
		return -1
	}
	node := m.first[s[0]]
	if node < 0 {
		return -1
	}
	best := m.accept[node]
	for _, c := range s[1:] {
		next, ok := m.edges.get(node, int32(c))
		if !ok {
			break
		}
		node = next
		if found := m.accept[node]; found >= 0 {
			best = found
		}
	}
	return best
}

// exact returns the symbol whose text is s, or -1 if there is none.
func (m *linear) exact(s []byte) int32 {
	node := int32(0)
	for _, c := range s {
		next, ok := m.edges.get(node, int32(c))
		if !ok {
			return -1
		}
		node = next
	}
	return m.accept[node]
}

// validPair reports whether the symbols a and b are the encoding of their joined
// text, so that both stay as they are side by side. It undoes the merges next to
// the border, the latest first, and looks for a merge across the border that
// would have come before them.
func (m *linear) validPair(a, b int32) bool {
	// limit is the merge that was undone last. A merge across the border
	// happens if its symbol is lower, that is, if it comes earlier. A symbol
	// that is its own half is a character, where undoing ends.
	limit := int32(noMerge)
	for {
		if merged, ok := m.findMerge(a, b); ok && merged < limit {
			return false
		}
		if a > b {
			limit = a
			if a = m.right[a]; a != limit {
				continue
			}
			// On the right, an equal merge counts too: it is further left.
			limit = b + 1
			if b = m.left[b]; b+1 == limit {
				return true
			}
			continue
		}
		limit = b + 1
		if b = m.left[b]; b+1 != limit {
			continue
		}
		limit = a
		if a = m.right[a]; a == limit {
			return true
		}
	}
}

// encode appends the symbols of s, which consists of characters that are in
// pieces.
//
// At each offset it takes the longest symbol that may follow the row, or else
// the next shorter one. If none may, it removes the last symbol and tries a
// shorter one in its place. dead records the offsets that encode gives up in
// this way, and no offset is given up twice: by the third fact the row up to an
// offset is the encoding of the text up to there, so it is the same each time,
// and so is what may follow it. That bounds the work.
func (m *linear) encode(row []int32, s []byte, dead *bitset) []int32 {
	next := m.longest(s)
	if next >= 0 && int(m.bytes[next]) == len(s) {
		return append(row, next) // each symbol encodes to itself
	}
	dead.reset(len(s) + 1)
	base := len(row)
	for at := 0; at < len(s); {
		if fit := m.longestFit(row[base:], next, at, dead); fit >= 0 {
			row = append(row, fit)
			at += int(m.bytes[fit])
			next = m.longest(s[at:])
			continue
		}
		dead.set(at)
		next = row[len(row)-1]
		row = row[:len(row)-1]
		at -= int(m.bytes[next])
	}
	return row
}

// longestFit returns the longest of next, its prefix, the prefix of that and so
// on which may follow the row at offset at, or -1 if none may.
func (m *linear) longestFit(row []int32, next int32, at int, dead *bitset) int32 {
	for ; next >= 0; next = m.prefix[next] {
		if dead.has(at + int(m.bytes[next])) {
			continue
		}
		if len(row) == 0 || m.validPair(row[len(row)-1], next) {
			return next
		}
	}
	return -1
}

// bitset is a set of offsets in a chunk.
type bitset struct{ words []uint64 }

// reset empties the set and makes room for offsets below n.
func (b *bitset) reset(n int) {
	words := (n + 63) / 64
	if words > cap(b.words) {
		b.words = make([]uint64, words+words/4)
	}
	b.words = b.words[:words]
	clear(b.words)
}

func (b *bitset) set(i int)      { b.words[uint(i)/64] |= 1 << (uint(i) % 64) }
func (b *bitset) has(i int) bool { return b.words[uint(i)/64]>>(uint(i)%64)&1 != 0 }
