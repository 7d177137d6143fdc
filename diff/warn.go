package diff

import (
	"fmt"
	"time"

	"github.com/koala-go/sdk/weights"
)

// warnings are signs of a mistake that are no proof of one.
func (p *Plan) warnings() []string {
	list := []string{}
	for i, c := range p.sources {
		if p.inputs[i].name == "base" {
			list = append(list, family(c)...)
		}
	}
	if p.options.Format.HoldsVocabulary() && p.layout.Spec.Vocabulary == nil {
		list = append(list, "the GGUF file gets no tokenizer: none lies beside an input, and the vocabulary is not LLaMA's")
	}
	return list
}

// family tells Llama 2, whose 7B and 13B have the shapes of LLaMA's, by what
// its configuration states otherwise.
func family(c *weights.Checkpoint) []string {
	var list []string
	if eps := c.Config.ReleaseNormEps(); eps != 0 && c.Config.NormEps != eps {
		list = append(list, fmt.Sprintf("base %s states a norm epsilon of %g, LLaMA %s has %g: it may be Llama 2, which the diff is not for", c.Path, c.Config.NormEps, c.Config.Size(), eps))
	}
	if c.Config.Context > 2048 {
		list = append(list, fmt.Sprintf("base %s states %d positions, LLaMA has 2048: it may be Llama 2, which the diff is not for", c.Path, c.Config.Context))
	}
	return list
}

// estimateBytes are read for an estimate.
const estimateBytes = 64 << 20

// Estimate is how long Run may take: the bytes that it reads and writes, at
// the speed at which the beginning of the first input is read.
func (p *Plan) Estimate() (time.Duration, error) {
	first := p.sources[0].Files()[0]
	n := min(first.Size, estimateBytes)
	b := make([]byte, 1<<20)
	start := time.Now()
	for off := int64(0); off < n; off += int64(len(b)) {
		if _, err := first.Data.ReadAt(b[:min(int64(len(b)), n-off)], off); err != nil {
			return 0, fmt.Errorf("reading %s: %w", first.Path, err)
		}
	}
	s := p.Summary()
	return time.Duration(float64(time.Since(start)) * float64(s.ReadBytes+s.WriteBytes) / float64(n)), nil
}
