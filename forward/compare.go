package forward

import (
	"context"
	"fmt"
	"hash/maphash"
)

// CompareReport is the result of Compare.
type CompareReport struct {
	// Tokens is the length of the text.
	Tokens int `json:"tokens"`
	// Identical is set if every bit of every logit, and of all numbers that lead
	// to the logits, is the same.
	Identical bool `json:"identical"`
	// First names the first point of the model that differs, as in "layer 3 q":
	// the products of that weight are the first to differ. Either the weight
	// differs, or a property of the model does: for "layer 3 attn_norm" the norm
	// epsilon, for "layer 3 attention" the rotary base. First is empty if no point
	// differs.
	First string `json:"first,omitempty"`

	// MaxDifference is the greatest difference of two logits.
	MaxDifference float64 `json:"max_difference"`
	// Position is the index of the token behind which the logits differ most.
	Position int `json:"position"`
	// Token is the token whose logits differ most.
	Token int32 `json:"token"`
}

// ShapeError reports that two models have different shapes.
type ShapeError struct {
	A, B string // the shapes in words
}

// Error returns a message of the form "what: where: what to do".
func (e *ShapeError) Error() string {
	return fmt.Sprintf("models of different shapes cannot be compared: %s against %s: give two checkpoints of one model", e.A, e.B)
}

// Compare runs a text through two models, one after the other, and reports whether
// the models are the same and where they begin to differ. If tokens is nil, the
// text consists of up to 32 ids that are spread evenly over the vocabulary.
//
// Errors are *ShapeError and those of Model.Logits.
func Compare(ctx context.Context, a, b *Model, tokens []int32) (*CompareReport, error) {
	if x, y := a.shape(), b.shape(); x != y {
		return nil, &ShapeError{x, y}
	}
	if tokens == nil {
		tokens = a.spreadTokens()
	}
	// The numbers of the first pass are kept as hashes: for a text of some length
	// they would not fit into memory.
	seen := tracer{seed: maphash.MakeSeed()}
	first, err := a.tracedLogits(ctx, tokens, seen.record)
	if err != nil {
		return nil, err
	}
	second, err := b.tracedLogits(ctx, tokens, seen.compare)
	if err != nil {
		return nil, err
	}
	r := &CompareReport{Tokens: len(tokens), Identical: seen.first == nil}
	if seen.first != nil {
		r.First = seen.first.String()
	}
	c := Closeness{}
	for i, v := range first.Values {
		c.add(i/first.Vocab, int32(i%first.Vocab), second.Values[i], float64(v))
	}
	r.MaxDifference, r.Position, r.Token = c.MaxDifference, c.Position, c.Token
	return r, nil
}

// shape describes what two models must have in common, in words.
func (m *Model) shape() string {
	c := &m.Config
	return fmt.Sprintf("%d layers of width %d with %d heads, %d of keys, feed-forward %d, vocabulary %d",
		c.Layers, c.Dim, c.Heads, c.KeyHeads(), c.FFN, c.Vocab)
}

// spreadTokens returns up to 32 ids that are spread evenly over the vocabulary.
func (m *Model) spreadTokens() []int32 {
	ids := make([]int32, min(32, m.options.Context))
	for i := range ids {
		ids[i] = int32(i * m.Config.Vocab / len(ids))
	}
	return ids
}
