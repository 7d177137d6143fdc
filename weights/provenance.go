package weights

import "math"

// Provenance describes what a sample of a checkpoint's weights suggests about
// their origin.
type Provenance struct {
	// NormRMS is the root mean square of all norm weights: about one in a
	// model, near zero in a difference of two models.
	NormRMS float64
	// BF16Share is the share of bf16 numbers among the nonzero weights of the
	// first 65,536 of the embedding, whatever type they are stored in. By
	// chance, one fp16 number in eight is a bf16 number; all are if the weights
	// were rounded to bf16 before.
	BF16Share float64
}

// The norms of a model are trained from one on, and those of a difference are
// near zero. The bound is far from both.
const (
	diffNorms   = 0.05
	roundedFrom = 0.9
)

// Rounded reports whether the weights were rounded to bf16 at some time.
func (e Provenance) Rounded() bool { return e.BF16Share > roundedFrom }

// Describe returns in words what the checkpoint looks like.
func (e Provenance) Describe() string {
	switch {
	case e.NormRMS < diffNorms:
		return "a difference between two models: its norms are near zero"
	case e.Rounded():
		return "a model whose weights are bf16 numbers: a fine-tune, or a base that was rounded"
	}
	return "a model whose weights are not bf16 numbers: a base, or a fine-tune in fp16 or fp32"
}

// Provenance reads the norms and the beginning of the embedding, some hundred
// KiB in all. The checkpoint must be Complete.
func (c *Checkpoint) Provenance() (Provenance, error) {
	norms, err := c.normRMS()
	if err != nil {
		return Provenance{}, err
	}
	share, err := bf16Share(c.byParam[Param{Role: Embed}])
	return Provenance{norms, share}, err
}

// normRMS returns the root mean square of all finite norm weights.
func (c *Checkpoint) normRMS() (float64, error) {
	var sum, n float64
	for _, q := range c.Params() {
		if !q.Role.IsNorm() {
			continue
		}
		values := make([]float32, c.byParam[q].Len())
		if err := c.byParam[q].Float32s(values, 0); err != nil {
			return 0, err
		}
		for _, v := range values {
			if v-v == 0 { // finite
				sum, n = sum+float64(v)*float64(v), n+1
			}
		}
	}
	return math.Sqrt(sum / max(n, 1)), nil
}

// bf16Share returns the share of nonzero weights at the beginning of a tensor
// that are bf16 numbers: those whose lower 16 bits are zero as float32.
func bf16Share(t *Tensor) (float64, error) {
	values := make([]float32, min(t.Len(), 1<<16))
	if err := t.Float32s(values, 0); err != nil {
		return 0, err
	}
	fit, n := 0, 0
	for _, v := range values {
		if v != 0 {
			n++
			if math.Float32bits(v)&0xffff == 0 {
				fit++
			}
		}
	}
	return float64(fit) / float64(max(n, 1)), nil
}
