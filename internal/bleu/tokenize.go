package bleu

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tokenize splits a text like the 13a tokenizer.
func Tokenize(text string) []string {
	var t cutter
	var tokens []string
	for token := range bytes.FieldsFuncSeq(t.cut(text), isSpace) {
		tokens = append(tokens, string(token))
	}
	return tokens
}

// sentence is Tokenize for a text to be scored.
func sentence(text string) []string { return Tokenize(trimEnd(text)) }

// trimEnd removes white space from the end of a text. This matters for a
// newline after a dash, which the tokenizer would remove together with the
// dash.
func trimEnd(text string) string { return strings.TrimRightFunc(text, isSpace) }

// isSpace reports whether Python considers r white space: Unicode's white space
// and four control characters.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f
}

var (
	joins    = strings.NewReplacer("<skipped>", "")
	hyphens  = strings.NewReplacer("-\n", "")
	entities = []*strings.Replacer{
		strings.NewReplacer("&quot;", `"`), strings.NewReplacer("&amp;", "&"),
		strings.NewReplacer("&lt;", "<"), strings.NewReplacer("&gt;", ">"),
	}
)

// cutter holds the buffers of the tokenizer's passes.
type cutter struct{ a, b []byte }

// cut returns a text with spaces between its tokens. The result is valid until
// the next call. Each pass corresponds to a regular expression of the original
// and works on the result of the previous pass. A match consumes its
// characters, so that the next match begins after them.
func (c *cutter) cut(text string) []byte {
	text = hyphens.Replace(joins.Replace(text))
	if strings.Contains(text, "&") {
		for _, r := range entities {
			text = r.Replace(text)
		}
	}
	c.a = symbols(c.a[:0], text)
	c.b = pointsAfter(c.b[:0], c.a)
	c.a = pointsBefore(c.a[:0], c.b)
	c.b = dashes(c.b[:0], c.a)
	return c.b
}

// isSymbol marks the ASCII characters that are always tokens of their own.
var isSymbol = func() (t [256]bool) {
	for _, r := range []string{"{~", "[`", " &", "(+", ":@", "//"} {
		for c := int(r[0]); c <= int(r[1]); c++ {
			t[c] = true
		}
	}
	return t
}()

func isPoint(c byte) bool { return c == '.' || c == ',' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// symbols puts spaces around each symbol and around the text. It replaces
// newlines by spaces.
func symbols(dst []byte, text string) []byte {
	dst = append(dst, ' ')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\n' || c == ' ':
			dst = append(dst, ' ')
		case isSymbol[c]:
			dst = append(dst, ' ', c, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, ' ')
}

// pointsAfter puts spaces around a point or comma that does not follow a digit.
func pointsAfter(dst, src []byte) []byte {
	i := 0
	for ; i+1 < len(src); i++ {
		if dst = append(dst, src[i]); isPoint(src[i+1]) && !isDigit(src[i]) {
			dst = append(dst, ' ', src[i+1], ' ')
			i++
		}
	}
	return append(dst, src[i:]...)
}

// pointsBefore puts spaces around a point or comma that does not precede a
// digit.
func pointsBefore(dst, src []byte) []byte {
	i := 0
	for ; i+1 < len(src); i++ {
		if isPoint(src[i]) && !isDigit(src[i+1]) {
			dst = append(dst, ' ', src[i], ' ', src[i+1])
			i++
			continue
		}
		dst = append(dst, src[i])
	}
	return append(dst, src[min(i, len(src)):]...)
}

// dashes puts spaces around a dash that follows a digit.
func dashes(dst, src []byte) []byte {
	i := 0
	for ; i+1 < len(src); i++ {
		if dst = append(dst, src[i]); src[i+1] == '-' && isDigit(src[i]) {
			dst = append(dst, ' ', '-', ' ')
			i++
		}
	}
	return append(dst, src[min(i, len(src)):]...)
}

// each calls f for every token in the result of cut.
func each(cut []byte, f func(token []byte)) {
	for len(cut) > 0 {
		start := skip(cut, true)
		cut = cut[start:]
		if len(cut) == 0 {
			return
		}
		end := skip(cut, false)
		f(cut[:end])
		cut = cut[end:]
	}
}

// skip returns the length of the prefix of b that is white space, or of the
// prefix that is not.
func skip(b []byte, space bool) int {
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			if isASCIISpace[c] != space {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if isSpace(r) != space {
			return i
		}
		i += n
	}
	return len(b)
}

var isASCIISpace = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = isSpace(rune(c))
	}
	return t
}()
