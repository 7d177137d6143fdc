package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// normalized is a text as the model sees it: ▁ for spaces, U+FFFD for bad
// bytes, extra spaces gone, the ▁ of the prefix there.
type normalized struct {
	text []byte
	// from, if mapped, is where each byte of the text and its end come from:
	// the place of the character in the original.
	from   []int
	mapped bool
}

// put appends text that comes from one place.
func (n *normalized) put(text string, from int) {
	n.text = append(n.text, text...)
	if n.mapped {
		for range len(text) {
			n.from = append(n.from, from)
		}
	}
}

// normalize does what SentencePiece's normalizer.cc does with the identity
// map. prefix is whether ▁ is put before the text, or behind it.
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
	end := n.body(text, at, v.trim)
	if v.trim {
		end = n.trimRight(end)
	}
	if prefix && v.suffix {
		n.put(spaceText, end)
	}
	n.finish(end)
}

// body puts the characters from a place on; of a row of spaces it puts one
// if trim. It returns the end of the text.
func (n *normalized) body(text string, at int, trim bool) int {
	after := trim // a space, or the beginning
	for at < len(text) {
		_, size := utf8.DecodeRuneInString(text[at:])
		switch {
		case text[at] == ' ' && after:
		case text[at] == ' ':
			n.put(spaceText, at)
		case size == 1 && text[at] >= utf8.RuneSelf:
			n.put("\uFFFD", at)
		default:
			n.char(text[at:at+size], at)
		}
		after = trim && text[at] == ' '
		at += size
	}
	return at
}

// char puts a good character: its bytes come from their own places.
func (n *normalized) char(text string, from int) {
	n.text = append(n.text, text...)
	if n.mapped {
		for i := range len(text) {
			n.from = append(n.from, from+i)
		}
	}
}

// trimRight takes ▁ off the end and returns where the first of them came from.
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

func (n *normalized) finish(end int) {
	if n.mapped {
		n.from = append(n.from, end)
	}
}
