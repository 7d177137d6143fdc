package forward

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/progress"
)

// requireClean checks that a test leaves neither goroutines nor open files.
func requireClean(t *testing.T) {
	t.Helper()
	files := func() int {
		entries, _ := os.ReadDir("/proc/self/fd") // empty on systems without /proc
		return len(entries)
	}
	before, open := runtime.NumGoroutine(), files()
	t.Cleanup(func() {
		for wait := 0; runtime.NumGoroutine() > before && wait < 100; wait++ {
			time.Sleep(10 * time.Millisecond) // goroutines that are about to end
		}
		require.LessOrEqual(t, runtime.NumGoroutine(), before)
		require.LessOrEqual(t, files(), open)
	})
}

// nonFiniteError returns the error that a pass returns.
func nonFiniteError(what, tensor string, index int64) *weights.NonFiniteError {
	return nonFinite(what, tensor, index).(*weights.NonFiniteError)
}

// requireAdvice checks that a message ends with advice.
func requireAdvice(t *testing.T, err error) {
	t.Helper()
	parts := strings.Split(err.Error(), ": ")
	require.GreaterOrEqual(t, len(parts), 3, err.Error())
	require.Regexp(t, `^(take|give|allow|compare)\b`, parts[len(parts)-1], err.Error())
}

// TestBadModels opens checkpoints that this package cannot run.
func TestBadModels(t *testing.T) {
	for name, bad := range map[string]struct {
		model   modeltest.Model
		format  weights.Format
		heads   int
		config  map[string]any
		change  func(t *testing.T, path string)
		problem string
	}{
		"a tensor is missing":       {model: modeltest.Tiny, format: weights.FormatEasyLM, heads: 4, change: dropLast, problem: "missing: "},
		"a tensor too many":         {model: modeltest.Tiny, format: weights.FormatEasyLM, heads: 4, change: addOne, problem: "not of a LLaMA model: transformer/h/0/attention/wx/kernel"},
		"no number of heads":        {model: modeltest.Tiny, format: weights.FormatEasyLM, problem: "heads is unknown"},
		"heads that do not divide":  {model: modeltest.Tiny, format: weights.FormatEasyLM, heads: 5, problem: "5 heads do not divide a width of 64"},
		"a head of odd width":       {model: modeltest.Model{Layers: 1, Dim: 66, FFN: 8, Vocab: 8, Heads: 6}, format: weights.FormatEasyLM, heads: 6, problem: "6 heads do not divide a width of 66 into pairs"},
		"groups that do not divide": {model: modeltest.Model{Layers: 1, Dim: 72, FFN: 8, Vocab: 8, Heads: 6, KVHeads: 4}, format: weights.FormatSafetensors, problem: "4 key heads do not divide 6 query heads"},
		"scaled rotary embeddings":  {model: modeltest.Tiny, format: weights.FormatSafetensors, config: map[string]any{"rope_scaling": map[string]any{"type": "linear", "factor": 2}}, problem: "scaled"},
		"a negative rotary base":    {model: modeltest.Tiny, format: weights.FormatSafetensors, config: map[string]any{"rope_theta": -1}, problem: "rotary base of -1"},
		"a negative epsilon":        {model: modeltest.Tiny, format: weights.FormatSafetensors, config: map[string]any{"rms_norm_eps": -1}, problem: "norm epsilon of -1"},
	} {
		t.Run(name, func(t *testing.T) {
			requireClean(t)
			path := filepath.Join(t.TempDir(), "model")
			require.NoError(t, bad.model.Write(path, &modeltest.Options{Format: bad.format, DType: dtype.F16, Values: bad.model.Base}))
			if bad.config != nil {
				editConfig(t, path, bad.config)
			}
			if bad.change != nil {
				bad.change(t, path)
			}
			c, err := weights.Open(t.Context(), path, &weights.OpenOptions{Heads: bad.heads})
			if err == nil {
				defer c.Close()
				_, err = Open(t.Context(), c, nil)
			}
			var e *weights.ModelError
			require.ErrorAs(t, err, &e)
			require.Contains(t, e.Problem, bad.problem)
			requireAdvice(t, err)
		})
	}
}

// records lists the tensors of a stream.
func records(t *testing.T, path string) []tensor.Tensor {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	file, err := flax.Read(f, info.Size())
	require.NoError(t, err)
	return file.Tensors
}

