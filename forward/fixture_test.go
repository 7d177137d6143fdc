package forward

import (
	"cmp"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/weights"
)

// heads are the numbers of heads of the fixtures, which EasyLM streams lack.
var heads = map[string]int{"S": 4, "T": 3, "D": 2}

// forms are the fixtures' bases and recovered models, in every format.
var forms = []struct{ shape, path, model string }{
	{"S", "base/easylm-fp16.stream", "base"},
	{"S", "base/easylm-fp16.flax", "base"},
	{"S", "base/easylm-fp32.stream", "base"},
	{"S", "base/hf-safetensors", "base"},
	{"S", "base/hf-safetensors-2023", "base"},
	{"S", "base/hf-safetensors-sharded", "base"},
	{"S", "base/hf-bin", "base"},
	{"S", "base/hf-bin-sharded", "base"},
	{"S", "base/hf-bin-strided", "base"},
	{"S", "base/meta-1", "base"},
	{"S", "base/meta-2", "base"},
	{"S", "base/meta-views", "base"},
	{"T", "base/meta-3", "base"},
	{"T", "base/hf-safetensors-sharded", "base"},
	{"D", "base/easylm-fp16.stream", "base"},
	{"D", "base/easylm-fp16.chunked.stream", "base"},
	{"D", "base/easylm-fp16.trainstate", "base"},
	{"D", "base/hf-safetensors", "base"},
	{"D", "base/hf-bin-parameters", "base"},
	{"D", "base/hf-bin-statedict", "base"},
	{"D", "base/meta-1", "base"},
	{"S", "recovered/recovered-bf16.stream", "recovered-bf16"},
	{"S", "recovered/recovered-bf16.gguf", "recovered-bf16"},
	{"S", "recovered/hf-bf16", "recovered-bf16"},
	{"T", "recovered/recovered-bf16.stream", "recovered-bf16"},
	{"D", "recovered/recovered-bf16.stream", "recovered-bf16"},
}

// TestReferenceLogits compares every form with the reference's logits. The
// differences are below 5e-6, and the eight likeliest tokens of each position are
// in the reference's order. Forms of the same weights give the same bits with any
// number of workers.
func TestReferenceLogits(t *testing.T) {
	same := map[string]*Logits{}
	for _, f := range forms {
		t.Run(f.shape+"/"+f.path, func(t *testing.T) {
			c := openFixture(t, f.shape, f.path)
			for _, workers := range []int{1, 2, 3, 7} {
				m, err := Open(t.Context(), c, &Options{Workers: workers})
				require.NoError(t, err)
				got, err := m.Logits(t.Context(), expectation(t, f.shape).Tokens)
				require.NoError(t, err)
				key := f.shape + f.model
				same[key] = cmp.Or(same[key], got)
				require.Equal(t, bitsOf(same[key].Values), bitsOf(got.Values))
			}
			requireReference(t, f.shape, f.model, same[f.shape+f.model])
		})
	}
}

func expectation(t *testing.T, shape string) *Expectation {
	t.Helper()
	e, err := ReadExpectation(t.Context(), fixture.Path(t, "fixtures", shape, "expected", "logits.json"))
	require.NoError(t, err)
	return e
}

func openFixture(t *testing.T, shape, path string) *weights.Checkpoint {
	t.Helper()
	c, err := weights.Open(t.Context(), fixture.Path(t, "fixtures", shape, filepath.FromSlash(path)), &weights.OpenOptions{Heads: heads[shape]})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// requireReference compares with the reference, without Model.Expect.
func requireReference(t *testing.T, shape, model string, got *Logits) {
	t.Helper()
	want := expectation(t, shape).Models[model]
	worst := 0.
	for i, top := range want.Top {
		for k, c := range got.Top(i, 8) {
			require.Equal(t, top[k].Token, c.Token, "position %d, rank %d", i, k)
			worst = max(worst, math.Abs(float64(c.Logit)-float64(top[k].Logit)))
		}
	}
	require.Len(t, want.Top, len(got.Tokens))
	require.Len(t, want.Last, got.Vocab)
	for i, v := range got.At(len(want.Top) - 1) {
		worst = max(worst, math.Abs(float64(v)-want.Last[i]))
	}
	t.Logf("within %.2g", worst)
	require.Less(t, worst, 5e-6)
}

func bitsOf(x []float32) []uint32 {
	b := make([]uint32, len(x))
	for i, v := range x {
		b[i] = math.Float32bits(v)
	}
	return b
}
