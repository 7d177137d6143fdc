package forward

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// values are the weights of a model, in Meta's layout.
type values func(p weights.Param, row, col int) float32

// origin is the base and the diff of a recovered model.
type origin struct{ base, delta values }

// sum returns a recovered weight before it is rounded to bf16.
func (o origin) sum(p weights.Param, r, c int) float32 { return o.base(p, r, c) + o.delta(p, r, c) }

// rounded returns the values as bf16.
func rounded(v values) modeltest.Values {
	return func(p weights.Param, r, c int) uint16 { return half.ToBF16(v(p, r, c)) }
}

// fault is a mistake in the weights or in config.json.
type fault struct {
	name   string
	values func(o origin) modeltest.Values
	config map[string]any
}

// moved returns a fault that takes the weights of some roles of layer 1 from
// another place.
func moved(name string, from func(p weights.Param, r, c int) (weights.Param, int, int), roles ...weights.Role) fault {
	return fault{name: name, values: func(o origin) modeltest.Values {
		return rounded(func(p weights.Param, r, c int) float32 {
			for _, role := range roles {
				if p.Role == role && (p.Layer == 1 || !role.InLayer()) {
					return o.sum(from(p, r, c))
				}
			}
			return o.sum(p, r, c)
		})
	}}
}

// changed returns a fault that computes the weights of one role of layer 1.
func changed(name string, role weights.Role, change func(v float32, r, c int) float32) fault {
	return fault{name: name, values: func(o origin) modeltest.Values {
		return rounded(func(p weights.Param, r, c int) float32 {
			v := o.sum(p, r, c)
			if p.Role != role || p.Layer != 1 && role.InLayer() {
				return v
			}
			return change(v, r, c)
		})
	}}
}

// halves returns the place in Hugging Face's order of a row in Meta's order.
func halves(p weights.Param, r, c int) (weights.Param, int, int) {
	d := modeltest.Tiny.Dim / modeltest.Tiny.Heads
	return p, r/d*d + r%d%2*(d/2) + r%d/2, c
}

func transposed(p weights.Param, r, c int) (weights.Param, int, int) { return p, c, r }

func exchanged(a, b weights.Role) func(p weights.Param, r, c int) (weights.Param, int, int) {
	return func(p weights.Param, r, c int) (weights.Param, int, int) {
		p.Role = a + b - p.Role
		return p, r, c
	}
}

var one = func(float32, int, int) float32 { return 1 }

// faults must all be found at the default tolerance. Faults that logits do not
// show are in TestUnseen.
var faults = []fault{
	moved("rotary order of q and k", halves, weights.Q, weights.K),
	moved("rotary order of q alone", halves, weights.Q),
	moved("rotary order of k alone", halves, weights.K),
	moved("q transposed", transposed, weights.Q),
	moved("v transposed", transposed, weights.V),
	moved("o transposed", transposed, weights.O),
	moved("gate and up exchanged", exchanged(weights.Gate, weights.Up), weights.Gate, weights.Up),
	moved("k and v exchanged", exchanged(weights.K, weights.V), weights.K, weights.V),
	moved("norms of a layer exchanged", exchanged(weights.AttnNorm, weights.FFNNorm), weights.AttnNorm, weights.FFNNorm),
	moved("two heads of q exchanged", func(p weights.Param, r, c int) (weights.Param, int, int) {
		if r < 32 {
			r = (r + 16) % 32
		}
		return p, r, c
	}, weights.Q),
	moved("rows of the output matrix one too high", func(p weights.Param, r, c int) (weights.Param, int, int) {
		return p, max(r-1, 0), c
	}, weights.Output),
	changed("a matrix scaled by 1.01", weights.V, func(v float32, _, _ int) float32 { return v * 1.01 }),
	changed("a row scaled by 2", weights.Down, func(v float32, r, _ int) float32 {
		if r == 3 {
			return 2 * v
		}
		return v
	}),
	changed("a piece of zeros", weights.Gate, func(v float32, r, _ int) float32 {
		if r < 8 {
			return 0
		}
		return v
	}),
	changed("a norm dropped", weights.FFNNorm, one),
	changed("the last norm dropped", weights.Norm, one),
	{name: "layers exchanged", values: func(o origin) modeltest.Values {
		return rounded(func(p weights.Param, r, c int) float32 {
			if p.Role.InLayer() {
				p.Layer = 1 - p.Layer
			}
			return o.sum(p, r, c)
		})
	}},
	{name: "a layer twice", values: func(o origin) modeltest.Values {
		return rounded(func(p weights.Param, r, c int) float32 {
			p.Layer = 0
			return o.sum(p, r, c)
		})
	}},
	{name: "the base for the model", values: func(o origin) modeltest.Values { return rounded(o.base) }},
	{name: "a base that was rounded to bf16", values: func(o origin) modeltest.Values {
		return rounded(func(p weights.Param, r, c int) float32 {
			return half.FromBF16(half.ToBF16(o.base(p, r, c))) + o.delta(p, r, c)
		})
	}},
	{name: "half a matrix truncated and not rounded", values: func(o origin) modeltest.Values {
		right := rounded(o.sum)
		return func(p weights.Param, r, c int) uint16 {
			if p == (weights.Param{Layer: 1, Role: weights.Down}) && r%2 == 0 {
				return uint16(math.Float32bits(o.sum(p, r, c)) >> 16)
			}
			return right(p, r, c)
		}
	}},
	{name: "the rotary base of another model", config: map[string]any{"rope_theta": 500000}},
	{name: "the epsilon of another model", config: map[string]any{"rms_norm_eps": 1e-5}},
	{name: "another number of heads", config: map[string]any{"num_attention_heads": 2, "num_key_value_heads": 2}},
}