// dropLast cuts the last record off a stream.
func dropLast(t *testing.T, path string) {
	list := records(t, path)
	last := list[len(list)-2]
	require.NoError(t, os.Truncate(path, last.Offset+last.Bytes()))
}

// addOne adds a tensor to a stream.
func addOne(t *testing.T, path string) {
	x := tensor.Tensor{Name: "transformer/h/0/attention/wx/kernel", DType: "F16", Shape: []int64{2}}
	record, err := flax.AppendRecord(nil, &x)
	require.NoError(t, err)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.Write(append(record, 0, 0, 0, 0))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestBadOptions opens a model with a context that is too long.
func TestBadOptions(t *testing.T) {
	m := write(t, rounded(made().sum), nil)
	c, err := weights.Open(t.Context(), m.path, nil)
	require.NoError(t, err)
	defer c.Close()
	_, err = Open(t.Context(), c, &Options{Context: maxContext + 1})
	var wrong *OptionError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "Context", wrong.Option)
	requireAdvice(t, err)
}

// TestBadTokens gives texts that no model can read to passes and sessions.
func TestBadTokens(t *testing.T) {
	requireClean(t)
	m := write(t, rounded(made().sum), map[string]any{"max_position_embeddings": 8})
	require.Equal(t, 8, m.Context())
	nine := make([]int32, 9)
	for _, bad := range []struct {
		tokens []int32
		want   error
	}{
		{nil, ErrEmpty},
		{[]int32{}, ErrEmpty},
		{[]int32{1, -1}, &TokenError{1, -1, 128}},
		{[]int32{128}, &TokenError{0, 128, 128}},
		{nine, &ContextError{9, 8}},
	} {
		s := m.NewSession()
		_, err := m.Logits(t.Context(), bad.tokens)
		_, err2 := s.Append(t.Context(), bad.tokens)
		for _, err := range []error{err, err2} {
			require.Equal(t, bad.want, err)
			requireAdvice(t, err)
		}
		require.Zero(t, s.Len())
	}
	s := m.NewSession()
	_, err := s.Append(t.Context(), nine[:8])
	require.NoError(t, err)
	_, err = s.Append(t.Context(), nine[:1])
	require.Equal(t, &ContextError{9, 8}, err)
	require.Panics(t, func() { s.Truncate(9) })
	require.Panics(t, func() { s.Truncate(-1) })
}

// TestNonFinite puts an infinity or a NaN into each weight in turn. Passes and
// Load name the weight and the element in Meta's layout.
func TestNonFinite(t *testing.T) {
	config := modeltest.Tiny.Config()
	for _, p := range config.Params() {
		for _, bits := range []uint16{0x7f80, 0xff80, 0x7fc0, 0xff81} {
			requireClean(t)
			row, col := 5, 7
			if p.Role.IsNorm() {
				col = 0
			}
			path := filepath.Join(t.TempDir(), "model")
			right := rounded(made().sum)
			o := &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.BF16, Values: func(q weights.Param, r, c int) uint16 {
				if q == p && r == row && c == col {
					return bits
				}
				return right(q, r, c)
			}}
			require.NoError(t, modeltest.Tiny.Write(path, o))
			want := nonFiniteError("a weight", weights.HuggingFace.Name(p), 5*64+7)
			switch {
			case p.Role.IsNorm():
				want.Index = 5
			case p.Role == weights.Down:
				want.Index = 5*176 + 7
			}
			c, err := weights.Open(t.Context(), path, nil)
			require.NoError(t, err)
			m, err := Open(t.Context(), c, nil)
			if !p.Role.IsNorm() {
				require.NoError(t, err)
				_, err = m.Logits(t.Context(), []int32{1, 5, 2, 3})
			}
			require.Equal(t, want, err, "%v", p)
			requireAdvice(t, err)
			_, err = Load(t.Context(), c, nil)
			require.Equal(t, want, err, "%v", p)
			if p.Role == weights.Embed { // a pass reads only the rows that it uses
				_, err = m.Logits(t.Context(), []int32{1, 2, 3})
				require.NoError(t, err)
			}
			require.NoError(t, c.Close())
		}
	}
}

