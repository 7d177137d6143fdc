package forward_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/forward"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// model writes the checkpoint of a tiny model and opens it. To run a real model,
// open its path with weights.Open.
func model(format weights.Format) (c *weights.Checkpoint, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "tiny")
	m := modeltest.Tiny
	if err := m.Write(path, &modeltest.Options{Format: format, DType: dtype.F16, Values: m.Base}); err != nil {
		log.Fatal(err)
	}
	c, err = weights.Open(context.Background(), path, &weights.OpenOptions{Heads: m.Heads})
	if err != nil {
		log.Fatal(err)
	}
	return c, func() { c.Close(); os.RemoveAll(dir) }
}

// Run a text through a model of any size. The weights are read once, in bounded
// memory.
func ExampleModel_Logits() {
	checkpoint, remove := model(weights.FormatSafetensors)
	defer remove()

	m, err := forward.Open(context.Background(), checkpoint, &forward.Options{Memory: 256 << 20})
	if err != nil {
		log.Fatal(err)
	}
	logits, err := m.Logits(context.Background(), []int32{1, 15, 100})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range logits.Top(2, 3) { // behind the last token
		fmt.Printf("%d %.6f\n", c.Token, c.Logit)
	}
	// Output:
	// 67 0.671465
	// 2 0.477648
	// 1 0.457015
}

// Prove that two checkpoints of any formats are the same model. The report names
// the first weight that differs.
func ExampleCompare() {
	first, remove := model(weights.FormatSafetensors)
	defer remove()
	second, remove := model(weights.FormatEasyLM)
	defer remove()

	a, err := forward.Open(context.Background(), first, nil)
	if err != nil {
		log.Fatal(err)
	}
	b, err := forward.Open(context.Background(), second, nil)
	if err != nil {
		log.Fatal(err)
	}
	r, err := forward.Compare(context.Background(), a, b, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("identical:", r.Identical, r.First)
	// Output:
	// identical: true
}

// Compare a model with the logits that a reference computed.
func ExampleModel_Expect() {
	checkpoint, remove := model(weights.FormatEasyLM)
	defer remove()

	m, err := forward.Open(context.Background(), checkpoint, nil)
	if err != nil {
		log.Fatal(err)
	}
	reference := &forward.Expectation{ // or forward.ReadExpectation(ctx, path)
		Tokens: []int32{1, 15, 100},
		Models: map[string]forward.Reference{
			"llama": {Top: [][]forward.Candidate{{}, {}, {{67, 0.671465}, {2, 0.477648}}}},
			"koala": {Top: [][]forward.Candidate{{}, {}, {{67, 0.66}, {2, 0.48}}}},
		},
	}
	r, err := m.Expect(context.Background(), reference, 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("matches:", r.Matches)
	fmt.Printf("%s differs by %.3f\n", r.Models[1].Model, r.Models[1].MaxDifference)
	// Output:
	// matches: llama
	// koala differs by 0.011
}

// Measure how likely a model finds a text: the negative log-likelihood of each
// token behind those before it.
func ExampleModel_Plausibility() {
	checkpoint, remove := model(weights.FormatEasyLM)
	defer remove()

	m, err := forward.Open(context.Background(), checkpoint, nil)
	if err != nil {
		log.Fatal(err)
	}
	r, err := m.Plausibility(context.Background(), []int32{1, 15, 100}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f, guessing gives %.2f\n", r.Mean, r.Random)
	// Output:
	// 4.76, guessing gives 4.85
}

// Generate text: keep the weights in memory and append one token after the other.
func ExampleSession() {
	checkpoint, remove := model(weights.FormatEasyLM)
	defer remove()

	ctx := context.Background()
	m, err := forward.Load(ctx, checkpoint, nil)
	if err != nil {
		log.Fatal(err)
	}
	s := m.NewSession()
	next := []int32{1, 15, 100}
	for range 4 {
		logits, err := s.Append(ctx, next)
		if err != nil {
			log.Fatal(err)
		}
		best := int32(0)
		for id, v := range logits {
			if v > logits[best] {
				best = int32(id)
			}
		}
		fmt.Println(best)
		next = []int32{best}
	}
	// Output:
	// 67
	// 19
	// 68
	// 2
}

// Undo a part of a text: the tokens that are kept are not computed again.
func ExampleSession_Truncate() {
	checkpoint, remove := model(weights.FormatEasyLM)
	defer remove()

	ctx := context.Background()
	m, err := forward.Load(ctx, checkpoint, nil)
	if err != nil {
		log.Fatal(err)
	}
	s := m.NewSession()
	if _, err := s.Append(ctx, []int32{1, 15, 100, 67}); err != nil {
		log.Fatal(err)
	}
	s.Truncate(2)
	fmt.Println(s.Len(), "tokens of", m.Context())
	// Output:
	// 2 tokens of 2048
}

// Read the likeliest tokens behind each token of a text.
func ExampleLogits_Top() {
	l := &forward.Logits{Tokens: []int32{0}, Vocab: 4, Values: []float32{1, 3, 1, 2}}
	fmt.Println(l.Top(0, 2))
	fmt.Printf("%.2f\n", l.Surprise(0, 1))
	// Output:
	// [{1 3} {3 2}]
	// 0.49
}
