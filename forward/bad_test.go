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
)

// requireClean checks that a test leaves no goroutine and no open file.
func requireClean(t *testing.T) {
	t.Helper()
	files := func() int {
		entries, _ := os.ReadDir("/proc/self/fd") // nothing where that cannot be told
		return len(entries)
	}
	before, open := runtime.NumGoroutine(), files()
	t.Cleanup(func() {
		for wait := 0; runtime.NumGoroutine() > before && wait < 100; wait++ {
			time.Sleep(10 * time.Millisecond) // goroutines that have done all but end
		}
		require.LessOrEqual(t, runtime.NumGoroutine(), before)
		require.LessOrEqual(t, files(), open)
	})
}

// requireAdvice checks that a message ends in what to do.
func requireAdvice(t *testing.T, err error) {
	t.Helper()
	parts := strings.Split(err.Error(), ": ")
	require.GreaterOrEqual(t, len(parts), 3, err.Error())
	require.Regexp(t, `^(take|give|allow|compare)\b`, parts[len(parts)-1], err.Error())
}

// TestBadModels opens what is no model that runs.
func TestBadModels(t *testing.T) {
	for name, bad := range map[string]struct {
		model   modeltest.Model
		format  weights.Format
		heads   int
		config  map[string]any
		change  func(t *testing.T, path string)
		problem string
	}{
		"a tensor is missing":        {model: modeltest.Tiny, format: weights.FormatEasyLM, heads: 4, change: dropLast, problem: "missing: "},
		"a tensor is too much":       {model: modeltest.Tiny, format: weights.FormatEasyLM, heads: 4, change: addOne, problem: "not of a LLaMA model: transformer/h/0/attention/wx/kernel"},
		"no number of heads":         {model: modeltest.Tiny, format: weights.FormatEasyLM, problem: "heads is unknown"},
		"heads that do not divide":   {model: modeltest.Tiny, format: weights.FormatEasyLM, heads: 5, problem: "5 heads do not divide a width of 64"},
		"a head of odd width":        {model: modeltest.Model{Layers: 1, Dim: 66, FFN: 8, Vocab: 8, Heads: 6}, format: weights.FormatEasyLM, heads: 6, problem: "6 heads do not divide a width of 66 into pairs"},
		"groups that do not divide":  {model: modeltest.Model{Layers: 1, Dim: 72, FFN: 8, Vocab: 8, Heads: 6, KVHeads: 4}, format: weights.FormatSafetensors, problem: "4 heads of keys do not divide 6 heads of queries"},
		"scaled rotary embeddings":   {model: modeltest.Tiny, format: weights.FormatSafetensors, config: map[string]any{"rope_scaling": map[string]any{"type": "linear", "factor": 2}}, problem: "scaled"},
		"a rotary base of less than": {model: modeltest.Tiny, format: weights.FormatSafetensors, config: map[string]any{"rope_theta": -1}, problem: "rotary base of -1"},
		"an epsilon of nonsense":     {model: modeltest.Tiny, format: weights.FormatSafetensors, config: map[string]any{"rms_norm_eps": -1}, problem: "epsilon of norms of -1"},
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
			c, err := weights.Open(path, &weights.OpenOptions{Heads: bad.heads})
			if err == nil {
				defer c.Close()
				_, err = Open(c, nil)
			}
			var e *weights.ModelError
			require.ErrorAs(t, err, &e)
			require.Contains(t, e.Problem, bad.problem)
			requireAdvice(t, err)
		})
	}
}

// records lists the arrays of a stream.
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

// addOne adds an array to a stream.
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

// TestBadTokens gives texts that no model reads, to passes and sessions.
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

// TestNonFinite puts an infinity or a NaN into each weight in turn: it is named,
// with its place in Meta's layout, from files and at loading.
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
			want := &NonFiniteError{weights.HuggingFace.Name(p), 5*64 + 7}
			switch {
			case p.Role.IsNorm():
				want.Index = 5
			case p.Role == weights.Down:
				want.Index = 5*176 + 7
			}
			c, err := weights.Open(path, nil)
			require.NoError(t, err)
			m, err := Open(c, nil)
			if !p.Role.IsNorm() {
				require.NoError(t, err)
				_, err = m.Logits(t.Context(), []int32{1, 5, 2, 3})
			}
			require.Equal(t, want, err, "%v", p)
			requireAdvice(t, err)
			_, err = Load(t.Context(), c, nil)
			require.Equal(t, want, err, "%v", p)
			if p.Role == weights.Embed { // a row that is not used is not read
				_, err = m.Logits(t.Context(), []int32{1, 2, 3})
				require.NoError(t, err)
			}
			require.NoError(t, c.Close())
		}
	}
}

// TestOverflow has weights whose products are infinite.
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
	require.Equal(t, &NonFiniteError{"model.layers.0.mlp.gate_proj.weight", -1}, err)
	requireAdvice(t, err)
}

