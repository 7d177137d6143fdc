package prompt

import (
	"math/bits"
	"unicode/utf8"
)

// validUTF8 is utf8.ValidString, which takes one character at a time, for texts
// that are not English: it takes up to eight bytes at a time where they are
// ASCII, two characters of three bytes, or characters of two.
func validUTF8(s string) bool {
	for len(s) >= 8 {
		x := load8(s)
		if x&0x8080808080808080 == 0 {
			s = s[8:]
			continue
		}
		n := plainBytes(x)
		if n == 0 {
			r, size := utf8.DecodeRuneInString(s)
			if r == utf8.RuneError && size == 1 {
				return false
			}
			n = size
		}
		s = s[n:]
	}
	return utf8.ValidString(s)
}

// plainBytes is how many bytes at the beginning of a word, the lowest first, are
// whole characters that are easily seen to be valid; 0 when that takes more. Not
// all of them are ASCII.
func plainBytes(x uint64) int {
	switch {
	case x&0x80 == 0:
		return bits.TrailingZeros64(x&0x8080808080808080) / 8
	case x&0xc0c0f0c0c0f0 == 0x8080e08080e0 && plainLead(x) && plainLead(x>>24):
		return 6
	case x&0xc0c0f0 == 0x8080e0 && plainLead(x):
		return 3
	case x&0xc0e0c0e0 == 0x80c080c0 && x&0x1e != 0 && x>>16&0x1e != 0:
		return 4
	case x&0xc0e0 == 0x80c0 && x&0x1e != 0:
		return 2
	}
	return 0
}

// plainLead is whether any two continuations may follow the first byte of a
// character of three: not so after 0xe0 (too short) and 0xed (surrogates).
func plainLead(x uint64) bool { return x&0xf != 0 && x&0xf != 0xd }

// load8 is the first eight bytes, the first one lowest.
func load8(s string) uint64 {
	s = s[:8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
