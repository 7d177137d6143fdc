package tokenizer

// linear merges a chunk of any length in time that grows with its length and
// no faster, by backtracking instead of a queue. The method is that of the
// crate bpe in github.com/github/rust-gems, over characters instead of bytes.
//
// It stands on three facts. Each symbol encodes to itself; then there is one
// way in which its last merge joins two symbols, its halves. Halves have
// lower numbers than what they make, because multi-character symbols are
// numbered in the order of merging. And a row of symbols is the encoding of
// its text exactly when each two neighbours are that of theirs. The builder
// checks the first two for every vocabulary; the third follows.
type linear struct {
	edges  links   // trie of the symbols' texts: (node, byte) → node; the root is 0
	accept []int32 // node → symbol that ends there, -1
	first  [256]int32

	bytes  []uint16 // symbol → length of its text
	prefix []int32  // symbol → the longest symbol that begins it, -1
	left   []int32  // symbol → its halves; a single character is its own
	right  []int32
	merge  links           // halves → symbol
	halves filter          // of the halves in merge
	couple [128][128]int32 // two characters of ASCII → the symbol that they make, maxLink for none
}

// filter is a set of pairs of symbols that may hold more than was put in: so
// small that it stays near the processor, it tells of most pairs that nothing
// joins them.
type filter [1 << filterBits / 64]uint64

// filterBits is the logarithm of the filter's bits: 32 KiB.
const filterBits = 18

// place is the word and the bit of a pair.
func (f *filter) place(left, right int32) (word *uint64, bit uint64) {
	h := hashLink(uint64(left)<<linkBits|uint64(right)) >> (64 - filterBits)
	return &f[h/64], 1 << (h % 64)
}

// joint is the symbol of which two symbols are the halves.
func (m *linear) joint(left, right int32) (int32, bool) {
	if word, bit := m.halves.place(left, right); *word&bit == 0 {
		return 0, false
	}
	return m.merge.get(left, right)
}

// join notes that two symbols are the halves of a third.
func (m *linear) joinHalves(left, right, into int32) {
	word, bit := m.halves.place(left, right)
	*word |= bit
	m.merge.put(left, right, into)
}

// made is the symbol of which two symbols are the halves, maxLink when there is
// none.
func (m *linear) made(left, right int32) int32 {
	if joint, ok := m.joint(left, right); ok {
		return joint
	}
	return maxLink
}

// shortRow is how many characters are merged without backtracking.
const shortRow = cacheText + 1

// short is a row of few characters that are merged one pair after another: the
// lowest joint first, the leftmost of equals. Between few, looking at all takes
// less time than backtracking. It stands on the first two facts of linear.
type short struct {
	row    [shortRow]int32
	joints [shortRow]int32 // what each symbol and the next make, maxLink for nothing
	n      int
}

// merge merges the row until nothing is left to merge.
func (s *short) merge(m *linear) {
	for {
		best, at := int32(maxLink), 0
		for i, joint := range s.joints[:s.n-1] {
			if joint < best {
				best, at = joint, i
			}
		}
		if best == maxLink {
			return
		}
		s.n--
		s.row[at] = best
		for i := at + 1; i < s.n; i++ {
			s.row[i], s.joints[i] = s.row[i+1], s.joints[i+1]
		}
		if at > 0 {
			s.joints[at-1] = m.made(s.row[at-1], best)
		}
		if at+1 < s.n {
			s.joints[at] = m.made(best, s.row[at+1])
		}
	}
}

// longest is the longest symbol at the beginning of s, -1 when there is none.
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

// exact is the symbol whose text is s, -1 when there is none.
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

// neighbours says whether a and b stay apart when they are merged side by
// side: it undoes merges on both sides of the border, latest first, and looks
// whether one across it would have come earlier.
func (m *linear) neighbours(a, b int32) bool {
	limit := int32(maxLink)
	for {
		if joint, ok := m.joint(a, b); ok && joint < limit {
			return false
		}
		if a > b {
			limit = a
			if a = m.right[a]; a != limit {
				continue
			}
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

// encode appends the symbols of s, which holds whole known characters.
//
// It takes the longest symbol that may follow the last, or the next shorter
// one; when none may, the last symbol was wrong and gets shorter. A place that
// was left in this way is never reached again, which bounds the work.
func (m *linear) encode(row []int32, s []byte, dead *bitset) []int32 {
	next := m.longest(s)
	if next >= 0 && int(m.bytes[next]) == len(s) {
		return append(row, next) // each symbol encodes to itself
	}
	dead.reset(len(s) + 1)
	base := len(row)
	for at := 0; at < len(s); {
		if fit := m.fit(row[base:], next, at, dead); fit >= 0 {
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

// fit is the first of next, its prefix, the prefix of that and so on that may
// follow the row at a place, -1 when none may.
func (m *linear) fit(row []int32, next int32, at int, dead *bitset) int32 {
	for ; next >= 0; next = m.prefix[next] {
		if dead.has(at + int(m.bytes[next])) {
			continue
		}
		if len(row) == 0 || m.neighbours(row[len(row)-1], next) {
			return next
		}
	}
	return -1
}

// bitset is a set of places in a chunk.
type bitset struct{ words []uint64 }

// reset empties the set and makes it hold places below n.
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
