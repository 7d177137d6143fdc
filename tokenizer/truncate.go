package tokenizer

import "unicode/utf8"

// Side is the end of a text that Truncate keeps.
type Side uint8

// The sides.
const (
	KeepStart Side = iota // keep the beginning of the text
	KeepEnd               // keep the end of the text
)

// Truncate returns the longest beginning or end of a text that has at most
// budget tokens, including those that the options add. It cuts between
// characters, and only where a token of the whole text ends.
//
// The result is empty if no part fits the budget. With BOS and EOS even the
// empty text may exceed a small budget. A beginning has the same tokens as in
// the whole text. An end may have others, because encoding puts a ▁ before it.
func (t *Tokenizer) Truncate(text string, budget int, side Side, opts *Options) string {
	ids, spans := t.AppendEncodeSpans(nil, nil, text, opts)
	if len(ids) <= budget {
		return text
	}
	for i := range spans {
		cut, rest := spans[len(spans)-1-i].Begin, ""
		if side == KeepEnd {
			cut = spans[i].End
			rest = text[cut:]
		} else {
			rest = text[:cut]
		}
		kept := len(ids) - i - 1
		if kept > budget || !betweenCharacters(text, cut) {
			continue
		}
		if t.Count(rest, opts) <= budget {
			return rest
		}
	}
	return ""
}

// betweenCharacters reports whether offset at is not inside a character.
func betweenCharacters(text string, at int) bool {
	for begin := at - 1; begin >= max(0, at-utf8.UTFMax+1); begin-- {
		if utf8.RuneStart(text[begin]) {
			_, size := utf8.DecodeRuneInString(text[begin:])
			return begin+size <= at
		}
	}
	return true
}
