package weights

import (
	"strconv"
	"strings"

	"github.com/koala-go/sdk/dtype"
)

// Layout describes how a family of files stores the weights of a LLaMA model.
// The four variables below are the only layouts.
type Layout struct {
	name  string
	names [numRoles]string // with %d for the layer
	roles map[string]Role  // by name, the inverse of names

	transposes bool // matrices are [in, out] instead of [out, in]
	permutes   bool // the rows of Q and K are rotary halves instead of pairs
	normsF32   bool // norms are stored as F32, whatever the other weights are

	configFile string // name of the file beside the tensors that states the shape of the model
	readConfig func(*Config, []byte) error
}

// table maps the names of the layouts to each other. Every name in the module
// comes from here, and every conversion is derived from the names and the three
// flags of a Layout. EasyLM's names are its key paths joined with "/".
//
// Sources: meta-llama/llama (model.py), young-geng/EasyLM at 8aa5a9c
// (llama_model.py, convert_torch_to_easylm.py), transformers
// (convert_llama_weights_to_hf.py, for the permutation), gguf (constants.py).
var table = [...]struct {
	role                Role
	meta, easylm, hf, g string
}{
	{Embed, "tok_embeddings.weight", "transformer/wte/embedding", "model.embed_tokens.weight", "token_embd.weight"},
	{Q, "layers.%d.attention.wq.weight", "transformer/h/%d/attention/wq/kernel", "model.layers.%d.self_attn.q_proj.weight", "blk.%d.attn_q.weight"},
	{K, "layers.%d.attention.wk.weight", "transformer/h/%d/attention/wk/kernel", "model.layers.%d.self_attn.k_proj.weight", "blk.%d.attn_k.weight"},
	{V, "layers.%d.attention.wv.weight", "transformer/h/%d/attention/wv/kernel", "model.layers.%d.self_attn.v_proj.weight", "blk.%d.attn_v.weight"},
	{O, "layers.%d.attention.wo.weight", "transformer/h/%d/attention/wo/kernel", "model.layers.%d.self_attn.o_proj.weight", "blk.%d.attn_output.weight"},
	{Gate, "layers.%d.feed_forward.w1.weight", "transformer/h/%d/feed_forward/w1/kernel", "model.layers.%d.mlp.gate_proj.weight", "blk.%d.ffn_gate.weight"},
	{Up, "layers.%d.feed_forward.w3.weight", "transformer/h/%d/feed_forward/w3/kernel", "model.layers.%d.mlp.up_proj.weight", "blk.%d.ffn_up.weight"},
	{Down, "layers.%d.feed_forward.w2.weight", "transformer/h/%d/feed_forward/w2/kernel", "model.layers.%d.mlp.down_proj.weight", "blk.%d.ffn_down.weight"},
	{AttnNorm, "layers.%d.attention_norm.weight", "transformer/h/%d/attention_norm/kernel", "model.layers.%d.input_layernorm.weight", "blk.%d.attn_norm.weight"},
	{FFNNorm, "layers.%d.ffn_norm.weight", "transformer/h/%d/ffn_norm/kernel", "model.layers.%d.post_attention_layernorm.weight", "blk.%d.ffn_norm.weight"},
	{Norm, "norm.weight", "transformer/ln_f/kernel", "model.norm.weight", "output_norm.weight"},
	{Output, "output.weight", "lm_head/kernel", "lm_head.weight", "output.weight"},
}

// The layouts. Shapes and orders of rows are documented in Meta's.
var (
	Meta        = newLayout(Layout{name: "meta", configFile: "params.json", readConfig: (*Config).readMeta})
	EasyLM      = newLayout(Layout{name: "easylm", transposes: true})
	HuggingFace = newLayout(Layout{name: "huggingface", permutes: true})
	GGUF        = newLayout(Layout{name: "gguf", normsF32: true})
)

// layouts is the order in which the names of a file are tried. Meta's and
// GGUF's "output.weight" are the same name; the names of the layers tell the
// two apart.
var layouts = []*Layout{HuggingFace, EasyLM, Meta, GGUF}

func newLayout(l Layout) *Layout {
	if l.configFile == "" {
		l.configFile, l.readConfig = "config.json", (*Config).readHF
	}
	l.roles = make(map[string]Role, len(table))
	for _, row := range table {
		name := map[string]string{"meta": row.meta, "easylm": row.easylm, "huggingface": row.hf, "gguf": row.g}[l.name]
		l.names[row.role] = name
		l.roles[name] = row.role
	}
	return &l
}

// String returns the name of the layout: "meta", "easylm", "huggingface" or
// "gguf".
func (l *Layout) String() string { return l.name }

// Name returns the name of a weight in files of this layout.
func (l *Layout) Name(p Param) string {
	return strings.Replace(l.names[p.Role], "%d", strconv.Itoa(p.Layer), 1)
}

// Param returns the weight that has the name in files of this layout, or a
// Param of role Ignored or Unknown.
func (l *Layout) Param(name string) Param {
	if l == EasyLM {
		name = trimTrainState(name)
	}
	if isBuffer(name) {
		return Param{Role: Ignored}
	}
	if role, ok := l.roles[name]; ok && !role.InLayer() {
		return Param{Role: role}
	}
	// Comparing with the name of the Param refuses other spellings of the layer,
	// such as "+1" and "01".
	pattern, layer := cutLayer(name)
	p := Param{Layer: layer, Role: l.roles[pattern]}
	if p.Role == Unknown || l.Name(p) != name {
		return Param{}
	}
	return p
}

// cutLayer replaces the first whole number between separators by %d.
func cutLayer(name string) (pattern string, layer int) {
	for start := 0; start < len(name); {
		end := start + strings.IndexAny(name[start:], "./")
		if end < start {
			end = len(name)
		}
		if n, err := strconv.Atoi(name[start:end]); err == nil && n >= 0 {
			return name[:start] + "%d" + name[end:], n
		}
		start = end + 1
	}
	return name, 0
}

// trimTrainState removes the prefix that EasyLM's train states put before the
// keys of the parameters.
func trimTrainState(name string) string {
	name = strings.TrimPrefix(name, "params/")
	return strings.TrimPrefix(name, "params/")
}

// isBuffer reports whether a name is of a tensor that is not a weight. Rotary
// frequencies are computed; those that transformers 4.28 stored were rounded to
// fp16 first. Optimizer moments have the names of their weights, under
// opt_state.
func isBuffer(name string) bool {
	return strings.HasSuffix(name, "rope.freqs") ||
		strings.HasSuffix(name, "rotary_emb.inv_freq") ||
		strings.HasPrefix(name, "opt_state/") || name == "step"
}

// Transposed reports whether the role's weight is stored as [in, out].
func (l *Layout) Transposed(r Role) bool { return l.transposes && r.isMatrix() }

// Permuted reports whether the role's rows are rotary halves: the pair (2i,
// 2i+1) of each head is stored at i and i + D/2, for heads of D rows.
func (l *Layout) Permuted(r Role) bool { return l.permutes && (r == Q || r == K) }

// DType returns the type that the layout stores a weight in, for a checkpoint
// whose weights are of type t.
func (l *Layout) DType(r Role, t dtype.Type) dtype.Type {
	if l.normsF32 && r.IsNorm() {
		return dtype.F32
	}
	return t
}

// Shape returns the shape of the weight as this layout stores it.
func (l *Layout) Shape(r Role, c *Config) []int64 {
	out, in := c.features(r)
	switch {
	case r.IsNorm():
		return []int64{out}
	case l.Transposed(r):
		return []int64{in, out}
	}
	return []int64{out, in}
}
