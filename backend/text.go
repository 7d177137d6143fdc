package backend

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// streamText is the text of an event. JSON escapes characters beyond U+FFFF as
// two surrogates (RFC 8259, section 7), and some servers cut a stream between
// them. A surrogate without its partner becomes its three bytes in WTF-8, which
// are not valid UTF-8, so that joiner can join the halves of two events.
type streamText string

// UnmarshalJSON decodes a JSON string.
func (t *streamText) UnmarshalJSON(text []byte) error {
	var out []byte
	piece := []byte{'"'} // what is decoded at once: text without lone surrogates
	flush := func() error {
		var s string
		if err := json.Unmarshal(append(piece, '"'), &s); err != nil {
			return err
		}
		out, piece = append(out, s...), append(piece[:0], '"')
		return nil
	}
	if len(text) < 2 || text[0] != '"' { // null, or not a string
		var s string
		err := json.Unmarshal(text, &s)
		*t = streamText(s)
		return err
	}
	for rest := text[1 : len(text)-1]; len(rest) > 0; {
		n := 1
		if rest[0] == '\\' {
			n = min(2, len(rest))
		}
		if r, ok := surrogate(rest); ok {
			n = len(`\u0000`)
			if next, ok := surrogate(rest[n:]); ok && utf16.DecodeRune(r, next) != utf8.RuneError {
				n *= 2
			} else {
				if err := flush(); err != nil {
					return err
				}
				out, rest = append(out, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f), rest[n:]
				continue
			}
		}
		piece, rest = append(piece, rest[:n]...), rest[n:]
	}
	err := flush()
	*t = streamText(out)
	return err
}

// surrogate returns the surrogate whose escape begins a text.
func surrogate(text []byte) (rune, bool) {
	if len(text) < len(`\u0000`) || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil && utf16.IsSurrogate(rune(n))
}

// joiner joins surrogates that two events share, and replaces those without a
// partner by U+FFFD.
type joiner struct {
	high rune // the surrogate at the end of the text so far, or 0
}

// join returns the text to write and the number of surrogates that it replaced.
// At the end of the stream, last is true.
func (j *joiner) join(text streamText, last bool) (string, int) {
	if j.high == 0 && utf8.ValidString(string(text)) {
		return string(text), 0
	}
	var out []byte
	replaced := 0
	end := func() { // the surrogate that waits has no partner
		if j.high != 0 {
			out, j.high = utf8.AppendRune(out, utf8.RuneError), 0
			replaced++
		}
	}
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(string(text))
		if r == utf8.RuneError && size == 1 && len(text) >= 3 { // the three bytes of a surrogate
			s := rune(text[0]&0xf)<<12 | rune(text[1]&0x3f)<<6 | rune(text[2]&0x3f)
			text = text[3:]
			if full := utf16.DecodeRune(j.high, s); full != utf8.RuneError {
				out, j.high = utf8.AppendRune(out, full), 0
				continue
			}
			end()
			j.high = s
			continue
		}
		end()
		out, text = utf8.AppendRune(out, r), text[size:]
	}
	if last {
		end()
	}
	return string(out), replaced
}

// count is a number of tokens. Some servers send it as a float, or as null.
type count int

// UnmarshalJSON decodes a number. Anything that is not a positive number counts
// as unknown, because a reply is complete without its counts.
func (c *count) UnmarshalJSON(text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(f > 0) || f > math.MaxInt32 {
		f = 0
	}
	*c = count(f)
	return nil
}
