package koala

import (
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
)

// Token is the id of a piece of the vocabulary.
type Token = tokenizer.Token

// Options say how prompts are made; nil means the zero value, which is Koala's.
type Options struct {
	Dialect   *prompt.Dialect      // nil: prompt.FastChat
	Tokenizer *tokenizer.Tokenizer // nil: LLaMA's
	// BOS puts the token for the beginning in front. See the package comment.
	BOS bool
	// Budget is the largest number of tokens of a prompt, BOS included; 0 is
	// no limit. The model's context less the tokens of the reply is right.
	Budget int
	// Overflow is what is done when the last exchange alone is over it.
	Overflow Overflow
	// Render are the choices of the text: what the next reply shall be, and
	// what content is refused.
	Render prompt.Options
	// Sampling are the defaults of requests; nil: DefaultSampling.
	Sampling *Sampling
	// Moderator, where there is one, decides what of queries and replies is
	// let through: see Moderator. It is not saved with a chat.
	Moderator Moderator
	// ModerateStep is how many bytes of a reply are checked at a time; 0: 256,
	// negative: the whole reply, which then comes at once.
	ModerateStep int
}

// Overflow is what is done with a last turn that is too long for the budget.
type Overflow uint8

// The choices. A turn is cut where one of its tokens ends.
const (
	RefuseLong Overflow = iota // a *BudgetError
	KeepStart                  // its end is cut off
	KeepEnd                    // its beginning is cut off
)

var overflowNames = []string{"refuse", "keep start", "keep end"}

// String is the choice's name: refuse, keep start, keep end.
func (o Overflow) String() string { return overflowNames[min(o, KeepEnd)] }

// settings are options with their defaults filled in.
type settings struct{ Options }

// resolve fills in defaults.
func (o *Options) resolve() (m settings) {
	if o != nil {
		m.Options = *o
	}
	if m.Dialect == nil {
		m.Dialect = &prompt.FastChat
	}
	if m.Tokenizer == nil {
		m.Tokenizer = tokenizer.Default()
	}
	return m
}

// check reports an option that is out of range.
func (m *settings) check() error {
	switch t := m.Tokenizer; {
	case m.Budget < 0:
		return optionError("Budget", "negative budget %d: give a number of tokens, or 0 for no limit", m.Budget)
	case m.Overflow > KeepEnd:
		return optionError("Overflow", "unknown Overflow %d: use RefuseLong, KeepStart or KeepEnd", m.Overflow)
	case t.EOS() < 0:
		return optionError("Tokenizer", "%w: end of sequence: use LLaMA's vocabulary", ErrTokenizer)
	case m.BOS && t.BOS() < 0:
		return optionError("BOS", "%w: beginning of sequence: use LLaMA's vocabulary", ErrTokenizer)
	}
	return nil
}

func (m *settings) sampling() Sampling {
	if m.Sampling == nil {
		return DefaultSampling()
	}
	return *m.Sampling
}
