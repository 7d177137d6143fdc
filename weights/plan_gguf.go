package weights

import (
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/gguf"
)

// Vocabulary is a SentencePiece vocabulary, for formats that hold one.
type Vocabulary struct {
	Pieces []string  // by id
	Scores []float32 // of each piece
	Types  []int32   // of each piece, by SentencePiece's numbers: 1 normal, 2 unknown, 3 control, …

	BOS, EOS, Unknown int // ids of the special pieces
	// ChatTemplate is the Jinja template of a conversation, "" for none.
	ChatTemplate string
}

// planGGUF lays out a GGUF file, with the tensors in the order of llama.cpp's
// converter.
func (p *Plan) planGGUF() error {
	pairs, err := p.pairs()
	if err != nil {
		return err
	}
	params := p.orderGGUF()
	tensors := p.tensors(params)
	head, offsets, size, err := gguf.Header(pairs, tensors)
	if err != nil {
		return err
	}
	for i, q := range params {
		p.placements[q] = newPlacement(0, offsets[i], &tensors[i])
	}
	p.Files = []PlannedFile{{"", size, []Piece{{Bytes: head}}}}
	return nil
}

// layerOrder is the order of a layer's weights in files of llama.cpp's
// converter.
var layerOrder = []Role{Q, K, V, O, Gate, Down, Up, AttnNorm, FFNNorm}

// orderGGUF returns the weights of the layers first, then the others.
func (p *Plan) orderGGUF() []Param {
	var params []Param
	for layer := range p.Spec.Config.Layers {
		for _, role := range layerOrder {
			params = append(params, Param{layer, role})
		}
	}
	for _, q := range p.Spec.Config.Params() {
		if !q.Role.InLayer() {
			params = append(params, q)
		}
	}
	return params
}

// fileTypes holds llama.cpp's numbers for the type of most tensors of a file.
var fileTypes = map[dtype.Type]int{dtype.F32: 0, dtype.F16: 1, dtype.Q8_0: 7, dtype.BF16: 32}

// pairs returns the metadata that llama.cpp reads. Source: gguf's constants.py.
func (p *Plan) pairs() ([]gguf.Pair, error) {
	c := &p.Spec.Config
	if c.Heads == 0 {
		return nil, headsError(string(FormatGGUF))
	}
	if c.scaled {
		return nil, scaledError(FormatGGUF)
	}
	pairs := []gguf.Pair{
		{Key: "general.architecture", Value: gguf.Text("llama")},
		{Key: "general.name", Value: gguf.Text(p.Spec.Name)},
		{Key: "llama.context_length", Value: gguf.Uint(uint32(c.Positions()))},
		{Key: "llama.embedding_length", Value: gguf.Uint(uint32(c.Dim))},
		{Key: "llama.block_count", Value: gguf.Uint(uint32(c.Layers))},
		{Key: "llama.feed_forward_length", Value: gguf.Uint(uint32(c.FFN))},
		{Key: "llama.attention.head_count", Value: gguf.Uint(uint32(c.Heads))},
		{Key: "llama.attention.head_count_kv", Value: gguf.Uint(uint32(c.KeyHeads()))},
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: gguf.Float(float32(c.Epsilon()))},
		{Key: "llama.rope.dimension_count", Value: gguf.Uint(uint32(c.HeadDim()))},
		{Key: "llama.vocab_size", Value: gguf.Uint(uint32(c.Vocab))},
		{Key: "general.file_type", Value: gguf.Uint(uint32(fileTypes[p.mainDType()]))},
	}
	if c.Theta() != defaultTheta {
		pairs = append(pairs, gguf.Pair{Key: "llama.rope.freq_base", Value: gguf.Float(float32(c.Theta()))})
	}
	if !p.mainDType().IsFloat() {
		pairs = append(pairs, gguf.Pair{Key: "general.quantization_version", Value: gguf.Uint(uint32(2))})
	}
	return p.Spec.Vocabulary.appendPairs(pairs, c.Vocab)
}

// appendPairs appends the metadata that llama.cpp reads of a tokenizer.
func (v *Vocabulary) appendPairs(pairs []gguf.Pair, rows int) ([]gguf.Pair, error) {
	if v == nil {
		return pairs, nil
	}
	if len(v.Pieces) != rows || len(v.Scores) != rows || len(v.Types) != rows {
		return nil, optionError("the vocabulary has %d pieces, %d scores and %d types, the model has %d rows: give each row a piece, a score and a type", len(v.Pieces), len(v.Scores), len(v.Types), rows)
	}
	pairs = append(pairs, []gguf.Pair{
		{Key: "tokenizer.ggml.model", Value: gguf.Text("llama")},
		{Key: "tokenizer.ggml.pre", Value: gguf.Text("default")},
		{Key: "tokenizer.ggml.tokens", Value: gguf.Texts(v.Pieces)},
		{Key: "tokenizer.ggml.scores", Value: gguf.Floats(v.Scores)},
		{Key: "tokenizer.ggml.token_type", Value: gguf.Ints(v.Types)},
		{Key: "tokenizer.ggml.bos_token_id", Value: gguf.Uint(uint32(v.BOS))},
		{Key: "tokenizer.ggml.eos_token_id", Value: gguf.Uint(uint32(v.EOS))},
		{Key: "tokenizer.ggml.unknown_token_id", Value: gguf.Uint(uint32(v.Unknown))},
		{Key: "tokenizer.ggml.add_bos_token", Value: gguf.Boolean(true)},
		{Key: "tokenizer.ggml.add_eos_token", Value: gguf.Boolean(false)},
	}...)
	if v.ChatTemplate != "" {
		pairs = append(pairs, gguf.Pair{Key: "tokenizer.chat_template", Value: gguf.Text(v.ChatTemplate)})
	}
	return pairs, nil
}
