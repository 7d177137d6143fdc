package tokenizer

import (
	"fmt"
	"iter"
	"strings"
)

// Specials is how encoding treats special tokens that a text contains. Encode
// text from a user with SpecialsNone: with any other mode a user who types
// </s> ends the turn.
type Specials uint8

// The modes. All except SpecialsNone turn <s>, </s> and <unk> into the special
// tokens.
const (
	// SpecialsNone treats them as ordinary text, as SentencePiece does.
	SpecialsNone Specials = iota
	// SpecialsHFLegacy is the legacy behaviour of Hugging Face's tokenizers,
	// that of LLaMA's first tokenizer.json: each stretch of text between
	// special tokens gets a ▁ of its own.
	SpecialsHFLegacy
	// SpecialsHF is the behaviour of Hugging Face's tokenizers with
	// legacy=False, that of the Metaspace pre-tokenizer: only text at the
	// beginning of the input gets a ▁, and only if it does not begin with a
	// space.
	SpecialsHF
	// SpecialsLlamaCpp is the behaviour of llama.cpp with parse_special: each
	// stretch of text gets a ▁, as in SpecialsHFLegacy.
	SpecialsLlamaCpp
)

// specialsNames holds the names of the modes, by mode.
var specialsNames = []string{"none", "hf-legacy", "hf", "llama.cpp"}

// SpecialModes returns all modes.
func SpecialModes() []Specials {
	return []Specials{SpecialsNone, SpecialsHFLegacy, SpecialsHF, SpecialsLlamaCpp}
}

// String returns the name of the mode: none, hf-legacy, hf or llama.cpp.
func (s Specials) String() string {
	if int(s) < len(specialsNames) {
		return specialsNames[s]
	}
	return fmt.Sprintf("Specials(%d)", uint8(s))
}

// ParseSpecials returns the mode of a name that String returns. The error
// matches ErrOptions.
func ParseSpecials(name string) (Specials, error) {
	for i, n := range specialsNames {
		if n == name {
			return Specials(i), nil
		}
	}
	return 0, optionError("unknown mode for special tokens %q: options: use one of %s", name, strings.Join(specialsNames, ", "))
}

// part is either a special token or a stretch of text between special tokens.
type part struct {
	begin, end int // in bytes of the whole text
	special    bool
	id         Token      // of a special token
	prefix     prefixRule // of a stretch of text
}

// parts splits a text at its special tokens. Stretches of text are not empty.
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

// prefixAt returns the prefix rule for a stretch of text that begins at offset
// at.
func (t *Tokenizer) prefixAt(at int, mode Specials) prefixRule {
	switch {
	case t.v.prefix == prefixNever || mode == SpecialsHF && at > 0:
		return prefixNever
	case mode == SpecialsHF:
		return prefixUnlessSpace
	}
	return t.v.prefix
}
