package weights

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// Config is the shape of a model. Open fills in what the shapes of the tensors
// and a config.json state. A zero means unknown.
type Config struct {
	Layers int // number of layers
	Dim    int // width of the model, d
	FFN    int // width of the feed-forward layers, f
	Vocab  int // number of rows of the embedding
	// Heads is the number of query heads. The tensors do not state it: it comes
	// from config.json, from the table of LLaMA's released sizes, or from
	// OpenOptions.Heads.
	Heads   int
	KVHeads int // number of key and value heads
	kvDim   int // rows of the key and value matrices

	NormEps float64 // the epsilon of RMSNorm
	// RopeTheta is the base of the rotary embeddings' frequencies. Zero means
	// LLaMA's 10000.
	RopeTheta float64
	Context   int // number of positions; 0 means LLaMA's 2048
	// TiedEmbeddings is true if the embedding is used as the output matrix.
	TiedEmbeddings bool

	scaled bool // the rotary embeddings are scaled, in a way that only Extra states

	// Extra holds the other fields of config.json, unchanged.
	Extra map[string]json.RawMessage
}

// release is one of the sizes that LLaMA was released in.
type release struct {
	name                    string
	layers, dim, ffn, heads int
	eps                     float64
}

// Source: params.json of the releases; 65B alone has an epsilon of 1e-5.
var releases = [...]release{
	{"7B", 32, 4096, 11008, 32, 1e-6},
	{"13B", 40, 5120, 13824, 40, 1e-6},
	{"30B", 60, 6656, 17920, 52, 1e-6},
	{"65B", 80, 8192, 22016, 64, 1e-5},
}

// release returns the released size of this shape, nil for any other shape.
func (c *Config) release() *release {
	for i, r := range releases {
		if r.layers == c.Layers && r.dim == c.Dim && r.ffn == c.FFN {
			return &releases[i]
		}
	}
	return nil
}

// Size returns "7B", "13B", "30B", "65B", or "other".
func (c *Config) Size() string {
	if r := c.release(); r != nil {
		return r.name
	}
	return "other"
}

// ReleaseNormEps returns the epsilon of the norms of LLaMA's release of this
// size, 0 for other sizes.
func (c *Config) ReleaseNormEps() float64 {
	if r := c.release(); r != nil {
		return r.eps
	}
	return 0
}

// HeadDim returns the number of rows of one head, 0 if the number of heads is
// unknown.
func (c *Config) HeadDim() int {
	if c.Heads == 0 {
		return 0
	}
	return c.Dim / c.Heads
}

// Params returns the weights of a whole model, layer by layer.
func (c *Config) Params() []Param {
	params := []Param{{Role: Embed}}
	for layer := range c.Layers {
		for role := Q; role <= FFNNorm; role++ {
			params = append(params, Param{layer, role})
		}
	}
	params = append(params, Param{Role: Norm})
	if !c.TiedEmbeddings {
		params = append(params, Param{Role: Output})
	}
	return params
}

// Parameters returns the number of elements of all weights of a whole model.
func (c *Config) Parameters() int64 {
	var n int64
	for _, p := range c.Params() {
		out, in := c.features(p.Role)
		n += out * max(in, 1)
	}
	return n
}

// features returns the rows and columns of a weight as [out, in]. A norm has no
// columns.
func (c *Config) features(r Role) (out, in int64) {
	d, f, v, kv := int64(c.Dim), int64(c.FFN), int64(c.Vocab), int64(c.KeyRows())
	switch r {
	case Embed, Output:
		return v, d
	case Q, O:
		return d, d
	case K, V:
		return kv, d
	case Gate, Up:
		return f, d
	case Down:
		return d, f
	}
	return d, 0
}

// Positions returns the number of positions, LLaMA's 2048 if none is stated.
func (c *Config) Positions() int { return cmp.Or(c.Context, defaultContext) }

// Theta returns the base of the rotary embeddings' frequencies, LLaMA's 10000
// if none is stated.
func (c *Config) Theta() float64 { return cmp.Or(c.RopeTheta, defaultTheta) }

// Epsilon returns the epsilon of the norms, 1e-6 if none is stated.
func (c *Config) Epsilon() float64 { return cmp.Or(c.NormEps, defaultEpsilon) }

// KeyHeads returns the number of key and value heads. Heads must be known.
func (c *Config) KeyHeads() int { return max(c.KVHeads, c.KeyRows()/c.HeadDim()) }

// KeyRows returns the number of rows of the key and value matrices.
func (c *Config) KeyRows() int {
	switch {
	case c.kvDim > 0:
		return c.kvDim
	case c.KVHeads > 0 && c.Heads > 0:
		return c.KVHeads * c.HeadDim()
	}
	return c.Dim
}

// inferShape fills in what the shapes of the tensors state.
func (c *Config) inferShape(tensors []*Tensor) {
	for _, t := range tensors {
		if !t.Param.IsWeight() || len(t.Shape) == 0 {
			continue
		}
		if t.Param.Role.InLayer() {
			c.Layers = max(c.Layers, t.Param.Layer+1)
		}
		out, in := t.features()
		switch t.Param.Role {
		case Embed:
			c.Vocab, c.Dim = int(out), int(in)
		case Output:
			c.Vocab = max(c.Vocab, int(out))
		case Norm, AttnNorm, FFNNorm:
			c.Dim = int(out)
		case Gate, Up:
			c.FFN = int(out)
		case K:
			c.kvDim = int(out)
		}
	}
}

// inferHeads fills in the heads and the epsilon of released sizes, and checks
// that the number of heads fits the tensors. The argument is the caller's
// number of heads, 0 for none.
func (c *Config) inferHeads(asked int) error {
	if r := c.release(); r != nil {
		if c.Heads == 0 && asked == 0 {
			c.Heads = r.heads
		}
		if c.NormEps == 0 {
			c.NormEps = r.eps
		}
	}
	if asked != 0 && c.Heads != 0 && c.Heads != asked {
		return fmt.Errorf("the options state %d heads, the checkpoint states %d", asked, c.Heads)
	}
	if c.Heads == 0 {
		c.Heads = asked
	}
	if c.Heads == 0 || c.Dim == 0 {
		return nil
	}
	if c.Heads < 0 || c.Dim%c.Heads != 0 || c.HeadDim()%2 != 0 {
		return fmt.Errorf("%d heads do not divide a width of %d into pairs", c.Heads, c.Dim)
	}
	return c.inferKVHeads()
}

// inferKVHeads derives the number of key heads from the rows of the key matrix.
func (c *Config) inferKVHeads() error {
	if c.kvDim == 0 {
		return nil
	}
	kv := c.kvDim / c.HeadDim()
	if c.kvDim%c.HeadDim() != 0 || c.KVHeads != 0 && c.KVHeads != kv {
		return fmt.Errorf("%d rows of keys are not %d heads of %d rows", c.kvDim, max(c.KVHeads, 1), c.HeadDim())
	}
	c.KVHeads = kv
	return nil
}
