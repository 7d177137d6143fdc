package tokenizer

import (
	"context"
	"slices"

	"github.com/koala-go/sdk/internal/parallel"
)

// batchStep is the number of texts that a worker takes at a time. It keeps the
// workers from contending for their shared counter, and lets the tokens of
// many texts share one allocation.
const batchStep = 32

// EncodeBatch encodes each text and returns the tokens of texts[i] at index i.
// It uses at most the given number of goroutines, or one for each processor if
// workers is not positive.
func (t *Tokenizer) EncodeBatch(texts []string, opts *Options, workers int) [][]Token {
	out := make([][]Token, len(texts))
	blocks := (len(texts) + batchStep - 1) / batchStep
	// The context never ends and no call fails, so For returns nil.
	_ = parallel.For(context.Background(), workers, blocks, func(_ context.Context, i int) error {
		begin := i * batchStep
		end := min(begin+batchStep, len(texts))
		t.encodeBlock(out[begin:end], texts[begin:end], opts)
		return nil
	})
	return out
}

// encodeBlock encodes at most batchStep texts. Their tokens share one
// allocation; the capacity of each slice ends at its length, so that appending
// to one does not overwrite the next.
func (t *Tokenizer) encodeBlock(out [][]Token, texts []string, opts *Options) {
	sc := t.scratch.Get().(*scratch)
	defer t.scratch.Put(sc)
	sc.ids = sc.ids[:0]
	var ends [batchStep]int
	for i, text := range texts {
		sc.ids = t.AppendEncode(sc.ids, text, opts)
		ends[i] = len(sc.ids)
	}
	all, begin := slices.Clone(sc.ids), 0
	for i := range texts {
		out[i] = all[begin:ends[i]:ends[i]]
		begin = ends[i]
	}
}
