package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	// TiedEmbeddings says that the model has no output matrix of its own.
	TiedEmbeddings bool

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

// hfConfig is what is read of transformers' config.json.
type hfConfig struct {
	Layers  *int     `json:"num_hidden_layers"`
	Dim     *int     `json:"hidden_size"`
	FFN     *int     `json:"intermediate_size"`
	Vocab   *int     `json:"vocab_size"`
	Heads   *int     `json:"num_attention_heads"`
	KVHeads *int     `json:"num_key_value_heads"`
	HeadDim *int     `json:"head_dim"`
	NormEps *float64 `json:"rms_norm_eps"`
	Tied    *bool    `json:"tie_word_embeddings"`
}

// readHF takes over a config.json and compares it with what the tensors told.
func (c *Config) readHF(text []byte) error {
	var hf hfConfig
	if err := json.Unmarshal(text, &hf); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &c.Extra); err != nil {
		return err
	}
	if c.Extra == nil {
		return errors.New("it is null, not an object")
	}
	for _, f := range []struct {
		name    string
		stated  *int
		tensors int
	}{
		{"num_hidden_layers", hf.Layers, c.Layers},
		{"hidden_size", hf.Dim, c.Dim},
		{"intermediate_size", hf.FFN, c.FFN},
		{"vocab_size", hf.Vocab, c.Vocab},
	} {
		if f.stated != nil && f.tensors != 0 && *f.stated != f.tensors {
			return fmt.Errorf("%s is %d, the tensors have %d", f.name, *f.stated, f.tensors)
		}
	}
	set(&c.Heads, hf.Heads)
	set(&c.KVHeads, hf.KVHeads)
	set(&c.NormEps, hf.NormEps)
	set(&c.TiedEmbeddings, hf.Tied)
	if hf.HeadDim != nil && c.Heads > 0 && *hf.HeadDim*c.Heads != c.Dim {
		return fmt.Errorf("head_dim is %d, which %d heads do not fill a width of %d with", *hf.HeadDim, c.Heads, c.Dim)
	}
	return nil
}

func set[T any](dst *T, src *T) {
	if src != nil {
		*dst = *src
	}
}

// HF is the config.json that transformers, vLLM and llama.cpp read for this
// model with weights of type t. Fields that came from an earlier config.json
// are kept.
func (c *Config) HF(t DType) ([]byte, error) {
	if c.Heads == 0 {
		return nil, headsError("config.json")
	}
	fields := map[string]any{
		"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
		"hidden_act": "silu", "initializer_range": 0.02, "max_position_embeddings": 2048, "use_cache": true,
	}
	for _, k := range slices.Collect(maps.Keys(c.Extra)) {
		fields[k] = c.Extra[k]
	}
	delete(fields, "dtype") // the newer name; every version reads torch_dtype
	eps := c.NormEps
	if eps == 0 {
		eps = 1e-6
	}
	maps.Copy(fields, map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama",
		"num_hidden_layers": c.Layers, "hidden_size": c.Dim, "intermediate_size": c.FFN, "vocab_size": c.Vocab,
		"num_attention_heads": c.Heads, "num_key_value_heads": max(c.KVHeads, c.KeyRows()/c.HeadDim()),
		"rms_norm_eps": eps, "tie_word_embeddings": c.TiedEmbeddings,
		"torch_dtype": map[DType]string{F32: "float32", F16: "float16", BF16: "bfloat16"}[t],
	})
	text, err := json.MarshalIndent(fields, "", "  ")
	return append(text, '\n'), err
}

// headsError is the refusal to permute or describe a model of unknown heads.
func headsError(path string) error {
	return &ModelError{"the number of attention heads is unknown: there is no config.json and the shape is of no released size", path,
		"give it, as Heads in the options or --heads on the command line"}
}
