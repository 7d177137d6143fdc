package weights

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// Config is the shape of a model. Open fills in what the tensors' shapes and
// a config.json beside them tell; a zero is unknown.
type Config struct {
	Layers int
	Dim    int // width of the model, d
	FFN    int // width of the feed-forward layers, f
	Vocab  int
	// Heads and KVHeads are the numbers of query and of key and value heads.
	// No tensor tells them: they come from config.json, from the table of
	// LLaMA's released sizes, or from OpenOptions.Heads.
	Heads   int
	KVHeads int
	kvDim   int // rows of K and V

	NormEps float64 // of RMSNorm
	// RopeTheta is the base of the rotary embeddings' frequencies and Context
	// the number of positions; 0 for LLaMA's 10000 and 2048.
	RopeTheta float64
	Context   int
	// TiedEmbeddings says that the model has no output matrix of its own.
	TiedEmbeddings bool

	scaled bool // the rotary embeddings are scaled in a way that only Extra tells

	// Extra holds the other fields of config.json as they were.
	Extra map[string]json.RawMessage
}

// release is one of LLaMA's released sizes.
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

// release is the released size of this shape, nil for any other.
func (c *Config) release() *release {
	for i, r := range releases {
		if r.layers == c.Layers && r.dim == c.Dim && r.ffn == c.FFN {
			return &releases[i]
		}
	}
	return nil
}

// Size is "7B", "13B", "30B", "65B", or "other".
func (c *Config) Size() string {
	if r := c.release(); r != nil {
		return r.name
	}
	return "other"
}

// ReleaseNormEps is the epsilon of the norms of LLaMA's release of this size, 0
// for other sizes.
func (c *Config) ReleaseNormEps() float64 {
	if r := c.release(); r != nil {
		return r.eps
	}
	return 0
}

// HeadDim is the number of rows of one head, 0 when it is unknown.
func (c *Config) HeadDim() int {
	if c.Heads == 0 {
		return 0
	}
	return c.Dim / c.Heads
}

// Params lists the weights of a whole model, layer by layer.
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

// Parameters is the number of weights' elements of a whole model.
func (c *Config) Parameters() int64 {
	var n int64
	for _, p := range c.Params() {
		out, in := c.features(p.Role)
		n += out * max(in, 1)
	}
	return n
}

// features are the rows and columns of a weight as [out, in]; a norm has no
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

// Positions is the number of positions, LLaMA's where none is stated.
func (c *Config) Positions() int { return cmp.Or(c.Context, defaultContext) }

// Theta is the base of the rotary embeddings' frequencies, LLaMA's where none
// is stated.
func (c *Config) Theta() float64 { return cmp.Or(c.RopeTheta, defaultTheta) }

// Epsilon is that of the norms, that of most of LLaMA's where none is stated.
func (c *Config) Epsilon() float64 { return cmp.Or(c.NormEps, defaultEpsilon) }

// KeyHeads is the number of key and value heads of a model whose Heads are
// known.
func (c *Config) KeyHeads() int { return max(c.KVHeads, c.KeyRows()/c.HeadDim()) }

// KeyRows is the number of rows of the key and value matrices.
func (c *Config) KeyRows() int {
	switch {
	case c.kvDim > 0:
		return c.kvDim
	case c.KVHeads > 0 && c.Heads > 0:
		return c.KVHeads * c.HeadDim()
	}
	return c.Dim
}

// inferShape fills in what the shapes of a checkpoint's tensors tell.
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

// inferHeads fills in the heads and the epsilon of released sizes, and
// completes what config.json and the caller told.
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
		return fmt.Errorf("%d heads were asked for, config.json says %d", asked, c.Heads)
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

func (c *Config) inferKVHeads() error {
	if c.kvDim == 0 {
		return nil
	}
	kv := c.kvDim / c.HeadDim()
	if c.kvDim%c.HeadDim() != 0 || c.KVHeads != 0 && c.KVHeads != kv {
		return fmt.Errorf("%d rows of keys are not %d heads of %d", c.kvDim, max(c.KVHeads, 1), c.HeadDim())
	}
	c.KVHeads = kv
	return nil
}
