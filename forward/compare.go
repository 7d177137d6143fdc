package forward

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
)

// CompareReport compares the passes of two models.
type CompareReport struct {
	Tokens    int  `json:"tokens"`
	Identical bool `json:"identical"` // in every bit of every logit, and of all that leads to them
	// First is the first place that differs, "layer 3 q": the products of that
	// weight are the first that differ, and so the weight does, or what the two
	// say of the model's shape; "" when none does. A difference of "layer 3
	// attn_norm" may be one of epsilons, of "layer 3 attention" one of rotary
	// bases.
	First string `json:"first,omitempty"`

	MaxDifference float64 `json:"max_difference"` // of logits
	Position      int     `json:"position"`       // of the token behind which it is
	Token         int32   `json:"token"`          // whose logit it is
}

// ShapeError says that two models have different shapes.
type ShapeError struct{ A, B string }

// Error reads "what: where: what to do".
func (e *ShapeError) Error() string {
	return fmt.Sprintf("models of different shapes cannot be compared: %s against %s: give two of one model", e.A, e.B)
}

// Compare runs a text through two models, one after the other, and says whether
// they are the same and where they begin to differ. Tokens may be nil: then the
// text is one that any two models of that vocabulary can be compared on.
//
// Errors are *ShapeError, and those of Logits.
func Compare(ctx context.Context, a, b *Model, tokens []int32) (*CompareReport, error) {
	if x, y := a.shape(), b.shape(); x != y {
		return nil, &ShapeError{x, y}
	}
	if tokens == nil {
		tokens = a.sample()
	}
	seen := tracer{seed: maphash.MakeSeed()}
	first, err := a.traced(ctx, tokens, seen.record)
	if err != nil {
		return nil, err
	}
	second, err := b.traced(ctx, tokens, seen.compare)
	if err != nil {
		return nil, err
	}
	r := &CompareReport{Tokens: len(tokens), Identical: seen.first == nil}
	if seen.first != nil {
		r.First = seen.first.String()
	}
	c := Closeness{}
	for i, v := range first.Values {
		c.see(i/first.Vocab, int32(i%first.Vocab), second.Values[i], float64(v))
	}
	r.MaxDifference, r.Position, r.Token = c.MaxDifference, c.Position, c.Token
	return r, nil
}

// shape says in words what two models must have in common.
func (m *Model) shape() string {
	c := &m.Config
	return fmt.Sprintf("%d layers of width %d with %d heads, %d of keys, feed-forward %d, vocabulary %d",
		c.Layers, c.Dim, c.Heads, c.KeyHeads(), c.FFN, c.Vocab)
}

// sample is a text for a model that nothing is known of: the dialogue, if it
// has LLaMA's vocabulary, and otherwise 32 ids spread evenly.
func (m *Model) sample() []int32 {
	if ids, _ := dialogue(); m.accept(0, ids) == nil && m.Config.Vocab >= llamaVocab {
		return ids
	}
	ids := make([]int32, min(32, m.options.Context))
	for i := range ids {
		ids[i] = int32(i * m.Config.Vocab / len(ids))
	}
	return ids
}

// tracer remembers what one pass computes, and finds where another differs.
type tracer struct {
	seed  maphash.Seed
	sums  []uint64
	next  int
	first *Place
	bytes []byte
}

func (t *tracer) sum(values []float32) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for len(values) > 0 {
		n := min(len(values), 4096)
		t.bytes = t.bytes[:0]
		for _, v := range values[:n] {
			t.bytes = binary.LittleEndian.AppendUint32(t.bytes, math.Float32bits(v))
		}
		h.Write(t.bytes)
		values = values[n:]
	}
	return h.Sum64()
}

func (t *tracer) record(_ Place, values []float32) { t.sums = append(t.sums, t.sum(values)) }

func (t *tracer) compare(at Place, values []float32) {
	if t.first == nil && t.sums[t.next] != t.sum(values) {
		t.first = &at
	}
	t.next++
}
