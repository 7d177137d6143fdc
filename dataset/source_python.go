package dataset

import (
	"strconv"
	"strings"
	"unicode"
)

// isSpace reports whether Python's str.strip removes a character: white space
// of Unicode, and the four separators from U+001C.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f
}

// strip returns what Python's str.strip returns.
func strip(s string) string { return strings.TrimFunc(s, isSpace) }

// parseInt parses a text as Python's int does, for numbers of up to 64 bits in
// ASCII digits: white space around, a sign and single underscores between digits
// are allowed.
func parseInt(s string) (int64, bool) {
	s = strip(s)
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || strings.Contains(digits, "__") || strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	return n, err == nil
}
