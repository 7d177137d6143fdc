package modeltest

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

// Greeting is the reply of the [Scripted] model to every prompt that ends in a
// colon, as Koala's prompts do.
const Greeting = " Hello! This is a tiny model. How can I help you?"

// chains returns sequences of tokens in which each token determines the next.
// No token has two successors.
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

// The shape of the scripted model. An embedding of 64 signs fits one word.
const (
	dim, layers, heads, ffn = 64, 2, 2, 176
	contextLength           = 2048
	strength                = 3. / 8 // weight of a successor, which gives a logit of 24
)

// GGUFSpec returns the specification of a GGUF file with LLaMA's vocabulary.
// The shape is that of c, except for the size of the vocabulary. Matrices have
// type dtype, norms have type F32.
func GGUFSpec(name string, c weights.Config, dt dtype.Type) *weights.Spec {
	t := tokenizer.Default()
	v := &weights.Vocabulary{Scores: t.Scores(), BOS: int(t.BOS()), EOS: int(t.EOS()), Unknown: int(t.UNK())}
	for id := range tokenizer.Token(t.Len()) {
		v.Pieces, v.Types = append(v.Pieces, t.Piece(id)), append(v.Types, int32(t.Type(id)))
	}
	c.Vocab = t.Len()
	s := &weights.Spec{Format: weights.FormatGGUF, Name: name, Vocabulary: v, Config: c, DTypes: map[weights.Param]dtype.Type{}}
	for _, p := range c.Params() {
		s.DTypes[p] = dt
		if p.Role.IsNorm() {
			s.DTypes[p] = dtype.F32
		}
	}
	return s
}

// ScriptedGGUF returns the [Scripted] model as the bytes of a GGUF file with
// LLaMA's vocabulary and fp16 matrices. It takes about 20 ms.
func ScriptedGGUF() ([]byte, error) {
	s := GGUFSpec("scripted", weights.Config{Layers: layers, Dim: dim, FFN: ffn, Heads: heads, NormEps: 1e-6, Context: contextLength}, dtype.F16)
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

// fill writes the elements of parameter p to dst.
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

// noise writes n pseudo-random fp16 numbers in [-magnitude, magnitude) to dst.
// They depend only on p and on their index.
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

// script writes the rows of the output matrix of all tokens that follow another
// token in a chain.
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

// sign returns element c of the embedding of a token: 1 or -1.
func sign(id, c int) float32 {
	return 1 - 2*float32(mix(uint64(id))>>c&1)
}

// mix returns 64 pseudo-random bits that depend on x.
func mix(x uint64) uint64 { return splitmix(x + 1) }

// Scripted opens a tiny model that replies to every prompt with [Greeting]: the
// next token depends only on the last one. The checkpoint is in memory; the
// caller closes it. Some other last tokens begin sequences that tests use.
//
// The embedding of a token is 64 signs, so the embeddings of two tokens are
// nearly orthogonal. The output row of a token is the sum of the embeddings of
// its predecessors, and its logit is large only after one of them. The layers
// between add little noise.
func Scripted() (*weights.Checkpoint, error) {
	file, err := ScriptedGGUF()
	if err != nil {
		return nil, err
	}
	return weights.NewReader(bytes.NewReader(file), int64(len(file)), &weights.OpenOptions{Name: "scripted.gguf"})
}
