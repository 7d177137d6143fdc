package forward

import (
	"context"
	"errors"
	"fmt"

	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
)

// llamaVocab is the number of LLaMA's tokens.
const llamaVocab = 32000

// conversation is a dialogue as Koala was trained on, written for this
// package: what a model that knows the format and the language finds likely.
var conversation = prompt.Conversation{
	{Role: prompt.User, Content: "What is the capital of France, and what is it known for?"},
	{Role: prompt.Assistant, Content: "The capital of France is Paris. It is known for the Eiffel Tower, the Louvre museum, and its food and fashion."},
	{Role: prompt.User, Content: "How many days does it take to see the most important places?"},
	{Role: prompt.Assistant, Content: "Three days are enough for the most important places. On the first day you could visit the Louvre and walk along the river Seine. On the second day you could see the Eiffel Tower and the Arc de Triomphe. On the third day you could take a train to the Palace of Versailles."},
	{Role: prompt.User, Content: "Thank you! Please write a short poem about the city."},
	{Role: prompt.Assistant, Content: "The river runs through streets of light,\nThe tower shines against the night,\nAnd in the morning, warm and sweet,\nThe smell of bread is in the street."},
}

// dialogue is the conversation as tokens, segment by segment as in the
// training; reply says of each whether it is of a reply.
func dialogue() (ids []int32, reply []bool) {
	t := tokenizer.Default()
	segments, err := prompt.FastChat.AppendSegments(nil, conversation, nil)
	if err != nil {
		panic(err) // the conversation is a constant
	}
	ids, reply = []int32{t.BOS()}, []bool{false}
	for _, s := range segments {
		if s.Control() {
			ids = append(ids, t.EOS())
		} else {
			ids = t.AppendEncode(ids, s.Text(), nil)
		}
		for len(reply) < len(ids) {
			reply = append(reply, s.Loss())
		}
	}
	return ids, reply
}

// PlausibilityReport says how likely a model finds a text. It is no proof: a
// model with faults may find it likely, if less than without.
type PlausibilityReport struct {
	Tokens int     `json:"tokens"`
	Mean   float64 `json:"mean_nll"` // negative log-likelihood of a token in nats, the first left out
	// Replies is the mean over the tokens of replies, of the dialogue of this
	// package; 0 for another text.
	Replies float64 `json:"replies_nll,omitempty"`
	// Random is what guessing gives, the logarithm of the vocabulary's size:
	// 10.4 for LLaMA's.
	Random    float64    `json:"random_nll"`
	Positions []Surprise `json:"positions"` // all but the first
}

// Surprise is the negative log-likelihood of the token at a position.
type Surprise struct {
	Position int     `json:"position"`
	Token    int32   `json:"token"`
	NLL      float64 `json:"nll"`
}

// VocabularyError says that there is no text for a vocabulary that is not
// LLaMA's.
type VocabularyError struct{ Vocab int }

// Error reads "what: where: what to do".
func (e *VocabularyError) Error() string {
	return fmt.Sprintf("the dialogue is of LLaMA's %d tokens: the model has %d: give tokens of your own", llamaVocab, e.Vocab)
}

// errShort: nothing can be said of a text of one token.
var errShort = errors.New("one token has nothing before it: forward: give two at least")

// Plausibility says how likely the model finds each token of a text behind
// those before it. Tokens may be nil, for a dialogue in Koala's format, which
// needs LLaMA's vocabulary.
//
// Errors are those of Logits, and *VocabularyError.
func (m *Model) Plausibility(ctx context.Context, tokens []int32) (*PlausibilityReport, error) {
	var reply []bool
	if tokens == nil {
		if m.Config.Vocab < llamaVocab {
			return nil, &VocabularyError{m.Config.Vocab}
		}
		tokens, reply = dialogue()
	}
	if len(tokens) == 1 {
		return nil, errShort
	}
	logits, err := m.Logits(ctx, tokens)
	if err != nil {
		return nil, err
	}
	r := &PlausibilityReport{Tokens: len(tokens), Random: log(float64(m.Config.Vocab))}
	replies := 0
	for i := 1; i < len(tokens); i++ {
		nll := logits.Surprise(i-1, tokens[i])
		r.Positions = append(r.Positions, Surprise{i, tokens[i], nll})
		r.Mean += nll / float64(len(tokens)-1)
		if reply != nil && reply[i] {
			r.Replies += nll
			replies++
		}
	}
	r.Replies /= float64(max(replies, 1))
	return r, nil
}
