package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/gguf"
)

// declaredConfig is the shape of a model that a file states beside its tensors.
// A nil field is not stated.
type declaredConfig struct {
	layers, dim, ffn, vocab number
	heads, kvHeads, headDim number
	context                 number
	normEps, ropeTheta      *float64
	tied                    *bool
}

// number is a stated number and the name of its field in the file.
type number struct {
	name  string
	value *int
}

// merge compares the stated shape with that of the tensors, and fills in what
// the tensors do not tell.
func (c *Config) merge(s *declaredConfig) error {
	// A contradiction is refused here, where it can be named: later it would show
	// as a wrong model.
	for _, f := range []struct {
		number
		tensors int
	}{{s.layers, c.Layers}, {s.dim, c.Dim}, {s.ffn, c.FFN}, {s.vocab, c.Vocab}} {
		if f.value != nil && f.tensors != 0 && *f.value != f.tensors {
			return fmt.Errorf("%s is %d, the tensors have %d", f.name, *f.value, f.tensors)
		}
	}
	set(&c.Heads, s.heads.value)
	set(&c.KVHeads, s.kvHeads.value)
	set(&c.Context, s.context.value)
	set(&c.NormEps, s.normEps)
	set(&c.RopeTheta, s.ropeTheta)
	set(&c.TiedEmbeddings, s.tied)
	if d := s.headDim; d.value != nil && c.Heads > 0 && *d.value*c.Heads != c.Dim {
		return fmt.Errorf("%s is %d, but %d such heads do not make a width of %d", d.name, *d.value, c.Heads, c.Dim)
	}
	return nil
}

func set[T any](dst *T, src *T) {
	if src != nil {
		*dst = *src
	}
}

// hfConfig holds the fields that are read of transformers' config.json. Newer
// versions put the rotary base into rope_parameters.
type hfConfig struct {
	Layers    *int     `json:"num_hidden_layers"`
	Dim       *int     `json:"hidden_size"`
	FFN       *int     `json:"intermediate_size"`
	Vocab     *int     `json:"vocab_size"`
	Heads     *int     `json:"num_attention_heads"`
	KVHeads   *int     `json:"num_key_value_heads"`
	HeadDim   *int     `json:"head_dim"`
	Context   *int     `json:"max_position_embeddings"`
	NormEps   *float64 `json:"rms_norm_eps"`
	RopeTheta *float64 `json:"rope_theta"`
	Tied      *bool    `json:"tie_word_embeddings"`
	Rope      struct {
		Theta *float64 `json:"rope_theta"`
		Type  string   `json:"rope_type"`
	} `json:"rope_parameters"`
	Scaling any `json:"rope_scaling"`
}

// readHF merges a config.json.
func (c *Config) readHF(text []byte) error {
	var hf hfConfig
	if err := json.Unmarshal(text, &hf); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &c.Extra); err != nil {
		return err
	}
	if c.Extra == nil {
		return errors.New("the file is null, not an object")
	}
	if hf.RopeTheta == nil {
		hf.RopeTheta = hf.Rope.Theta
	}
	c.scaled = hf.Scaling != nil || hf.Rope.Type != "" && hf.Rope.Type != "default"
	return c.merge(&declaredConfig{
		layers: number{"num_hidden_layers", hf.Layers}, dim: number{"hidden_size", hf.Dim},
		ffn: number{"intermediate_size", hf.FFN}, vocab: number{"vocab_size", hf.Vocab},
		heads: number{"num_attention_heads", hf.Heads}, kvHeads: number{"num_key_value_heads", hf.KVHeads},
		headDim: number{"head_dim", hf.HeadDim}, context: number{"max_position_embeddings", hf.Context},
		normEps: hf.NormEps, ropeTheta: hf.RopeTheta, tied: hf.Tied,
	})
}

// metaParams is Meta's params.json. A vocabulary of -1 means that it is not
// stated. The feed-forward width follows from the other fields in Meta's own
// models only, so it is taken from the tensors.
type metaParams struct {
	Layers     *int     `json:"n_layers"`
	Dim        *int     `json:"dim"`
	Vocab      *int     `json:"vocab_size"`
	Heads      *int     `json:"n_heads"`
	KVHeads    *int     `json:"n_kv_heads,omitempty"`
	NormEps    *float64 `json:"norm_eps"`
	MultipleOf int      `json:"multiple_of"`
	Multiplier float64  `json:"ffn_dim_multiplier,omitempty"`
	RopeTheta  *float64 `json:"rope_theta,omitempty"`
}

// readMeta merges a params.json.
func (c *Config) readMeta(text []byte) error {
	var m *metaParams
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	if m == nil {
		return errors.New("the file is null, not an object")
	}
	if m.Vocab != nil && *m.Vocab == -1 {
		m.Vocab = nil
	}
	return c.merge(&declaredConfig{
		layers: number{"n_layers", m.Layers}, dim: number{"dim", m.Dim}, vocab: number{"vocab_size", m.Vocab},
		heads: number{"n_heads", m.Heads}, kvHeads: number{"n_kv_heads", m.KVHeads},
		normEps: m.NormEps, ropeTheta: m.RopeTheta,
	})
}