// TestOverflow has finite weights whose products are infinite.
func TestOverflow(t *testing.T) {
	requireClean(t)
	right := rounded(made().sum)
	m := write(t, func(p weights.Param, r, c int) uint16 {
		if p.Role == weights.Gate {
			return 0x7f00 // 2^127
		}
		return right(p, r, c)
	}, nil)
	_, err := m.Logits(t.Context(), []int32{1, 2})
	require.Equal(t, nonFiniteError("a product", "model.layers.0.mlp.gate_proj.weight", -1), err)
	requireAdvice(t, err)
}

// TestShrunk truncates a file while the model is open.
func TestShrunk(t *testing.T) {
	requireClean(t)
	for _, format := range []weights.Format{weights.FormatSafetensors, weights.FormatEasyLM} {
		path := filepath.Join(t.TempDir(), "model")
		require.NoError(t, modeltest.Tiny.Write(path, &modeltest.Options{Format: format, DType: dtype.F16, Values: modeltest.Tiny.Base}))
		c, err := weights.Open(t.Context(), path, &weights.OpenOptions{Heads: 4})
		require.NoError(t, err)
		m, err := Open(t.Context(), c, nil)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(c.Files()[0].Path, 100_000))
		_, err = m.Logits(t.Context(), []int32{1, 2})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Contains(t, err.Error(), c.Files()[0].Path)
		_, err = Load(t.Context(), c, nil)
		require.Error(t, err)
		require.NoError(t, c.Close())
	}
}

// TestMemory has limits that are too low, and one that fewer workers keep.
func TestMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	require.NoError(t, modeltest.Small.Write(path, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16, Values: modeltest.Small.Base}))
	var low *weights.MemoryError
	for _, o := range []Options{{Memory: 100_000}, {Memory: 800_000, Workers: 16}} {
		_, err := openModel(t, path, 0, &o).Logits(t.Context(), []int32{1, 2, 3})
		require.ErrorAs(t, err, &low)
		require.Equal(t, o.Memory, low.Limit)
		require.Greater(t, low.Need, low.Limit)
		requireAdvice(t, err)
	}
	long := make([]int32, 2000)
	_, err := openModel(t, path, 0, &Options{Memory: 30 << 20}).Logits(t.Context(), long)
	require.ErrorAs(t, err, &low)
	want, err := openModel(t, path, 0, nil).Logits(t.Context(), long[:4])
	require.NoError(t, err)
	got, err := openModel(t, path, 0, &Options{Memory: 800_000}).Logits(t.Context(), long[:4])
	require.NoError(t, err)
	require.Equal(t, bitsOf(want.Values), bitsOf(got.Values))
}

// TestCancelled cancels passes before and while they run. A session is unchanged.
func TestCancelled(t *testing.T) {
	requireClean(t)
	path := filepath.Join(t.TempDir(), "model")
	require.NoError(t, modeltest.Small.Write(path, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.F16, Values: modeltest.Small.Base}))
	c, err := weights.Open(t.Context(), path, &weights.OpenOptions{Heads: 8})
	require.NoError(t, err)
	defer c.Close()
	plain, err := Open(t.Context(), c, nil)
	require.NoError(t, err)
	want, err := plain.Logits(t.Context(), []int32{1, 2, 3})
	require.NoError(t, err)
	for _, after := range []float64{0, 0.1, 0.5, 0.9} {
		ctx, cancel := context.WithCancel(t.Context())
		o := &Options{Progress: func(p progress.Progress) {
			if float64(p.Done) >= after*float64(p.Total) {
				cancel()
			}
		}}
		m, err := Open(t.Context(), c, o)
		require.NoError(t, err)
		_, err = m.Logits(ctx, []int32{1, 2, 3})
		require.ErrorIs(t, err, context.Canceled)
		_, err = Load(ctx, c, nil)
		require.ErrorIs(t, err, context.Canceled)
		s := plain.NewSession()
		_, err = s.Append(t.Context(), []int32{1})
		require.NoError(t, err)
		_, err = s.Append(ctx, []int32{2})
		require.ErrorIs(t, err, context.Canceled)
		got, err := s.Append(t.Context(), []int32{2, 3})
		require.NoError(t, err)
		require.Equal(t, bitsOf(want.At(2)), bitsOf(got))
	}
}

