package torchfile

import (
	"hash/crc32"
	"slices"
	"sync"
)

func checksum(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

// Checksum computes the CRC-32 (IEEE) of data that arrives in pieces, in any
// order and from several goroutines. The zero value is ready to use.
type Checksum struct {
	mu      sync.Mutex
	runs    []run // sorted; never adjacent to each other
	overlap bool
}

// run is a contiguous range of the data.
type run struct {
	begin, end int64
	crc        uint32
}

// Add adds the bytes b at offset off.
func (c *Checksum) Add(off int64, b []byte) {
	if len(b) == 0 {
		return
	}
	x := run{off, off + int64(len(b)), checksum(b)}
	c.mu.Lock()
	defer c.mu.Unlock()
	i, _ := slices.BinarySearchFunc(c.runs, x, func(a, b run) int {
		if a.begin < b.begin {
			return -1
		}
		return 1
	})
	if i > 0 && c.runs[i-1].end > x.begin || i < len(c.runs) && c.runs[i].begin < x.end {
		c.overlap = true
		return
	}
	c.runs = slices.Insert(c.runs, i, x)
	// Join the following run first, so that i remains valid.
	c.join(i + 1)
	c.join(i)
}

// join merges run i with the previous run if they are adjacent.
func (c *Checksum) join(i int) {
	if i == 0 || i == len(c.runs) || c.runs[i-1].end != c.runs[i].begin {
		return
	}
	a, b := &c.runs[i-1], c.runs[i]
	a.crc, a.end = combine(a.crc, b.crc, b.end-b.begin), b.end
	c.runs = slices.Delete(c.runs, i, i+1)
}

// Sum returns the checksum of the bytes from 0 to size, where size is the
// offset of the first missing byte. Compare it with the expected size to detect
// missing pieces. If pieces overlap, size is -1.
func (c *Checksum) Sum() (crc uint32, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.overlap:
		return 0, -1
	case len(c.runs) == 0 || c.runs[0].begin != 0:
		return 0, 0
	}
	return c.runs[0].crc, c.runs[0].end
}

// A CRC-32 is a polynomial over the field of two elements, modulo crc32.IEEE.
// Its most significant bit is the coefficient of x^0. Appending n bytes
// multiplies the polynomial by x^(8n) and adds the CRC of these bytes. The
// inversions before and after cancel out.

// combine returns the CRC of the concatenation of two byte strings, given the
// CRC of each and the length of the second.
func combine(a, b uint32, n int64) uint32 {
	shift := uint32(1) << 31  // x^0
	square := uint32(1) << 23 // x^8
	// Square and multiply: shift becomes x^(8n).
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			shift = multiply(shift, square)
		}
		square = multiply(square, square)
	}
	return multiply(shift, a) ^ b
}

// multiply returns the product of two polynomials modulo crc32.IEEE.
func multiply(a, b uint32) uint32 {
	product := uint32(0)
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= crc32.IEEE
		}
	}
	return product
}
