package tokenizer

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// ggufOf writes LLaMA's vocabulary as llama.cpp's converter does, with each
// value changed by change.
func ggufOf(change func(key string, value []byte) []byte) []byte {
	u32 := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	u64 := func(n int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }
	str := func(s string) []byte { return cat(u64(len(s)), []byte(s)) }
	v := Default().v
	texts, scores, types := [][]byte{}, [][]byte{}, [][]byte{}
	for _, p := range v.pieces {
		texts, scores, types = append(texts, str(p.text)), append(scores, u32(math.Float32bits(p.score))), append(types, u32(uint32(p.typ)))
	}
	list := func(kind uint32, items [][]byte) []byte {
		return cat(u32(9), u32(kind), u64(len(items)), bytes.Join(items, nil))
	}
	out := []byte{}
	pairs := []struct {
		key   string
		value []byte
	}{
		{"model", cat(u32(8), str("llama"))}, {"tokens", list(8, texts)}, {"scores", list(6, scores)}, {"token_type", list(5, types)},
		{"bos_token_id", cat(u32(4), u32(1))}, {"eos_token_id", cat(u32(4), u32(2))}, {"unknown_token_id", cat(u32(4), u32(0))},
	}
	for _, p := range pairs {
		out = append(out, cat(str(ggml+p.key), change(p.key, p.value))...)
	}
	return cat([]byte("GGUF"), u32(3), u64(0), u64(len(pairs)), out)
}

// TestGGUF compares the vocabulary of a GGUF file with LLaMA's, and checks that
// wrong metadata is rejected.
func TestGGUF(t *testing.T) {
	tok, err := loadWithinMemory(t, ggufOf(func(_ string, value []byte) []byte { return value }))
	require.NoError(t, err)
	require.Equal(t, []any{KindGGUF, Token(1), Token(2), Default().Properties()}, []any{tok.Kind(), tok.BOS(), tok.EOS(), tok.Properties()})
	eachText(t, rounds(t)/100, func(t *testing.T, text string) {
		equal(t, Default().Encode(text, nil), tok.Encode(text, nil), text)
	})
	for key, value := range map[string][]byte{
		"model":        {8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 'g', 'p', 't', '2'},
		"scores":       {9, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"bos_token_id": {4, 0, 0, 0, 0, 125, 0, 0},
	} {
		_, err := loadWithinMemory(t, ggufOf(func(k string, v []byte) []byte {
			if k == key {
				return value
			}
			return v
		}))
		var bad *ModelError
		require.ErrorAs(t, err, &bad, key)
		require.Positive(t, bad.Offset)
	}
}
