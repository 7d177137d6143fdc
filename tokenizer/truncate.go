package tokenizer

import "unicode/utf8"

// Side is which part of a text is kept.
type Side uint8

// The sides.
const (
	KeepStart Side = iota
	KeepEnd
)

// Truncate shortens a text so that it has at most budget tokens, with those
// that the options add: the longest beginning, or end, that is cut where a
// token of the whole text is cut and between characters. The empty text is
// left when nothing fits, which may still be over a budget that BOS and EOS
// exceed. A beginning has the tokens that it has in the whole text; an end may
// not, for it gets a ▁ of its own.
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

// betweenCharacters is whether a place is not inside of a character.
func betweenCharacters(text string, at int) bool {
	for begin := at - 1; begin >= max(0, at-utf8.UTFMax+1); begin-- {
		if utf8.RuneStart(text[begin]) {
			_, size := utf8.DecodeRuneInString(text[begin:])
			return begin+size <= at
		}
	}
	return true
}
