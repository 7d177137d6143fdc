package weights

import "math"

// Provenance is what a glance at a few of a checkpoint's weights tells of where
// they come from.
type Provenance struct {
	// NormRMS is the root mean square of all norm weights: of the order of one
	// in a model, near zero in a difference.
	NormRMS float64
	// BF16Share is how many of the first 65,536 weights of the embedding but
	// zeros are bf16 numbers, whatever type they are stored in: of fp16 numbers
	// one in eight is by chance, of those that went through bf16 all are.
	BF16Share float64
}

// A model's norms are trained from one on and a difference's lie about zero;
// the bound is far from both.
const (
	diffNorms   = 0.05
	roundedFrom = 0.9
)

// Rounded says whether the weights went through bf16.
func (e Provenance) Rounded() bool { return e.BF16Share > roundedFrom }

// Describe says in words what the checkpoint looks like.
func (e Provenance) Describe() string {
	switch {
	case e.NormRMS < diffNorms:
		return "a difference between two models: its norms are near zero"
	case e.Rounded():
		return "a model whose weights are bf16 numbers: a fine-tune, or a base that was rounded"
	}
	return "a model whose weights are not bf16 numbers: a base, or a fine-tune in fp16 or fp32"
}

// Provenance looks at the norms and at the beginning of the embedding, some
// hundred KiB in all. The checkpoint must be Complete.
func (c *Checkpoint) Provenance() (Provenance, error) {
	norms, err := c.normRMS()
	if err != nil {
		return Provenance{}, err
	}
	share, err := bf16Share(c.byParam[Param{Role: Embed}])
	return Provenance{norms, share}, err
}

// normRMS is the root mean square of all finite norm weights.
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
