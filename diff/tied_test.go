package diff

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// writeTied writes Tiny with tied embeddings: without an output matrix.
func writeTied(t *testing.T, path string) {
	t.Helper()
	m := modeltest.Tiny
	write(t, m, path, &modeltest.Options{Format: hf, DType: dtype.F16, Values: m.Base})
	edit(t, path, without("lm_head.weight"))
	file := filepath.Join(path, "config.json")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var config map[string]any
	require.NoError(t, json.Unmarshal(b, &config))
	config["tie_word_embeddings"] = true
	b, err = json.Marshal(config)
	require.NoError(t, err)
	put(t, file, string(b))
}

// TestConvertTied converts a model of tied embeddings into every format, and from
// there into a stream. Formats that cannot declare tied embeddings get an output
// matrix equal to the embedding, and the others none.
func TestConvertTied(t *testing.T) {
	m := modeltest.Tiny
	tied := func(p weights.Param, row, col int) float32 {
		if p.Role == weights.Output {
			p.Role = weights.Embed
		}
		return fromF16(m.Base(p, row, col))
	}
	for name, o := range outputs {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			base, middle, out := filepath.Join(dir, "base"), filepath.Join(dir, "middle"), filepath.Join(dir, "out")
			writeTied(t, base)
			o.DType = dtype.F16
			_, err := Convert(t.Context(), base, middle, &o)
			require.NoError(t, err)
			c, err := weights.Open(t.Context(), middle, nil)
			require.NoError(t, err)
			defer c.Close()
			require.NoError(t, c.Complete())
			has := o.Format == easylm || o.Format == torch
			require.Equal(t, has, c.Tensor(weights.Param{Role: weights.Output}) != nil)
			require.Equal(t, !has, c.Config.TiedEmbeddings)
			_, err = Convert(t.Context(), middle, out, &Options{Format: easylm, DType: dtype.F16, Heads: m.Heads})
			require.NoError(t, err)
			requireValues(t, out, m, easylm, dtype.F16, tied)
		})
	}
}
