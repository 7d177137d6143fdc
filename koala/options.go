package koala

import (
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
)

// Token is the id of a piece of the vocabulary.
type Token = tokenizer.Token

// Options say how prompts are made. Nil means the zero value, which makes the
// prompts of Koala's training.
type Options struct {
	// Dialect says how conversations are written. Nil means prompt.FastChat.
	Dialect *prompt.Dialect
	// Tokenizer is the tokenizer of the model. Nil means LLaMA's.
	Tokenizer *tokenizer.Tokenizer
	// BOS puts the beginning-of-sequence token in front of the ids. See the
	// package comment.
	BOS bool
	// Budget is the maximum number of tokens of a prompt, BOS included. Zero
	// means no limit. Use the model's context minus Sampling.MaxTokens.
	Budget int
	// Overflow says what to do if the last exchange alone is over the budget.
	// The default is RefuseLong.
	Overflow Overflow
	// Render says which quality the next reply shall have, and which content
	// is refused.
	Render prompt.Options
	// Sampling is how requests ask the model to choose tokens. Nil means
	// DefaultSampling.
	Sampling *Sampling
	// Moderator decides which queries and replies pass. Nil means that all
	// pass. It is not saved with a chat.
	Moderator Moderator
	// ModerateStep is the number of bytes of a reply after which the moderator
	// is asked again. Zero means 256; a negative number means that the whole
	// reply is checked and written at once.
	ModerateStep int
}

// Overflow says what to do with a last turn that is too long for the budget.
type Overflow uint8

// The choices. A turn is cut between two of its tokens.
const (
	RefuseLong Overflow = iota // return a *BudgetError
	KeepStart                  // cut off the end of the turn
	KeepEnd                    // cut off the beginning of the turn
)

var overflowNames = []string{"refuse", "keep start", "keep end"}

// String returns the name of the choice: refuse, keep start, keep end.
func (o Overflow) String() string { return overflowNames[min(o, KeepEnd)] }

// settings are options with their defaults filled in.
type settings struct{ Options }

// resolve fills in the defaults.
func (o *Options) resolve() (s settings) {
	if o != nil {
		s.Options = *o
	}
	if s.Dialect == nil {
		s.Dialect = &prompt.FastChat
	}
	if s.Tokenizer == nil {
		s.Tokenizer = tokenizer.Default()
	}
	return s
}

// check reports an option that is out of range. Package prompt checks Dialect
// and Render where it uses them.
func (s *settings) check() error {
	switch {
	case s.Budget < 0:
		return optionError("Budget", "the budget %d is negative: use a number of tokens, or 0 for no limit", s.Budget)
	case s.Overflow > KeepEnd:
		return optionError("Overflow", "unknown value %d: use RefuseLong, KeepStart or KeepEnd", s.Overflow)
	case s.Tokenizer.EOS() < 0:
		return optionError("Tokenizer", "%w: end of sequence: use LLaMA's vocabulary", ErrTokenizer)
	case s.BOS && s.Tokenizer.BOS() < 0:
		return optionError("BOS", "%w: beginning of sequence: use LLaMA's vocabulary", ErrTokenizer)
	}
	return nil
}

func (s *settings) sampling() Sampling {
	if s.Sampling == nil {
		return DefaultSampling()
	}
	return *s.Sampling
}
