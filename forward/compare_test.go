package forward

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/dialogue"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// TestCompareFixtures compares forms of one model, and a base with the recovered
// model.
func TestCompareFixtures(t *testing.T) {
	for _, f := range [][3]string{
		{"S", "base/meta-2", "base/easylm-fp32.stream"},
		{"T", "base/meta-3", "base/hf-safetensors-sharded"},
		{"D", "base/hf-bin-statedict", "base/easylm-fp16.trainstate"},
		{"S", "recovered/recovered-bf16.gguf", "recovered/hf-bf16"},
	} {
		a, err := Open(t.Context(), openFixture(t, f[0], f[1]), nil)
		require.NoError(t, err)
		b, err := Open(t.Context(), openFixture(t, f[0], f[2]), nil)
		require.NoError(t, err)
		r, err := Compare(t.Context(), a, b, nil)
		require.NoError(t, err)
		require.Equal(t, &CompareReport{Tokens: 32, Identical: true}, r)
	}
	a, err := Open(t.Context(), openFixture(t, "S", "base/meta-2"), nil)
	require.NoError(t, err)
	b, err := Open(t.Context(), openFixture(t, "S", "recovered/hf-bf16"), nil)
	require.NoError(t, err)
	r, err := Compare(t.Context(), a, b, expectation(t, "S").Tokens)
	require.NoError(t, err)
	require.Equal(t, "embed", r.First)
	require.Greater(t, r.MaxDifference, 0.7)
}

// TestFirstDifference changes the last bit of one weight, in each tensor in turn,
// or a property of the model. Compare names the point that differs.
func TestFirstDifference(t *testing.T) {
	right := rounded(made().sum)
	m := write(t, right, nil)
	config := modeltest.Tiny.Config()
	for _, p := range config.Params() {
		other := write(t, func(q weights.Param, r, c int) uint16 {
			if q == p && r == 3 && (c == 2 || p.Role.IsNorm()) {
				return right(q, r, c) ^ 1
			}
			return right(q, r, c)
		}, nil)
		r, err := Compare(t.Context(), m, other, []int32{9, 3, 8, 1})
		require.NoError(t, err)
		require.False(t, r.Identical)
		require.Equal(t, p.String(), r.First)
	}
	for _, f := range []struct {
		field string
		value float64
		first string
	}{{"rms_norm_eps", 0.5, "layer 0 attn_norm"}, {"rope_theta", 10001, "layer 0 attention"}} {
		r, err := Compare(t.Context(), m, write(t, right, map[string]any{f.field: f.value}), nil)
		require.NoError(t, err)
		require.Equal(t, f.first, r.First)
	}
}

// TestUnseen documents faults that logits do not show: exchanges that leave the
// function the same, and rows of tokens that are not in the text.
func TestUnseen(t *testing.T) {
	right := rounded(made().sum)
	e := expectationOf(t, write(t, right, nil), []int32{1, 57, 3, 99, 120, 0, 3, 64})
	d := modeltest.Tiny.Dim / modeltest.Tiny.Heads
	for name, v := range map[string]modeltest.Values{
		"two heads exchanged in q, k, v and o": func(p weights.Param, r, c int) uint16 {
			switch {
			case p.Layer != 1:
			case p.Role == weights.O && c < 2*d:
				c = (c + d) % (2 * d)
			case (p.Role == weights.Q || p.Role == weights.K || p.Role == weights.V) && r < 2*d:
				r = (r + d) % (2 * d)
			}
			return right(p, r, c)
		},
		"channels reversed in gate, up and down": func(p weights.Param, r, c int) uint16 {
			switch p.Role {
			case weights.Gate, weights.Up:
				r = modeltest.Tiny.FFN - 1 - r
			case weights.Down:
				c = modeltest.Tiny.FFN - 1 - c
			}
			return right(p, r, c)
		},
		"a row of the embedding that is not in the text": func(p weights.Param, r, c int) uint16 {
			if p.Role == weights.Embed && r == 100 {
				return 0
			}
			return right(p, r, c)
		},
	} {
		r, err := write(t, v, nil).Expect(t.Context(), e, 1e-5)
		require.NoError(t, err)
		require.NotEmpty(t, r.Matches, "%s: %+v", name, r.Models)
	}
}

// TestPlausibility runs a dialogue through a model of random weights, which is as
// good as guessing, and compares the report with the logits.
func TestPlausibility(t *testing.T) {
	m := modeltest.Model{Layers: 1, Dim: 16, FFN: 8, Vocab: 32000, Heads: 2, Seed: 3}
	path := t.TempDir() + "/model"
	require.NoError(t, m.Write(path, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16, Values: m.Base}))
	tokens, inReply, err := dialogue.Tokens(m.Vocab)
	require.NoError(t, err)
	r, err := openModel(t, path, 0, nil).Plausibility(t.Context(), tokens, inReply)
	require.NoError(t, err)
	require.InDelta(t, math.Log(32000), r.Random, 1e-12)
	require.InDelta(t, r.Random, r.Mean, 0.1)
	require.InDelta(t, r.Random, r.Replies, 0.1)
	require.Len(t, r.Positions, r.Tokens-1)

	tiny := write(t, rounded(made().sum), nil)
	tokens = []int32{1, 5, 9}
	l, err := tiny.Logits(t.Context(), tokens)
	require.NoError(t, err)
	p, err := tiny.Plausibility(t.Context(), tokens, nil)
	require.NoError(t, err)
	for i, s := range p.Positions {
		total := 0.
		for _, v := range l.At(i) {
			total += math.Exp(float64(v - l.At(i)[tokens[i+1]]))
		}
		require.InDelta(t, math.Log(total), s.NLL, 1e-5)
		require.Equal(t, Surprise{i + 1, tokens[i+1], s.NLL}, s)
	}
	require.Zero(t, p.Replies)
}

// TestTop orders tokens by logit, and those of equal logits by id.
func TestTop(t *testing.T) {
	l := &Logits{Tokens: []int32{0}, Vocab: 4, Values: []float32{1, 3, 1, 2}}
	require.Equal(t, []Candidate{{1, 3}, {3, 2}, {0, 1}}, l.Top(0, 3))
	require.Len(t, l.Top(0, 9), 4)
}

// TestTracePointNames checks the names of points in reports.
func TestTracePointNames(t *testing.T) {
	require.Equal(t, "layer 3 attention", tracePoint{param: weights.Param{Layer: 3}, attention: true}.String())
	require.Equal(t, "layer 3 q", fmt.Sprint(tracePoint{param: weights.Param{Layer: 3, Role: weights.Q}}))
}
