package dataset

import (
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// unescaped marks the bytes that json.dumps writes as they are.
var unescaped = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendString appends a text as Python's json.dumps does with its default
// ensure_ascii: characters outside ASCII are escaped.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && unescaped[s[i]] {
			i++
		}
		if dst = append(dst, s[start:i]...); i == len(s) {
			break
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		dst = appendEscape(dst, r)
		i += n
	}
	return append(dst, '"')
}

// shortEscapes maps a character to the second character of its escape.
var shortEscapes = map[rune]byte{'"': '"', '\\': '\\', '\n': 'n', '\r': 'r', '\t': 't', '\b': 'b', '\f': 'f'}

func appendEscape(dst []byte, r rune) []byte {
	if c, ok := shortEscapes[r]; ok {
		return append(dst, '\\', c)
	}
	if r < 0x10000 {
		return appendHex(dst, r)
	}
	high, low := utf16.EncodeRune(r)
	return appendHex(appendHex(dst, high), low)
}

func appendHex(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
