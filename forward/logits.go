package forward

import (
	"cmp"
	"context"
	"slices"

	"github.com/koala-go/sdk/internal/half"
)

// Logits are what a model makes of a text: for each of its tokens, a number for
// each token that may follow. The larger, the likelier.
type Logits struct {
	Tokens []int32
	Vocab  int
	Values []float32 // [len(Tokens), Vocab]
}

// At are the logits behind token t.
func (l *Logits) At(t int) []float32 { return row(l.Values, t, l.Vocab) }

// Candidate is a token that may follow, and its logit.
type Candidate struct {
	Token int32
	Logit float32
}

// Top are the n likeliest tokens behind token t, the likeliest first, and the
// lower id first of equals.
func (l *Logits) Top(t, n int) []Candidate {
	all := make([]Candidate, l.Vocab)
	for i, v := range l.At(t) {
		all[i] = Candidate{int32(i), v}
	}
	slices.SortFunc(all, func(a, b Candidate) int { return cmp.Or(cmp.Compare(b.Logit, a.Logit), cmp.Compare(a.Token, b.Token)) })
	return all[:min(n, len(all))]
}

// Surprise is the negative log-likelihood, in nats, of a token behind token t:
// the logarithm of the sum of e to the power of all logits, less the token's.
func (l *Logits) Surprise(t int, next int32) float64 {
	logits := l.At(t)
	most := float64(slices.Max(logits))
	total := 0.
	for _, v := range logits {
		total += half.Exp64(float64(v) - most)
	}
	return log(total) + most - float64(logits[next])
}

// Logits reads all weights once and gives the logits behind each token of a
// text. Neither the format of the checkpoint, nor the number of workers, nor
// the machine makes a difference to their bits, unless Options.Fast is set.
//
// Errors are ErrEmpty, *TokenError, *ContextError, *MemoryError,
// *NonFiniteError, those of reading, and the context's. A weight that is
// infinite or NaN is found where it is used: of the embedding only the rows of
// the text are.
func (m *Model) Logits(ctx context.Context, tokens []int32) (*Logits, error) {
	return m.traced(ctx, tokens, nil)
}

// traced is Logits, with a look at what each place of the model computes.
func (m *Model) traced(ctx context.Context, tokens []int32, trace func(Place, []float32)) (*Logits, error) {
	if err := m.accept(0, tokens); err != nil {
		return nil, err
	}
	n := len(tokens)
	if need, most := m.activationBytes(n), m.options.Memory/2; m.panels == nil && need > most {
		return nil, &MemoryError{2 * need, m.options.Memory, "a text of this length"}
	}
	a := m.newActivations(n, n)
	a.room(n, m.options.Workers)
	cache := []layerCache{newCache(m.Config.KeyHeads())} // each layer begins it anew
	if err := m.pass(ctx, a, cache, 0, tokens, trace); err != nil {
		return nil, err
	}
	return &Logits{slices.Clone(tokens), m.Config.Vocab, a.logits}, nil
}

// pass carries tokens through the model, the first at a position.
func (m *Model) pass(ctx context.Context, a *activations, cache []layerCache, position int, tokens []int32, trace func(Place, []float32)) error {
	crew, err := m.crew(ctx, len(tokens))
	if err != nil {
		return err
	}
	p := &pass{Model: m, crew: crew, activations: a, position: position, trace: trace}
	err = p.run(tokens, cache)
	crew.stop(err)
	return err
}

// crew begins the workers of a pass.
func (m *Model) crew(ctx context.Context, tokens int) (crew, error) {
	if m.panels != nil {
		return m.newTeam(ctx), nil
	}
	panels, workers, buffer, err := m.readers(m.options.Memory*3/4 - m.activationBytes(tokens))
	if err != nil {
		return nil, err
	}
	return m.start(ctx, panels, workers, buffer), nil
}

// readers cuts the matrices into panels for workers that read. There are twice
// as many as multiply, so that some read while others multiply. A number that
// nobody asked for is lowered until the buffers fit.
func (m *Model) readers(budget int64) (panels []panel, workers int, buffer int64, err error) {
	for workers = 2 * m.options.Workers; ; workers /= 2 {
		panels, buffer = m.cut(budget / int64(workers))
		need := buffer * int64(workers)
		switch {
		case need <= budget:
			return panels, workers, buffer, nil
		case m.asked || workers == 1:
			return nil, 0, 0, &MemoryError{need + m.options.Memory - budget, m.options.Memory, "reading the weights"}
		}
	}
}

// newActivations makes room for some tokens, of which the last so many get
// logits.
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

// room makes room for the scores of a text of a length.
func (a *activations) room(length, workers int) {
	if need := length * workers * min(a.tokens, queryBlock); len(a.scores) < need {
		a.scores = make([]float32, max(need, 2*len(a.scores)))
	}
}

// activationBytes is what newActivations, room and the cache of one layer take
// for a text of n tokens that all get logits.
func (m *Model) activationBytes(n int) int64 {
	c := &m.Config
	perToken := 5*c.Dim + 4*c.KeyRows() + 2*c.FFN + c.HeadDim() + c.Vocab + queryBlock*m.options.Workers
	return 4 * (int64(n)*int64(perToken) + int64(m.options.Workers*gateBlock))
}
