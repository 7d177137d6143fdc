package strictjson

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/refusal"
)

// String reads a string.
func (j *Reader) String() (string, error) {
	if err := j.expect('"'); err != nil {
		return "", err
	}
	start := j.pos
	for j.pos < len(j.data) && inString[j.data[j.pos]] {
		j.pos++
	}
	if j.pos < len(j.data) {
		switch c := j.data[j.pos]; {
		case c == '"':
			s := string(j.data[start:j.pos])
			if !utf8.ValidString(s) {
				return "", refusal.Malformed(j.base+int64(start), "", "the string is not UTF-8")
			}
			j.pos++
			return s, nil
		case c == '\\':
			return j.escaped(start)
		default:
			return "", j.malformed("unescaped control character %#02x in a string", c)
		}
	}
	return "", j.malformed("JSON ends within a string")
}

// escaped reads the rest of a string that began at start, from its first
// backslash on.
func (j *Reader) escaped(start int) (string, error) {
	var out strings.Builder
	// The decoded string is never longer than the text: one allocation is
	// enough.
	out.Grow(j.quote() - start)
	out.Write(j.data[start:j.pos])
	for j.pos < len(j.data) {
		switch c := j.data[j.pos]; {
		case c == '"':
			if !utf8.ValidString(out.String()) {
				return "", refusal.Malformed(j.base+int64(start), "", "the string is not UTF-8")
			}
			j.pos++
			return out.String(), nil
		case c < 0x20:
			return "", j.malformed("unescaped control character %#02x in a string", c)
		case c == '\\':
			at := j.Offset()
			r, err := j.escape()
			if err != nil {
				return "", &refusal.Error{Offset: at, Err: err}
			}
			out.WriteRune(r)
		default:
			run := j.pos
			for j.pos < len(j.data) && inString[j.data[j.pos]] {
				j.pos++
			}
			out.Write(j.data[run:j.pos])
		}
	}
	return "", j.malformed("JSON ends within a string")
}

// inString marks the bytes that a string contains unescaped.
var inString = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return t
}()

// quote returns the index of the quote that ends the string at pos.
func (j *Reader) quote() int {
	for at := j.pos; ; {
		n := bytes.IndexByte(j.data[at:], '"')
		if n < 0 {
			return len(j.data)
		}
		at += n
		// The quote is escaped if an odd number of backslashes precedes it.
		first := at
		for first > j.pos && j.data[first-1] == '\\' {
			first--
		}
		if (at-first)%2 == 0 {
			return at
		}
		at++
	}
}

// The errors of an escape. Their offset is that of its backslash.
var (
	errEscapeEnds = refusal.Reason(refusal.ErrMalformed, "JSON ends within an escape")
	errEscapeHex  = refusal.Reason(refusal.ErrMalformed, "four hexadecimal digits must follow \\u")
	errSurrogate  = refusal.Reason(refusal.ErrMalformed, "lone surrogate in a string")
)

// escape reads a backslash and the character after it.
func (j *Reader) escape() (rune, error) {
	if j.pos+1 == len(j.data) {
		return 0, errEscapeEnds
	}
	c := j.data[j.pos+1]
	j.pos += 2
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return j.unicodeEscape()
	}
	return 0, refusal.Reason(refusal.ErrMalformed, "unknown escape %q", []byte{'\\', c})
}

func (j *Reader) unicodeEscape() (rune, error) {
	r, err := j.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if j.pos+1 < len(j.data) && j.data[j.pos] == '\\' && j.data[j.pos+1] == 'u' {
		j.pos += 2
		low, err := j.hex4()
		if err != nil {
			return 0, err
		}
		if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
			return full, nil
		}
	}
	return 0, errSurrogate
}

func (j *Reader) hex4() (rune, error) {
	if j.pos+4 > len(j.data) {
		return 0, errEscapeEnds
	}
	n, err := strconv.ParseUint(string(j.data[j.pos:j.pos+4]), 16, 32)
	if err != nil {
		return 0, errEscapeHex
	}
	j.pos += 4
	return rune(n), nil
}
