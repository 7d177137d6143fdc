package modeltest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/forward"
	"github.com/koala-go/sdk/tokenizer"
)

// TestChains checks that each token of a chain is the likeliest one after its
// predecessor.
func TestChains(t *testing.T) {
	c, err := Scripted()
	require.NoError(t, err)
	m, err := forward.Load(t.Context(), c, nil)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	followers := map[tokenizer.Token]tokenizer.Token{}
	for _, chain := range chains() {
		require.NotContains(t, chain, tokenizer.Token(0))
		for i, id := range chain[1:] {
			before, known := followers[chain[i]]
			require.True(t, !known || before == id, "%q has two successors", tokenizer.Default().Piece(chain[i]))
			followers[chain[i]] = id
		}
		s := m.NewSession()
		for i, id := range chain[1:] {
			logits, err := s.Append(t.Context(), []int32{chain[i]})
			require.NoError(t, err)
			most := slices.Max(logits)
			require.Equal(t, most, logits[id], "%q after %q", tokenizer.Default().Piece(id), tokenizer.Default().Piece(chain[i]))
			others := slices.Concat(logits[:id], logits[id+1:])
			require.Greater(t, most, slices.Max(others)+8)
		}
	}
}

func BenchmarkScriptedGGUF(b *testing.B) {
	for b.Loop() {
		_, err := ScriptedGGUF()
		require.NoError(b, err)
	}
}
