package forward

import (
	"cmp"
	"context"
	"slices"

	"github.com/koala-go/sdk/internal/half"
)

// Logits are the scores of the tokens that may follow each token of a text. The
// greater the logit, the likelier the token.
type Logits struct {
	Tokens []int32   // Tokens is the text.
	Vocab  int       // Vocab is the size of the vocabulary.
	Values []float32 // Values has the shape [len(Tokens), Vocab].
}

// At returns the logits of what follows token t.
func (l *Logits) At(t int) []float32 { return row(l.Values, t, l.Vocab) }

// Candidate is a token that may follow.
type Candidate struct {
	Token int32   // Token is the id.
	Logit float32 // Logit is the token's logit.
}

// Top returns the n likeliest tokens to follow token t, in descending order of
// logits. Tokens of equal logits are in ascending order of ids.
func (l *Logits) Top(t, n int) []Candidate {
	all := make([]Candidate, l.Vocab)
	for i, v := range l.At(t) {
		all[i] = Candidate{int32(i), v}
	}
	slices.SortFunc(all, func(a, b Candidate) int { return cmp.Or(cmp.Compare(b.Logit, a.Logit), cmp.Compare(a.Token, b.Token)) })
	return all[:min(n, len(all))]
}

// Surprise returns the negative log-likelihood, in nats, that the token next
// follows token t: the logarithm of the sum of e to the power of all logits, less
// the logit of next.
func (l *Logits) Surprise(t int, next int32) float64 {
	logits := l.At(t)
	most := float64(slices.Max(logits)) // subtracted, so that no power overflows
	total := 0.
	for _, v := range logits {
		total += half.Exp64(float64(v) - most)
	}
	return log(total) + most - float64(logits[next])
}

// Logits reads all weights once and returns the logits behind each token of a
// text. Unless Options.Fast is set, their bits depend neither on the format of the
// checkpoint nor on the number of workers nor on the machine.
//
// Errors are ErrEmpty, *TokenError, *ContextError, *weights.MemoryError,
// *weights.NonFiniteError, the errors of reading, and the context's. Logits finds a
// weight that is infinite or NaN if it uses the weight. It uses only those rows of
// the embedding that belong to tokens of the text.
func (m *Model) Logits(ctx context.Context, tokens []int32) (*Logits, error) {
	return m.tracedLogits(ctx, tokens, nil)
}

// tracedLogits is Logits with a trace.
func (m *Model) tracedLogits(ctx context.Context, tokens []int32, trace trace) (*Logits, error) {
	if err := m.checkTokens(0, tokens); err != nil {
		return nil, err
	}
	n := len(tokens)
	// Half of the limit is left for the buffers of the workers.
	if need, most := m.activationBytes(n), m.options.Memory/2; m.panels == nil && need > most {
		return nil, tooLittleMemory("a text of this length", 2*need, m.options.Memory)
	}
	a := m.newActivations(n, n)
	a.growScores(n, m.options.Workers)
	// The keys of a layer are not needed after the layer: one cache is enough.
	cache := []layerCache{newCache(m.Config.KeyHeads())}
	if err := m.pass(ctx, a, cache, 0, tokens, trace); err != nil {
		return nil, err
	}
	return &Logits{slices.Clone(tokens), m.Config.Vocab, a.logits}, nil
}

// pass takes tokens through the model. The first token is at the given position of
// the text.
func (m *Model) pass(ctx context.Context, a *activations, cache []layerCache, position int, tokens []int32, trace trace) error {
	r, err := m.newRunner(ctx, len(tokens))
	if err != nil {
		return err
	}
	p := &pass{Model: m, runner: r, activations: a, position: position, trace: trace}
	err = p.run(tokens, cache)
	r.stop(err)
	return err
}

// newActivations allocates the numbers of a pass over some tokens, the last of
// which get logits.
func (m *Model) newActivations(tokens, outputs int) *activations {
	c := &m.Config
	rows := func(n int) []float32 { return make([]float32, tokens*n) }
	d, kv, pairs := c.Dim, c.KeyRows(), c.HeadDim()/2
	return &activations{
		tokens: tokens, outputs: outputs,
		x: rows(d), normed: rows(d), query: rows(d), key: rows(kv), value: rows(kv), mixed: rows(d),
		gate: rows(c.FFN), up: rows(c.FFN), added: rows(d),
		logits: make([]float32, outputs*c.Vocab), cos: rows(pairs), sin: rows(pairs),
		powers: make([]float32, m.options.Workers*gateBlock),
	}
}

// growScores makes room for the scores of a text of the given length. It at least
// doubles the room, so that a text that grows by single tokens seldom allocates.
func (a *activations) growScores(length, workers int) {
	if need := length * workers * min(a.tokens, queryBlock); len(a.scores) < need {
		a.scores = make([]float32, max(need, 2*len(a.scores)))
	}
}

// activationBytes returns the size of newActivations, growScores and the cache of
// one layer for a text of n tokens that all get logits.
func (m *Model) activationBytes(n int) int64 {
	c := &m.Config
	// The keys and values count twice: as activations and in the cache.
	perToken := 5*c.Dim + 4*c.KeyRows() + 2*c.FFN + c.HeadDim() + c.Vocab + queryBlock*m.options.Workers
	return 4 * (int64(n)*int64(perToken) + int64(m.options.Workers*gateBlock))
}
