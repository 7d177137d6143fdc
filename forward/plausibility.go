package forward

import "context"

// PlausibilityReport tells how likely a model finds a text. It proves nothing: a
// model with faults may find a text likely, if less than without them.
type PlausibilityReport struct {
	// Tokens is the length of the text.
	Tokens int `json:"tokens"`
	// Mean is the mean negative log-likelihood of the tokens but the first, in
	// nats.
	Mean float64 `json:"mean_nll"`
	// Replies is the mean over the tokens of replies, or zero if there are none.
	Replies float64 `json:"replies_nll,omitempty"`
	// Random is the mean of a model that guesses: the logarithm of the size of
	// the vocabulary, 10.4 for LLaMA's.
	Random float64 `json:"random_nll"`
	// Positions has all tokens but the first.
	Positions []Surprise `json:"positions"`
}

// Surprise is the negative log-likelihood of a token.
type Surprise struct {
	Position int     `json:"position"` // Position is the index of the token in the text.
	Token    int32   `json:"token"`    // Token is its id.
	NLL      float64 `json:"nll"`      // NLL is in nats.
}

// Plausibility measures how likely the model finds each token of a text behind
// those before it. inReply, which may be nil, marks the tokens that belong to
// replies; it is as long as tokens. The text needs at least two tokens.
//
// Errors are those of Logits.
func (m *Model) Plausibility(ctx context.Context, tokens []int32, inReply []bool) (*PlausibilityReport, error) {
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
		if inReply != nil && inReply[i] {
			r.Replies += nll
			replies++
		}
	}
	r.Replies /= float64(max(replies, 1))
	return r, nil
}