// readGGUF merges the metadata of a GGUF file. A file without an output matrix
// uses the embedding in its place.
func (c *Config) readGGUF(m *gguf.Metadata) error {
	arch := m.Values["general.architecture"]
	if arch == nil {
		return errors.New("general.architecture is not stated")
	}
	prefix := arch.Text(0) + "."
	integer := func(name string) number {
		if v := m.Values[prefix+name]; v != nil {
			if n, ok := v.Int(0); ok && n == int64(int32(n)) {
				return number{prefix + name, ptr(int(n))}
			}
		}
		return number{}
	}
	float := func(name string) *float64 {
		if v := m.Values[prefix+name]; v != nil {
			if f, ok := v.Float(0); ok {
				return ptr(shortest(f))
			}
		}
		return nil
	}
	c.TiedEmbeddings = true // until readConfig sees an output matrix
	c.scaled = m.Values[prefix+"rope.scaling.type"] != nil && m.Values[prefix+"rope.scaling.type"].Text(0) != "none"
	return c.merge(&declaredConfig{
		layers: integer("block_count"), dim: integer("embedding_length"),
		ffn: integer("feed_forward_length"), vocab: integer("vocab_size"),
		heads: integer("attention.head_count"), kvHeads: integer("attention.head_count_kv"),
		headDim: integer("attention.key_length"), context: integer("context_length"),
		normEps: float("attention.layer_norm_rms_epsilon"), ropeTheta: float("rope.freq_base"),
	})
}

func ptr[T any](v T) *T { return &v }

// shortest returns the decimal number that a float32 was made from: 1e-6
// instead of 9.999999974752427e-07.
func shortest(f float64) float64 {
	var short float64
	text, _ := json.Marshal(float32(f))
	if json.Unmarshal(text, &short) != nil {
		return f // infinite or NaN
	}
	return short
}

// HF returns the config.json that transformers, vLLM and llama.cpp read for
// this model, with weights of type t. It keeps the fields of an earlier
// config.json.
func (c *Config) HF(t dtype.Type) ([]byte, error) {
	if c.Heads == 0 {
		return nil, headsError("config.json")
	}
	fields := map[string]any{
		"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
		"hidden_act": "silu", "initializer_range": 0.02, "use_cache": true,
		"max_position_embeddings": c.Positions(),
	}
	if c.RopeTheta != 0 && c.RopeTheta != defaultTheta {
		fields["rope_theta"] = c.RopeTheta
	}
	maps.Copy(fields, anyMap(c.Extra))
	delete(fields, "dtype") // the newer name of torch_dtype, which every version reads
	maps.Copy(fields, map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama",
		"num_hidden_layers": c.Layers, "hidden_size": c.Dim, "intermediate_size": c.FFN, "vocab_size": c.Vocab,
		"num_attention_heads": c.Heads, "num_key_value_heads": c.KeyHeads(),
		"rms_norm_eps": c.Epsilon(), "tie_word_embeddings": c.TiedEmbeddings,
		"torch_dtype": map[dtype.Type]string{dtype.F32: "float32", dtype.F16: "float16", dtype.BF16: "bfloat16"}[t],
	})
	text, err := json.MarshalIndent(fields, "", "  ")
	return append(text, '\n'), err
}

func anyMap(raw map[string]json.RawMessage) map[string]any {
	fields := make(map[string]any, len(raw))
	for k, v := range raw {
		fields[k] = v
	}
	return fields
}

// LLaMA's values where nothing is stated.
const (
	defaultTheta   = 10000
	defaultContext = 2048
	defaultEpsilon = 1e-6
)

// params returns the params.json that Meta's code reads for this model.
func (c *Config) params() ([]byte, error) {
	if c.Heads == 0 {
		return nil, headsError("params.json")
	}
	if c.scaled {
		return nil, scaledError(FormatTorch)
	}
	m := metaParams{
		Layers: &c.Layers, Dim: &c.Dim, Vocab: &c.Vocab, Heads: &c.Heads, NormEps: ptr(c.Epsilon()),
	}
	if kv := c.KeyHeads(); kv != c.Heads {
		m.KVHeads = &kv
	}
	if c.Theta() != defaultTheta {
		m.RopeTheta = ptr(c.Theta())
	}
	m.MultipleOf, m.Multiplier = multipleOf(c.Dim, c.FFN)
	text, err := json.Marshal(m)
	return append(text, '\n'), err
}

// multipleOf finds the values from which Meta's code computes the feed-forward
// width: two thirds of 4·dim, times the multiplier if there is one, rounded up
// to a multiple. Source: meta-llama/llama, model.py, FeedForward.
func multipleOf(dim, ffn int) (multiple int, multiplier float64) {
	hidden := 8 * dim / 3
	// The released models have a multiple of 256. The width itself serves as a
	// multiple for every ffn that is not less than hidden.
	for _, m := range slices.Concat([]int{256, 128, 64, 32, 16, 8}, []int{ffn}) {
		if (hidden+m-1)/m*m == ffn {
			return m, 0
		}
	}
	// Meta's code truncates the product to an integer: the half keeps a rounding
	// error from making it one less.
	return 1, (float64(ffn) + 0.5) / float64(hidden)
}

// headsError returns the refusal to permute or describe a model whose number of
// heads is unknown.
func headsError(path string) error {
	return &ModelError{"the number of attention heads is unknown: there is no config.json, and LLaMA was not released in this size", path,
		"give it as Heads in the options, or as --heads on the command line"}
}

// scaledError returns the refusal to write a model with scaled rotary
// embeddings in a format that does not state the scaling.
func scaledError(f Format) error {
	return &ModelError{"the rotary embeddings are scaled, which the format cannot state", string(f), "write safetensors, whose config.json states it"}
}
