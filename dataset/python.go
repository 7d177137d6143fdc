package dataset

import (
	"strconv"
	"strings"
	"unicode"
)

// isSpace is Python's idea of white space: Unicode's and four controls.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f
}

// strip is Python's str.strip.
func strip(s string) string { return strings.TrimFunc(s, isSpace) }

// parseInt is Python's int of a text, for numbers of up to 64 bits in ASCII
// digits: white space around, a sign and single underscores inside are
// allowed.
func parseInt(s string) (int64, bool) {
	s = strip(s)
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || strings.Contains(digits, "__") || strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	return n, err == nil
}