// made returns a model of package modeltest whose matrices are scaled up, so that
// attention prefers some tokens to others.
func made() origin {
	m := modeltest.Tiny
	return origin{
		func(p weights.Param, r, c int) float32 {
			v := half.FromF16(m.Base(p, r, c))
			if p.Role.IsNorm() {
				return v
			}
			return 8 * v
		},
		func(p weights.Param, r, c int) float32 { return half.FromBF16(m.Diff(p, r, c)) },
	}
}

// write writes a model of Tiny's shape as a Hugging Face directory and opens it.
func write(t *testing.T, v modeltest.Values, config map[string]any) *Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model")
	require.NoError(t, modeltest.Tiny.Write(path, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.BF16, Values: v}))
	if config != nil {
		editConfig(t, path, config)
	}
	return openModel(t, path, 0, nil)
}

// editConfig changes fields of a model's config.json.
func editConfig(t *testing.T, path string, config map[string]any) {
	t.Helper()
	file := filepath.Join(path, "config.json")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(text, &fields))
	maps.Copy(fields, config)
	text, err = json.Marshal(fields)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o644))
}

// openModel opens a model. Heads is zero if the files have the number of heads.
func openModel(t *testing.T, path string, heads int, opts *Options) *Model {
	t.Helper()
	c, err := weights.Open(t.Context(), path, &weights.OpenOptions{Heads: heads})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	m, err := Open(t.Context(), c, opts)
	require.NoError(t, err)
	return m
}

// expectationOf returns the logits of a model as an expectation.
func expectationOf(t *testing.T, m *Model, tokens []int32) *Expectation {
	t.Helper()
	l, err := m.Logits(t.Context(), tokens)
	require.NoError(t, err)
	var r Reference
	for i := range tokens {
		r.Top = append(r.Top, l.Top(i, 8))
	}
	for _, v := range l.At(len(tokens) - 1) {
		r.Last = append(r.Last, float64(v))
	}
	return &Expectation{Tokens: tokens, Models: map[string]Reference{"right": r}}
}

// TestFaultsOfMadeModel finds every fault in a model of modeltest.
func TestFaultsOfMadeModel(t *testing.T) {
	o := made()
	tokens := []int32{1, 57, 3, 99, 120, 0, 3, 64, 17, 5, 88, 31}
	findFaults(t, o, expectationOf(t, write(t, rounded(o.sum), nil), tokens))
}

// TestFaultsOfFixture finds every fault in the fixture S, by the logits of the
// reference.
func TestFaultsOfFixture(t *testing.T) {
	e := expectation(t, "S")
	e.Models = map[string]Reference{"recovered-bf16": e.Models["recovered-bf16"]}
	base := readValues(t, openFixture(t, "S", "base/easylm-fp16.stream"))
	findFaults(t, origin{base, readValues(t, openFixture(t, "S", "diff/diff-bf16.stream"))}, e)
}

// readValues reads all weights of a checkpoint.
func readValues(t *testing.T, c *weights.Checkpoint) values {
	t.Helper()
	all := map[weights.Param][]float32{}
	for _, p := range c.Params() {
		v, err := c.View(p, weights.Meta)
		require.NoError(t, err)
		raw := make([]byte, v.Rows()*v.RowBytes())
		require.NoError(t, v.ReadRows(raw, 0, v.Rows(), nil))
		all[p] = make([]float32, len(raw)/int(v.DType.Size()))
		half.Floats(all[p], raw, dtype.Type(v.DType))
	}
	return func(p weights.Param, r, c int) float32 {
		cols := modeltest.Tiny.Dim
		switch {
		case p.Role.IsNorm():
			cols = 1
		case p.Role == weights.Down:
			cols = modeltest.Tiny.FFN
		}
		return all[p][r*cols+c]
	}
}

func findFaults(t *testing.T, o origin, e *Expectation) {
	right, err := write(t, rounded(o.sum), nil).Expect(t.Context(), e, 5e-6)
	require.NoError(t, err)
	require.NotEmpty(t, right.Matches, "%+v", right.Models)
	require.Zero(t, right.Models[0].Swaps)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			v := rounded(o.sum)
			if f.values != nil {
				v = f.values(o)
			}
			r, err := write(t, v, f.config).Expect(t.Context(), e, 0)
			require.NoError(t, err)
			t.Logf("moves logits by %.2g, %d swaps", r.Models[0].MaxDifference, r.Models[0].Swaps)
			require.Empty(t, r.Matches)
		})
	}
}
