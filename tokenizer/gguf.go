package tokenizer

import (
	"io"
	"math"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/refusal"
)

// ggml is the prefix of the keys of the tokenizer's metadata.
const ggml = "tokenizer.ggml."

// readGGUF reads the vocabulary of a GGUF file, with the rules of llama.cpp for
// tokenizers of the model "llama".
func readGGUF(r io.ReaderAt, size int64) (*vocabulary, error) {
	m, err := gguf.ReadMetadata(r, size)
	if err != nil {
		return nil, err
	}
	v := newVocabulary(KindGGUF)
	v.trim = false
	g := ggufReader{v, m}
	for _, step := range []func() error{g.checkModel, g.readPieces, g.readSettings, g.readSpecialIDs, v.unique} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// ggufReader turns the metadata of a GGUF file into a vocabulary.
type ggufReader struct {
	v *vocabulary
	m *gguf.Metadata
}

// get returns the value of a key. If there is none, it returns a value without
// items whose offset is the end of the metadata.
func (g *ggufReader) get(name string) *gguf.Value {
	if v := g.m.Values[ggml+name]; v != nil {
		return v
	}
	return &gguf.Value{Offset: g.m.End}
}

// checkModel rejects tokenizers that are not like LLaMA's.
func (g *ggufReader) checkModel() error {
	if model := g.get("model"); model.Text(0) != "llama" {
		return refusal.Unsupported(model.Offset, "", "the tokenizer model is %q, want %q", model.Text(0), "llama")
	}
	if chars := g.get("precompiled_charsmap"); chars.Len > 0 {
		return refusal.Unsupported(chars.Offset, "", "the normalizer is not the identity")
	}
	return nil
}

// readPieces reads the pieces from the arrays of their texts, scores and types.
func (g *ggufReader) readPieces() error {
	tokens, scores, types := g.get("tokens"), g.get("scores"), g.get("token_type")
	if !tokens.List || tokens.Type != gguf.String || scores.Len != tokens.Len || types.Len != tokens.Len {
		return refusal.Malformed(tokens.Offset, "", "the lists of tokens, scores and types have %d, %d and %d entries", tokens.Len, scores.Len, types.Len)
	}
	g.v.pieces = make([]piece, tokens.Len)
	for i := range g.v.pieces {
		text := tokens.Text(i)
		score, okScore := scores.Float(i)
		typ, okType := types.Int(i)
		if !okScore || !okType || typ < int64(Normal) || typ > int64(Byte) || !utf8.ValidString(text) {
			return refusal.Malformed(tokens.Offset, "", "token %d has no score, has an unknown type or is not UTF-8", i)
		}
		g.v.pieces[i] = piece{text, float32(score), PieceType(typ)}
		g.v.byteFallback = g.v.byteFallback || PieceType(typ) == Byte
	}
	return nil
}

// readSettings reads the rules for spaces.
func (g *ggufReader) readSettings() error {
	if on, ok := g.get("add_space_prefix").Int(0); ok && on == 0 {
		g.v.prefix = prefixNever
	}
	if on, ok := g.get("remove_extra_whitespaces").Int(0); ok && on != 0 {
		g.v.trim = true
	}
	return nil
}

// readSpecialIDs reads the ids of special tokens. 2^32-1 means that there is
// none. The id of the unknown token is only checked: check finds it by its type.
func (g *ggufReader) readSpecialIDs() error {
	for name, to := range map[string]*Token{
		"bos_token_id": &g.v.bos, "eos_token_id": &g.v.eos, "padding_token_id": &g.v.pad, "unknown_token_id": new(Token),
	} {
		v := g.get(name)
		id, ok := v.Int(0)
		switch {
		case !ok || id == math.MaxUint32 || id == -1:
		case id < 0 || id >= int64(len(g.v.pieces)):
			return refusal.Malformed(v.Offset, "", "%s is %d, but the vocabulary has %d tokens", name, id, len(g.v.pieces))
		default:
			*to = Token(id)
		}
	}
	return nil
}
