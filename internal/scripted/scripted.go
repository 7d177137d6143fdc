// Package scripted makes a tiny LLaMA model that says what it is told to: its
// next token follows from the last one. Tests, examples and demonstrations get
// real replies from it with no files and no server.
//
// The embedding of a token is 64 signs, so that those of two tokens are nearly
// at right angles. The output row of a token is the sum of the embeddings of
// those that it shall follow, and its logit is large behind these alone. The
// layers between add little.
package scripted

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

// Greeting is the reply to any prompt that ends in a colon, as Koala's do.
const Greeting = " Hello! This is a tiny model. How can I help you?"

// chains are tokens that follow each other; none has two successors.
func chains() [][]tokenizer.Token {
	t := tokenizer.Default()
	encode := func(text string) []tokenizer.Token { return t.Encode(text, nil) }
	ids := func(pieces ...string) (ids []tokenizer.Token) {
		for _, piece := range pieces {
			id, _ := t.ID(piece)
			ids = append(ids, id)
		}
		return ids
	}
	end := t.EOS()
	return [][]tokenizer.Token{
		append(append(ids(":"), encode(Greeting[1:])...), end),
		ids("▁stop", "▁well", "▁then", ";", "▁US", "ER", ":"),
		ids("▁loop", "▁la", "▁la"),
		append(ids("▁smile", "▁", "<0xF0>", "<0x9F>", "<0xA4>", "<0x97>", ")"), end),
		append(ids("▁broken", "<0xFF>", "~"), end),
		append(ids("▁end"), end),
	}
}

// The shape of the model. A row of signs is one word.
const (
	dim, layers, heads, ffn = 64, 2, 2, 176
	context                 = 2048
	strength                = 3. / 8 // of a chain: a logit of 24
)

// Spec is a GGUF file of a model with LLaMA's vocabulary and matrices of a type.
func Spec(name string, c weights.Config, matrices dtype.Type) *weights.Spec {
	t := tokenizer.Default()
	v := &weights.Vocabulary{Scores: t.Scores(), BOS: int(t.BOS()), EOS: int(t.EOS()), Unknown: int(t.UNK())}
	for id := range tokenizer.Token(t.Len()) {
		v.Pieces, v.Types = append(v.Pieces, t.Piece(id)), append(v.Types, int32(t.Type(id)))
	}
	c.Vocab = t.Len()
	s := &weights.Spec{Format: weights.FormatGGUF, Name: name, Vocabulary: v, Config: c, DTypes: map[weights.Param]dtype.Type{}}
	for _, p := range c.Params() {
		s.DTypes[p] = matrices
		if p.Role.IsNorm() {
			s.DTypes[p] = dtype.F32
		}
	}
	return s
}

// GGUF is the model as a file of that format, with LLaMA's vocabulary. The
// weights are F16. It takes some 20 ms to make.
func GGUF() ([]byte, error) {
	s := Spec("scripted", weights.Config{Layers: layers, Dim: dim, FFN: ffn, Heads: heads, NormEps: 1e-6, Context: context}, dtype.F16)
	plan, err := s.Plan()
	if err != nil {
		return nil, err
	}
	file := make([]byte, plan.Bytes())
	for _, piece := range plan.Files[0].Pieces {
		copy(file[piece.Offset:], piece.Bytes)
	}
	for _, p := range plan.Order() {
		at := plan.Placement(p)
		fill(file[at.Parts[0].Offset:], p, at.Shape)
	}
	return file, nil
}

// fill writes a weight.
func fill(dst []byte, p weights.Param, shape []int64) {
	n := int64(1)
	for _, side := range shape {
		n *= side
	}
	switch p.Role {
	case weights.AttnNorm, weights.FFNNorm, weights.Norm:
		for i := range n {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(1))
		}
	case weights.Embed:
		for i := range n {
			binary.LittleEndian.PutUint16(dst[2*i:], half.ToF16(sign(int(i/dim), int(i%dim))))
		}
	case weights.Output:
		noise(dst, p, n, 0.02)
		script(dst)
	case weights.Q, weights.K:
		noise(dst, p, n, 0.05)
	case weights.Gate, weights.Up:
		noise(dst, p, n, 0.02)
	default:
		noise(dst, p, n, 0.002)
	}
}

// noise writes numbers up to a magnitude that follow from their place.
func noise(dst []byte, p weights.Param, n int64, magnitude float32) {
	seed := uint64(p.Role)<<40 + uint64(p.Layer)<<48 + 1<<56
	for i := int64(0); i < n; i += 4 {
		word := mix(seed + uint64(i))
		for k := range min(4, n-i) {
			value := magnitude * (float32(uint16(word>>(16*k)))/0x8000 - 1)
			binary.LittleEndian.PutUint16(dst[2*(i+k):], half.ToF16(value))
		}
	}
}

// script writes the output rows of tokens that follow others.
func script(dst []byte) {
	rows := map[tokenizer.Token]*[dim]float32{}
	for _, chain := range chains() {
		for i, id := range chain[1:] {
			if rows[id] == nil {
				rows[id] = new([dim]float32)
			}
			for c := range dim {
				rows[id][c] += strength * sign(int(chain[i]), c)
			}
		}
	}
	for id, row := range rows {
		for c, value := range row {
			binary.LittleEndian.PutUint16(dst[2*(int(id)*dim+c):], half.ToF16(value))
		}
	}
}

// sign is number c of a token's embedding.
func sign(id, c int) float32 {
	return 1 - 2*float32(mix(uint64(id))>>c&1)
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x = (x + 1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Open is the model as a checkpoint in memory.
func Open() (*weights.Checkpoint, error) {
	file, err := GGUF()
	if err != nil {
		return nil, err
	}
	return weights.NewReader(bytes.NewReader(file), int64(len(file)), &weights.OpenOptions{Name: "scripted.gguf"})
}
