package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// normalized is a text as the model sees it: with ▁ for spaces, U+FFFD for
// invalid bytes, extra spaces removed, and the ▁ of the prefix rule added.
type normalized struct {
	text []byte
	// from has, for each byte of text and for its end, the offset in the
	// original of what the byte comes from. It is filled if mapped is true.
	from   []int
	mapped bool
}

// put appends text that comes from one offset of the original.
func (n *normalized) put(text string, from int) {
	n.text = append(n.text, text...)
	if n.mapped {
		for range len(text) {
			n.from = append(n.from, from)
		}
	}
}

// normalize sets n to the normalized text, as SentencePiece's normalizer.cc does
// with the identity map. prefix says whether a ▁ is added before the text, or
// after it for models with that setting.
func (n *normalized) normalize(v *vocabulary, text string, prefix bool) {
	n.text, n.from = n.text[:0], n.from[:0]
	at := 0
	if v.trim {
		at = len(text) - len(strings.TrimLeft(text, " "))
	}
	if at == len(text) {
		n.finish(at)
		return
	}
	if prefix && !v.suffix {
		n.put(spaceText, at)
	}
	end := n.putBody(text, at, v.trim)
	if v.trim {
		end = n.trimRight(end)
	}
	if prefix && v.suffix {
		n.put(spaceText, end)
	}
	n.finish(end)
}

// putBody appends the characters from offset at on, and only one ▁ for a run of
// spaces if trim is true. It returns the end of the text.
func (n *normalized) putBody(text string, at int, trim bool) int {
	after := trim // whether a space here is an extra one: after a space or at the beginning
	for at < len(text) {
		_, size := utf8.DecodeRuneInString(text[at:])
		switch {
		case text[at] == ' ' && after:
		case text[at] == ' ':
			n.put(spaceText, at)
		case size == 1 && text[at] >= utf8.RuneSelf:
			n.put("\uFFFD", at)
		default:
			n.putChar(text[at:at+size], at)
		}
		after = trim && text[at] == ' '
		at += size
	}
	return at
}

// putChar appends a valid character, whose bytes come from successive offsets.
func (n *normalized) putChar(text string, from int) {
	n.text = append(n.text, text...)
	if n.mapped {
		for i := range len(text) {
			n.from = append(n.from, from+i)
		}
	}
}

// trimRight removes ▁ from the end, and returns the offset in the original of
// the first one removed, or end if there is none.
func (n *normalized) trimRight(end int) int {
	for strings.HasSuffix(string(n.text[max(0, len(n.text)-len(spaceText)):]), spaceText) {
		n.text = n.text[:len(n.text)-len(spaceText)]
		if n.mapped {
			end = n.from[len(n.text)]
			n.from = n.from[:len(n.text)]
		}
	}
	return end
}

// finish records the offset in the original of the end.
func (n *normalized) finish(end int) {
	if n.mapped {
		n.from = append(n.from, end)
	}
}
