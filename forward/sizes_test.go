package forward

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/dialogue"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// TestMemoryAtEverySize plans passes over sparse checkpoints of the released
// sizes. A pass over a dialogue needs at most three quarters of the limit, on any
// number of processors.
func TestMemoryAtEverySize(t *testing.T) {
	if testing.Short() {
		t.Skip("writes many headers")
	}
	for name, m := range map[string]modeltest.Model{
		"7B":  {Layers: 32, Dim: 4096, FFN: 11008, Vocab: 32000, Heads: 32},
		"13B": {Layers: 40, Dim: 5120, FFN: 13824, Vocab: 32000, Heads: 40},
		"30B": {Layers: 60, Dim: 6656, FFN: 17920, Vocab: 32000, Heads: 52},
		"65B": {Layers: 80, Dim: 8192, FFN: 22016, Vocab: 32000, Heads: 64},
	} {
		for _, format := range []weights.Format{weights.FormatSafetensors, weights.FormatEasyLM} {
			path := filepath.Join(t.TempDir(), "model")
			if err := m.Write(path, &modeltest.Options{Format: format, DType: dtype.BF16}); err != nil {
				t.Skipf("this file system has no sparse files of this size: %v", err)
			}
			ids, _, err := dialogue.Tokens(m.Vocab)
			require.NoError(t, err)
			for _, cores := range []int{1, 2, 8, 64} {
				x := openModel(t, path, 0, nil)
				x.options.Workers = cores // as if the machine had them
				activations := x.activationBytes(len(ids))
				panels, workers, buffer, err := x.divideForReaders(DefaultMemory*3/4 - activations)
				require.NoError(t, err)
				require.LessOrEqual(t, activations+int64(workers)*buffer, int64(DefaultMemory*3/4))
				t.Logf("%s of %s on %d cores: %d workers, %d panels, %d MiB of buffers, %d MiB of activations",
					format, name, cores, workers, len(panels), int64(workers)*buffer>>20, activations>>20)
				requireWhole(t, x, panels)
			}
		}
	}
}

// requireWhole checks that the panels hold all rows of all matrices, once and in
// order.
func requireWhole(t *testing.T, m *Model, panels []panel) {
	t.Helper()
	next := map[*matrix]int{}
	step := 0
	for _, x := range panels {
		require.Equal(t, next[x.matrix], x.first)
		require.Positive(t, x.count)
		next[x.matrix] += x.count
		require.GreaterOrEqual(t, x.step, step)
		step = x.step
	}
	require.Len(t, next, len(m.matrices))
	for x, rows := range next {
		require.Equal(t, x.rows, rows)
	}
}