// TestBadExpectations reads malformed files, and files for another model.
func TestBadExpectations(t *testing.T) {
	requireClean(t)
	m := write(t, rounded(made().sum), nil)
	for _, bad := range []struct{ text, problem string }{
		{``, "unexpected end"},
		{`[]`, "not of the form"},
		{`{}`, "0 tokens and 0 models"},
		{`{"tokens":[1,2]}`, "2 tokens and 0 models"},
		{`{"tokens":[],"models":{"a":{"last":[1]}}}`, "0 tokens and 1 models"},
		{`{"tokens":[1],"models":{"a":{}}}`, "logits for 0 of 1 tokens"},
		{`{"tokens":[1,2],"models":{"a":{"top8":[[[1,0.5]]]}}}`, "logits for 1 of 2 tokens"},
		{`{"tokens":[1],"models":{"a":{"top8":[[[1,2,3]]]}}}`, "not a pair of id and logit"},
		{`{"tokens":[1],"models":{"a":{"top8":[[["x",2]]]}}}`, "not a pair of id and logit"},
		{`{"tokens":[1],"models":{"a":{"top8":[[[4294967296,2]]]}}}`, "not a pair of id and logit"},
		{`{"tokens":[1],"models":{"a":{"top8":[[[128,2]]]}}}`, "the token 128 in a vocabulary of 128"},
		{`{"tokens":[1],"models":{"a":{"top8":[[[-1,2]]]}}}`, "the token -1 in a vocabulary of 128"},
		{`{"tokens":[128],"models":{"a":{"top8":[[[1,2]]]}}}`, "the text has the token 128"},
		{`{"tokens":[1],"models":{"a":{"last":[1,2,3]}}}`, "a vocabulary of 3, this one has 128"},
	} {
		path := filepath.Join(t.TempDir(), "logits.json")
		require.NoError(t, os.WriteFile(path, []byte(bad.text), 0o644))
		e, err := ReadExpectation(t.Context(), path)
		if err == nil {
			_, err = m.Expect(t.Context(), e, 0)
		}
		var refused *ExpectationError
		require.ErrorAs(t, err, &refused, bad.text)
		require.Equal(t, path, refused.Path)
		require.Contains(t, refused.Problem, bad.problem)
		requireAdvice(t, err)
	}
	_, err := ReadExpectation(t.Context(), filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = m.Expect(t.Context(), &Expectation{}, 0)
	var refused *ExpectationError
	require.ErrorAs(t, err, &refused)
	requireAdvice(t, err)
	long := &Expectation{Tokens: make([]int32, 3000), Models: map[string]Reference{"a": {Last: make([]float64, 128)}}}
	_, err = m.Expect(t.Context(), long, 0)
	require.Equal(t, &ContextError{3000, 2048}, err)
}

// TestAnotherModel compares with the logits of another model of the same
// vocabulary: the report says that they differ, and there is no error.
func TestAnotherModel(t *testing.T) {
	o := made()
	e := expectationOf(t, write(t, rounded(o.sum), nil), []int32{1, 2, 3, 4})
	other := write(t, func(p weights.Param, r, c int) uint16 { return rounded(o.sum)(p, r, 63-c%64) }, nil)
	r, err := other.Expect(t.Context(), e, 0)
	require.NoError(t, err)
	require.Empty(t, r.Matches)
	require.Greater(t, r.Models[0].MaxDifference, 1.)
	require.Equal(t, 4*8+128, r.Models[0].Compared)
}

// TestNaNIsNoMatch expects NaN, which no logit matches.
func TestNaNIsNoMatch(t *testing.T) {
	m := write(t, rounded(made().sum), nil)
	e := expectationOf(t, m, []int32{1, 2})
	e.Models["right"].Last[3] = math.NaN()
	r, err := m.Expect(t.Context(), e, 0)
	require.NoError(t, err)
	require.Empty(t, r.Matches)
}

// TestBadComparisons compares models of two shapes, and texts that are too short.
func TestBadComparisons(t *testing.T) {
	requireClean(t)
	m := write(t, rounded(made().sum), nil)
	other := write(t, rounded(made().sum), map[string]any{"num_attention_heads": 2, "num_key_value_heads": 2})
	_, err := Compare(t.Context(), m, other, nil)
	var shape *ShapeError
	require.ErrorAs(t, err, &shape)
	requireAdvice(t, err)
	_, err = m.Plausibility(t.Context(), []int32{1}, nil)
	require.ErrorIs(t, err, errShort)
	requireAdvice(t, err)
	_, err = m.Plausibility(t.Context(), nil, nil)
	require.True(t, errors.Is(err, ErrEmpty))
}