// TestShrunk has a file that is cut while the model is open.
func TestShrunk(t *testing.T) {
	requireClean(t)
	for _, format := range []weights.Format{weights.FormatSafetensors, weights.FormatEasyLM} {
		path := filepath.Join(t.TempDir(), "model")
		require.NoError(t, modeltest.Tiny.Write(path, &modeltest.Options{Format: format, DType: dtype.F16, Values: modeltest.Tiny.Base}))
		c, err := weights.Open(path, &weights.OpenOptions{Heads: 4})
		require.NoError(t, err)
		m, err := Open(c, nil)
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

// TestMemory has limits that are too low, and one that is kept by lowering the
// number of workers.
func TestMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	require.NoError(t, modeltest.Small.Write(path, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16, Values: modeltest.Small.Base}))
	var low *MemoryError
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

// TestCancelled ends passes before and while they run. A session is as it was.
func TestCancelled(t *testing.T) {
	requireClean(t)
	path := filepath.Join(t.TempDir(), "model")
	require.NoError(t, modeltest.Small.Write(path, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.F16, Values: modeltest.Small.Base}))
	c, err := weights.Open(path, &weights.OpenOptions{Heads: 8})
	require.NoError(t, err)
	defer c.Close()
	plain, err := Open(c, nil)
	require.NoError(t, err)
	want, err := plain.Logits(t.Context(), []int32{1, 2, 3})
	require.NoError(t, err)
	for _, after := range []float64{0, 0.1, 0.5, 0.9} {
		ctx, cancel := context.WithCancel(t.Context())
		o := &Options{Progress: func(p Progress) {
			if float64(p.Done) >= after*float64(p.Total) {
				cancel()
			}
		}}
		m, err := Open(c, o)
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

// TestBadExpectations reads files that expect nothing of a model.
func TestBadExpectations(t *testing.T) {
	requireClean(t)
	m := write(t, rounded(made().sum), nil)
	for _, bad := range []struct{ text, problem string }{
		{``, "unexpected end"},
		{`[]`, "not of the form"},
		{`{}`, "0 tokens and 0 models"},
		{`{"tokens":[1,2]}`, "2 tokens and 0 models"},
		{`{"tokens":[],"models":{"a":{"last":[1]}}}`, "0 tokens and 1 models"},
		{`{"tokens":[1],"models":{"a":{}}}`, "logits behind 0 of 1 tokens"},
		{`{"tokens":[1,2],"models":{"a":{"top8":[[[1,0.5]]]}}}`, "logits behind 1 of 2 tokens"},
		{`{"tokens":[1],"models":{"a":{"top8":[[[1,2,3]]]}}}`, "no pair of id and logit"},
		{`{"tokens":[1],"models":{"a":{"top8":[[["x",2]]]}}}`, "no pair of id and logit"},
		{`{"tokens":[1],"models":{"a":{"top8":[[[4294967296,2]]]}}}`, "no pair of id and logit"},
		{`{"tokens":[1],"models":{"a":{"top8":[[[128,2]]]}}}`, "the token 128 in a vocabulary of 128"},
		{`{"tokens":[1],"models":{"a":{"top8":[[[-1,2]]]}}}`, "the token -1 in a vocabulary of 128"},
		{`{"tokens":[128],"models":{"a":{"top8":[[[1,2]]]}}}`, "its text has the token 128"},
		{`{"tokens":[1],"models":{"a":{"last":[1,2,3]}}}`, "a vocabulary of 3, this one has 128"},
	} {
		path := filepath.Join(t.TempDir(), "logits.json")
		require.NoError(t, os.WriteFile(path, []byte(bad.text), 0o644))
		e, err := ReadExpectation(path)
		if err == nil {
			_, err = m.Expect(t.Context(), e, 0)
		}
		var refused *ExpectationError
		require.ErrorAs(t, err, &refused, bad.text)
		require.Equal(t, path, refused.Path)
		require.Contains(t, refused.Problem, bad.problem)
		requireAdvice(t, err)
	}
	_, err := ReadExpectation(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = m.Expect(t.Context(), &Expectation{}, 0)
	var refused *ExpectationError
	require.ErrorAs(t, err, &refused)
	requireAdvice(t, err)
	long := &Expectation{Tokens: make([]int32, 3000), Models: map[string]Reference{"a": {Last: make([]float64, 128)}}}
	_, err = m.Expect(t.Context(), long, 0)
	require.Equal(t, &ContextError{3000, 2048}, err)
}

// TestAnotherModel compares with what another model of the same vocabulary
// gave: that is a difference, and no error.
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

// TestNaNIsNoMatch: an expectation cannot be met by what is no number.
func TestNaNIsNoMatch(t *testing.T) {
	m := write(t, rounded(made().sum), nil)
	e := expectationOf(t, m, []int32{1, 2})
	e.Models["right"].Last[3] = math.NaN()
	r, err := m.Expect(t.Context(), e, 0)
	require.NoError(t, err)
	require.Empty(t, r.Matches)
}

func TestBadComparisons(t *testing.T) {
	requireClean(t)
	m := write(t, rounded(made().sum), nil)
	other := write(t, rounded(made().sum), map[string]any{"num_attention_heads": 2, "num_key_value_heads": 2})
	_, err := Compare(t.Context(), m, other, nil)
	var shape *ShapeError
	require.ErrorAs(t, err, &shape)
	requireAdvice(t, err)
	_, err = m.Plausibility(t.Context(), nil)
	require.Equal(t, &VocabularyError{128}, err)
	requireAdvice(t, err)
	_, err = m.Plausibility(t.Context(), []int32{1})
	require.ErrorIs(t, err, errShort)
	requireAdvice(t, err)
	_, err = m.Plausibility(t.Context(), []int32{})
	require.True(t, errors.Is(err, ErrEmpty))
}
