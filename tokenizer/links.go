package tokenizer

// linkBits is the width of each number in a links table. Symbols, trie nodes and
// tokens are all below maxLink.
const (
	linkBits = 21
	maxLink  = 1 << linkBits
	linkMask = maxLink - 1
)

// links is a hash table from two small numbers to a third. It uses open
// addressing with linear probing, and one word per entry: a slot is 0, or has
// its top bit set and then holds left, right and value.
type links struct {
	slots []uint64 // a power of two
	shift uint8    // 64 minus the binary logarithm of the number of slots
	n     int      // number of entries
}

// newLinks returns an empty table with room for n entries, which fill at most 2
// of 3 slots.
func newLinks(n int) links {
	bits := uint8(3)
	for 2<<bits < n*3 {
		bits++
	}
	return links{slots: make([]uint64, 1<<bits), shift: 64 - bits}
}

// hashLink spreads a key over the top bits (Fibonacci hashing).
func hashLink(key uint64) uint64 { return (key ^ key>>19) * 0x9e3779b97f4a7c15 }

// get returns the value of (left, right), and whether there is one.
func (t *links) get(left, right int32) (int32, bool) {
	key := uint64(left)<<linkBits | uint64(right)
	want := 1<<(63-linkBits) | key
	mask := uint64(len(t.slots) - 1)
	for i := hashLink(key) >> (t.shift & 63); ; i++ {
		slot := t.slots[i&mask]
		if slot>>linkBits == want {
			return int32(slot & linkMask), true
		}
		if slot == 0 {
			return 0, false
		}
	}
}

// put adds an entry, whose key must be new.
func (t *links) put(left, right, value int32) {
	if t.n*3 >= len(t.slots)*2 {
		t.grow()
	}
	t.n++
	t.insert(1<<63 | (uint64(left)<<linkBits|uint64(right))<<linkBits | uint64(value))
}

// add returns the value of (left, right), and adds the entry if there is none.
// The table must have room for it.
func (t *links) add(left, right, value int32) int32 {
	key := uint64(left)<<linkBits | uint64(right)
	want := 1<<(63-linkBits) | key
	mask := uint64(len(t.slots) - 1)
	for i := hashLink(key) >> (t.shift & 63); ; i++ {
		slot := t.slots[i&mask]
		if slot>>linkBits == want {
			return int32(slot & linkMask)
		}
		if slot == 0 {
			t.n++
			t.slots[i&mask] = want<<linkBits | uint64(value)
			return value
		}
	}
}

// insert puts an entry into the first free slot of its key.
func (t *links) insert(entry uint64) {
	key := entry << 1 >> (linkBits + 1)
	mask := uint64(len(t.slots) - 1)
	i := hashLink(key) >> t.shift
	for t.slots[i&mask] != 0 {
		i++
	}
	t.slots[i&mask] = entry
}

// grow doubles the number of slots.
func (t *links) grow() {
	old := t.slots
	t.slots, t.shift = make([]uint64, 2*len(old)), t.shift-1
	for _, entry := range old {
		if entry != 0 {
			t.insert(entry)
		}
	}
}
