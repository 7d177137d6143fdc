package prompt

import (
	"math/bits"
	"unicode/utf8"
)

// notASCII has the bits that no ASCII character has.
const notASCII = 0x8080808080808080

// validUTF8 is utf8.ValidString, but faster for texts that are not English.
// utf8.ValidString reads one character at a time; validUTF8 reads up to eight bytes at a
// time if they are ASCII, two characters of three bytes, or characters of two bytes.
func validUTF8(s string) bool {
	for len(s) >= 8 {
		x := load8(s)
		if x&notASCII == 0 {
			s = s[8:]
			for len(s) >= 32 && (load8(s)|load8(s[8:])|load8(s[16:])|load8(s[24:]))&notASCII == 0 {
				s = s[32:]
			}
			continue
		}
		// Two characters of three bytes: most of a Chinese, Japanese or Korean
		// text. The call of validPrefix would take as long as the test.
		if x&0xc0c0f0c0c0f0 == 0x8080e08080e0 && anyContinuation(x) && anyContinuation(x>>24) {
			s = s[6:]
			continue
		}
		n := validPrefix(x)
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

// validPrefix returns a number of bytes at the beginning of a little-endian word that
// are whole, valid characters, or 0 if masks alone cannot tell.
func validPrefix(x uint64) int {
	switch {
	case x&0x80 == 0:
		return bits.TrailingZeros64(x&notASCII) / 8
	case x&0xc0c0f0 == 0x8080e0 && anyContinuation(x):
		return 3
	case x&0xc0e0c0e0 == 0x80c080c0 && x&0x1e != 0 && x>>16&0x1e != 0:
		return 4
	case x&0xc0e0 == 0x80c0 && x&0x1e != 0:
		return 2
	}
	return 0
}

// anyContinuation reports whether the first byte of a character of three bytes may be
// followed by any two continuation bytes. 0xe0 (overlong encodings) and 0xed
// (surrogates) restrict them.
func anyContinuation(x uint64) bool { return x&0xf != 0 && x&0xf != 0xd }

// load8 returns the first eight bytes as a little-endian word.
func load8(s string) uint64 {
	s = s[:8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
