package tokenizer

import (
	"fmt"
	"iter"
)

// Specials is how special tokens that stand in a text are read. Text from a
// user must be encoded with SpecialsNone: otherwise a user who types </s>
// ends the turn.
type Specials uint8

// The modes. All but the first turn <s>, </s> and <unk> into their tokens.
const (
	// SpecialsNone reads them as any text, as SentencePiece does.
	SpecialsNone Specials = iota
	// SpecialsHFLegacy is Hugging Face's legacy behaviour, that of LLaMA's
	// first tokenizer.json: each stretch of text gets a ▁ of its own.
	SpecialsHFLegacy
	// SpecialsHF is its behaviour with legacy=False, that of the Metaspace
	// pre-tokenizer: only a text that begins the input, and that with no
	// space, gets a ▁.
	SpecialsHF
	// SpecialsLlamaCpp is that of llama.cpp with parse_special: each stretch
	// gets a ▁, as in SpecialsHFLegacy.
	SpecialsLlamaCpp
)

var specialsNames = []string{"none", "hf-legacy", "hf", "llama.cpp"}

// String is the name of the mode: none, hf-legacy, hf, llama.cpp.
func (s Specials) String() string {
	if int(s) < len(specialsNames) {
		return specialsNames[s]
	}
	return fmt.Sprintf("Specials(%d)", uint8(s))
}

// ParseSpecials finds a mode by its name.
func ParseSpecials(name string) (Specials, error) {
	for i, n := range specialsNames {
		if n == name {
			return Specials(i), nil
		}
	}
	return 0, fmt.Errorf("no mode for special tokens is called %q: in the options: use none, hf-legacy, hf or llama.cpp", name)
}

// part is a stretch of text or a special token in it.
type part struct {
	begin, end int
	special    bool
	id         Token
	prefix     prefixRule
}

// parts cuts a text at its special tokens. Parts of text are not empty.
func (t *Tokenizer) parts(text string, mode Specials) iter.Seq[part] {
	return func(yield func(part) bool) {
		special := t.special
		if mode == SpecialsNone {
			special = nil
		}
		for at := 0; at < len(text); {
			next, id, size := special.next(text, at)
			if next > at && !yield(part{begin: at, end: next, prefix: t.prefixAt(at, mode)}) {
				return
			}
			at = next + size
			if size > 0 && !yield(part{begin: next, end: at, special: true, id: id}) {
				return
			}
		}
	}
}

// prefixAt is the rule for a stretch of text that begins at a place.
func (t *Tokenizer) prefixAt(at int, mode Specials) prefixRule {
	switch {
	case t.v.prefix == prefixNever || mode == SpecialsHF && at > 0:
		return prefixNever
	case mode == SpecialsHF:
		return prefixUnlessSpace
	}
	return t.v.prefix
}
