package diff

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// TestMemoryAtEverySize plans the recovery of every released size, from sparse
// files into both kinds of output. The buffers need at most half of the limit,
// and the output has the reference's size. Nothing is written.
func TestMemoryAtEverySize(t *testing.T) {
	for _, r := range []struct {
		name  string
		model modeltest.Model
		bytes int64 // of an EasyLM stream in bf16
	}{
		{"7B", modeltest.Model{Layers: 32, Dim: 4096, FFN: 11008, Vocab: 32000, Heads: 32}, 13_476_851_687},
		{"13B", modeltest.Model{Layers: 40, Dim: 5120, FFN: 13824, Vocab: 32000, Heads: 40}, 26_031_754_191},
		{"30B", modeltest.Model{Layers: 60, Dim: 6656, FFN: 17920, Vocab: 32000, Heads: 52}, 65_057_925_523},
		{"65B", modeltest.Model{Layers: 80, Dim: 8192, FFN: 22016, Vocab: 32000, Heads: 64}, 130_571_372_375},
	} {
		t.Run(r.name, func(t *testing.T) {
			dir := t.TempDir()
			base, delta := filepath.Join(dir, "base"), filepath.Join(dir, "delta")
			if err := r.model.Write(base, &modeltest.Options{Format: hf, DType: dtype.F16}); err != nil {
				t.Skipf("this file system has no sparse files of this size: %v", err)
			}
			require.NoError(t, r.model.Write(delta, &modeltest.Options{Format: easylm, DType: dtype.BF16}))
			for _, format := range []weights.Format{hf, easylm} {
				for _, workers := range []int{1, 2, 8} {
					p := planWithoutChecks(t, base, delta, &Options{Format: format, Workers: workers})
					require.Equal(t, r.name, p.Summary().Size)
					require.LessOrEqual(t, p.Summary().Memory, int64(DefaultMemory/2), "%s with %d workers", format, workers)
					if format == easylm {
						require.Equal(t, r.bytes, p.Summary().WriteBytes)
					}
					require.NoError(t, p.Close())
				}
			}
		})
	}
}

// planWithoutChecks plans a recovery without the checks of the disk.
func planWithoutChecks(t *testing.T, base, delta string, opts *Options) *Plan {
	t.Helper()
	p := &Plan{op: recovery, options: opts.resolve(), workersFixed: true, inputs: []input{{"base", base}, {"diff", delta}}, out: "nowhere"}
	require.NoError(t, p.open(t.Context()))
	shareConfig(p.sources)
	spec, err := p.spec()
	require.NoError(t, err)
	p.layout, err = spec.Plan()
	require.NoError(t, err)
	require.NoError(t, p.divide())
	return p
}
