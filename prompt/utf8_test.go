package prompt

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// TestValidUTF8 compares with the standard library on all beginnings of three bytes, on
// every character, and on random texts that are nearly valid.
func TestValidUTF8(t *testing.T) {
	tail := "\x80\x80abcdef"
	for x := range 1 << 24 {
		if x>>16 < 0x80 && x&0xff != 0 {
			continue // ASCII first: the rest is met alone
		}
		b := [11]byte{byte(x >> 16), byte(x >> 8), byte(x)}
		copy(b[3:], tail)
		if s := string(b[:]); validUTF8(s) != utf8.ValidString(s) {
			t.Fatalf("%q", s)
		}
	}
	for r := range rune(utf8.MaxRune + 2) {
		s := "ab" + string(r) + string(r) + "c"
		require.True(t, validUTF8(s))
	}
	r := rand.New(rand.NewPCG(5, 7))
	chars := []string{"a", "é", "你", "\ue000", "\ud7ff", "🦙", "\xed\xa0\x80", "\xe0\x80\x80", "\xc1\x81", "\x80", "\xf4\x90\x80\x80", "\xe4\xbd", "\xff"}
	for range 200_000 {
		var s string
		for range r.IntN(12) {
			s += chars[r.IntN(6)]
		}
		if r.IntN(2) == 0 {
			s += chars[r.IntN(len(chars))] + "bcdefghi"[:r.IntN(8)]
		}
		if validUTF8(s) != utf8.ValidString(s) {
			t.Fatalf("%q", s)
		}
	}
}
