package diff

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

// TestTrialIsGood runs each operation on the inputs that the tests below damage.
func TestTrialIsGood(t *testing.T) {
	for name, do := range map[string]operator{"recover": recoverIt, "convert": convertIt} {
		x := newTrial(t)
		require.NoError(t, do(t, x), name)
	}
	x := newTrial(t)
	require.NoError(t, makeIt(t, &trial{base: x.base, delta: target(t, x), out: x.out, ctx: t.Context()}), "make")
}

// target writes a whole model to make a diff of.
func target(t *testing.T, x *trial) string {
	t.Helper()
	path := x.delta + ".target"
	m := modeltest.Tiny
	m.Seed++
	write(t, m, path, &modeltest.Options{Format: hf, DType: dtype.F16, Values: m.Base})
	return path
}

const (
	gateHF, normHF     = "model.layers.1.mlp.gate_proj.weight", "model.norm.weight"
	gateLM, normLM     = "transformer/h/1/feed_forward/w1/kernel", "transformer/ln_f/kernel"
	lastLM, outputHF   = "transformer/wte/embedding", "lm_head.weight"
	layer2HF, layer2LM = "model.layers.2.mlp.gate_proj.weight", "transformer/h/2/feed_forward/w1/kernel"
)

// TestWhole has inputs that are not one whole model.
func TestWhole(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(t *testing.T, x *trial)
		says   string
	}{
		"base lacks a tensor":     {func(t *testing.T, x *trial) { edit(t, x.base, without(gateHF)) }, "tensors missing: " + gateHF},
		"base lacks the output":   {func(t *testing.T, x *trial) { edit(t, x.base, without(outputHF)) }, "tensors missing: " + outputHF},
		"diff lacks a tensor":     {func(t *testing.T, x *trial) { editStream(t, x.delta, without(gateLM)) }, "tensors missing: " + gateLM},
		"diff lacks its end":      {cutLastRecord, "tensors missing: " + lastLM},
		"base has one more":       {func(t *testing.T, x *trial) { edit(t, x.base, with("lora.weight", "F16", 2)) }, "not of a LLaMA model: lora.weight"},
		"diff has one more":       {func(t *testing.T, x *trial) { editStream(t, x.delta, with("lora/kernel", "BF16", 2)) }, "not of a LLaMA model: lora/kernel"},
		"base has half a layer":   {func(t *testing.T, x *trial) { edit(t, x.base, with(layer2HF, "F16", 176, 64)) }, "tensors missing: model.layers.2."},
		"diff has half a layer":   {func(t *testing.T, x *trial) { editStream(t, x.delta, with(layer2LM, "BF16", 64, 176)) }, "tensors missing: transformer/h/2/"},
		"base has another shape":  {func(t *testing.T, x *trial) { edit(t, x.base, with(gateHF, "F16", 177, 64)) }, "has shape"},
		"diff has another shape":  {func(t *testing.T, x *trial) { editStream(t, x.delta, with(gateLM, "BF16", 176, 64)) }, "has shape"},
		"diff's norm is a scalar": {func(t *testing.T, x *trial) { editStream(t, x.delta, with(normLM, "BF16")) }, "has shape"},
		"base of integers":        {func(t *testing.T, x *trial) { edit(t, x.base, with(gateHF, "I64", 176, 64)) }, `"` + gateHF + `" has type I64`},
		"base of doubles":         {func(t *testing.T, x *trial) { edit(t, x.base, with(normHF, "F64", 64)) }, `"` + normHF + `" has type F64`},
		"base is another model": {func(t *testing.T, x *trial) {
			edit(t, x.base, func([]tensor.Tensor) []tensor.Tensor { return with("wte.weight", "F16", 2)(nil) })
		}, "no tensor has the name"},
		"base is empty": {func(t *testing.T, x *trial) {
			edit(t, x.base, func([]tensor.Tensor) []tensor.Tensor { return nil })
		}, "no tensor has the name"},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t)
			c.damage(t, x)
			removeConfig(t, x.base) // its check might come first
			x.opts.Heads = modeltest.Tiny.Heads
			requireCheck(t, x, CheckWhole, c.says)
			x.opts.Allow = everyCheck
			requireCheck(t, x, CheckWhole, c.says)
		})
	}
	x := newTrial(t)
	edit(t, x.base, without(gateHF))
	x.do = convertIt
	requireCheck(t, x, CheckWhole, "input "+x.base)
}

// everyCheck has the names of all checks. Three of them can be overridden.
var everyCheck = []string{CheckWhole, CheckSize, CheckSwapped, CheckRounded, CheckOutput, CheckSpace}

func removeConfig(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(dir, "config.json")))
}

// cutLastRecord cuts the diff where its last record begins. All other records are
// whole.
func cutLastRecord(t *testing.T, x *trial) {
	t.Helper()
	list, done := tensors(t, x.delta, true)
	defer done()
	last := list[len(list)-1]
	require.Equal(t, lastLM, last.Name)
	before := list[len(list)-2]
	require.NoError(t, os.Truncate(x.delta, before.Offset+before.Bytes()))
}

// TestCutStream cuts the diff within and between other records.
func TestCutStream(t *testing.T) {
	x := newTrial(t)
	list, done := tensors(t, x.delta, true)
	defer done()
	info, err := os.Stat(x.delta)
	require.NoError(t, err)
	for _, at := range []int64{1, 2, 3, 100, list[5].Offset - 1, list[5].Offset, list[5].Offset + 1, list[5].Offset + list[5].Bytes() - 1, list[5].Offset + list[5].Bytes() + 1, info.Size() - 1} {
		whole, err := os.ReadFile(x.delta)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(x.delta, at))
		bad := requireFormatError(t, x, io.ErrUnexpectedEOF)
		require.Equal(t, x.delta, bad.Path)
		require.LessOrEqual(t, bad.Offset, at)
		require.NoError(t, os.WriteFile(x.delta, whole, 0o644))
	}
	require.NoError(t, x.do(t, x), "and whole again")
}

func requireFormatError(t *testing.T, x *trial, kind error) *weights.FormatError {
	t.Helper()
	err := requireUntouched(t, x)
	var bad *weights.FormatError
	require.ErrorAs(t, err, &bad)
	require.ErrorIs(t, err, kind)
	require.Regexp(t, "^(base|diff|target|input): ", err.Error(), "it says which input")
	return bad
}

// TestRecordTwice has two records of one name, next to each other or not.
func TestRecordTwice(t *testing.T) {
	for _, front := range []bool{false, true} {
		x := newTrial(t)
		editStream(t, x.delta, func(list []tensor.Tensor) []tensor.Tensor {
			if front {
				return append(list[3:4:4], list...)
			}
			return append(list, list[3])
		})
		bad := requireFormatError(t, x, weights.ErrMalformed)
		require.NotEmpty(t, bad.Tensor)
	}
	x := newTrial(t)
	f, err := os.OpenFile(x.delta, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write([]byte{0x92})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	requireFormatError(t, x, io.ErrUnexpectedEOF)
}

// TestSizes has two whole models of different shapes.
func TestSizes(t *testing.T) {
	stream := &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: modeltest.Tiny.Diff}
	directory := &modeltest.Options{Format: hf, DType: dtype.BF16, Values: modeltest.Tiny.Diff}
	for name, c := range map[string]struct {
		change func(m *modeltest.Model)
		o      *modeltest.Options
		says   []string
	}{
		"layers":              {func(m *modeltest.Model) { m.Layers++ }, stream, []string{"has layers 2", "has 3"}},
		"width":               {func(m *modeltest.Model) { m.Dim = 32 }, stream, []string{"has a width of 64", "has 32"}},
		"feed-forward":        {func(m *modeltest.Model) { m.FFN++ }, stream, []string{"has a feed-forward width of 176", "has 177"}},
		"one more vocabulary": {func(m *modeltest.Model) { m.Vocab++ }, stream, []string{"has a vocabulary of 128", "has 129"}},
		"heads":               {func(m *modeltest.Model) { m.Heads = 8 }, directory, []string{"has 4 attention heads", "has 8"}},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t)
			m := modeltest.Tiny
			c.change(&m)
			write(t, m, x.delta, c.o)
			for _, do := range []operator{recoverIt, makeIt} {
				x.do, x.opts = do, &Options{Allow: everyCheck}
				requireCheck(t, x, CheckSize, x.base)
				err := x.do(t, x)
				require.ErrorContains(t, err, x.delta)
				if name != "heads" {
					require.ErrorContains(t, err, "(sizes other and other)")
				}
			}
			x.do = recoverIt
			for _, says := range c.says {
				require.ErrorContains(t, x.do(t, x), says)
			}
		})
	}
}

// TestReleasedSizes gives a 13B diff to the 7B base. The files are sparse.
func TestReleasedSizes(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: writes sparse files of 13 and 26 GB")
	}
	x := newTrial(t)
	require.NoError(t, os.RemoveAll(x.base))
	seven := modeltest.Model{Layers: 32, Dim: 4096, FFN: 11008, Vocab: 32000, Heads: 32}
	thirteen := modeltest.Model{Layers: 40, Dim: 5120, FFN: 13824, Vocab: 32000, Heads: 40}
	if err := seven.Write(x.base, &modeltest.Options{Format: hf, DType: dtype.F16}); err != nil {
		t.Skipf("this file system has no sparse files of 10 GB: %v", err)
	}
	if err := thirteen.Write(x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16}); err != nil {
		t.Skipf("this file system has no sparse files of 26 GB: %v", err)
	}
	requireCheck(t, x, CheckSize, "(sizes 7B and 13B)")
}

// TestTied has an output matrix in one input only.
func TestTied(t *testing.T) {
	x := newTrial(t)
	edit(t, x.base, without(outputHF))
	config := filepath.Join(x.base, "config.json")
	require.NoError(t, os.WriteFile(config, []byte(`{"tie_word_embeddings":true,"num_attention_heads":4}`), 0o644))
	requireCheck(t, x, CheckSize, "has an output matrix")
}

// TestSwapped gives a model for the diff, or the diff for a model.
func TestSwapped(t *testing.T) {
	x := newTrial(t)
	x.base, x.delta = x.delta, x.base
	requireCheck(t, x, CheckSwapped, "root mean square of norm weights")
	require.ErrorContains(t, recoverIt(t, x), "exchange them")

	x = newTrial(t)
	x.delta = target(t, x)
	requireCheck(t, x, CheckSwapped, x.delta)
	require.ErrorContains(t, recoverIt(t, x), "looks like a whole model")
	x.opts.Allow = []string{CheckSwapped}
	require.NoError(t, recoverIt(t, x), "overridden")

	x = newTrial(t)
	x.do = makeIt
	requireCheck(t, x, CheckSwapped, "target "+x.delta)
	require.ErrorContains(t, makeIt(t, x), "give two whole models")
	x.opts.Allow = []string{CheckSwapped}
	require.NoError(t, makeIt(t, x), "overridden")

	x = newTrial(t)
	x.do, x.base, x.delta = makeIt, x.delta, target(t, x)
	requireCheck(t, x, CheckSwapped, "base "+x.base)
}

// TestRounded has a base in bf16.
func TestRounded(t *testing.T) {
	x := newTrial(t)
	m := modeltest.Tiny
	rounded := func(p weights.Param, row, col int) uint16 { return toBF16(fromF16(m.Base(p, row, col))) }
	write(t, m, x.base, &modeltest.Options{Format: hf, DType: dtype.BF16, Values: rounded})
	requireCheck(t, x, CheckRounded, "100.0 % of the examined weights in base "+x.base)
	x.delta, x.do = target(t, x), makeIt
	requireCheck(t, x, CheckRounded, "100.0 % of the examined weights in base "+x.base)
	x.opts.Allow = []string{CheckSwapped}
	requireCheck(t, x, CheckRounded, "base")
	x.opts.Allow = []string{CheckRounded}
	require.NoError(t, makeIt(t, x))
	x.base, x.delta, x.do = x.delta, x.base, makeIt
	x.opts.Force = true
	require.NoError(t, makeIt(t, x), "a target may be in bf16")
	x.base, x.do = x.delta, convertIt
	require.NoError(t, convertIt(t, x), "and what is converted")
}

// TestRoundedAndStoredWider has a base that was rounded to bf16 and is stored in
// fp16 or fp32, so that its type does not show it.
func TestRoundedAndStoredWider(t *testing.T) {
	for _, dt := range []dtype.Type{dtype.F16, dtype.F32} {
		x := newTrial(t)
		require.NoError(t, do(Convert(t.Context(), x.base, x.out+"1", &Options{DType: dtype.BF16})))
		require.NoError(t, do(Convert(t.Context(), x.out+"1", x.out+"2", &Options{DType: dt})))
		x.base = x.out + "2"
		requireCheck(t, x, CheckRounded, "of the examined weights in base")
	}
	x := newTrial(t) // fp16 numbers in fp32 are a good base
	require.NoError(t, do(Convert(t.Context(), x.base, x.out+"1", &Options{DType: dtype.F32})))
	x.base = x.out + "1"
	require.NoError(t, recoverIt(t, x))
}

// do drops a report.
func do(_ *Report, err error) error { return err }

// TestUnreadableInputs checks that the error names the input.
func TestUnreadableInputs(t *testing.T) {
	x := newTrial(t)
	x.delta = filepath.Join(t.TempDir(), "absent")
	err := requireUntouched(t, x)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "diff: ")
	x.base = t.TempDir()
	err = requireUntouched(t, x)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "base: ")
}

// TestUnknownHeads has two streams, neither of which contains the number of
// heads. A Hugging Face directory needs it.
func TestUnknownHeads(t *testing.T) {
	x := newTrial(t)
	write(t, modeltest.Tiny, x.base, &modeltest.Options{Format: easylm, DType: dtype.F16, Values: modeltest.Tiny.Base})
	err := requireUntouched(t, x)
	var unknown *weights.ModelError
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, "the number of attention heads is unknown")
	require.Contains(t, unknown.Cure, "heads")

	x.opts.Heads = 5
	err = requireUntouched(t, x)
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, "5 heads do not divide a width of 64")

	x.opts.Heads = modeltest.Tiny.Heads
	require.NoError(t, x.do(t, x))
	x.opts.Heads, x.opts.Format, x.out = 0, easylm, x.out+".stream"
	require.NoError(t, x.do(t, x), "a stream needs no heads")
}

// TestBadOptions has wrong option values.
func TestBadOptions(t *testing.T) {
	for _, opts := range []*Options{
		{DType: "I64"}, {DType: "F64"}, {DType: "bf16"}, {DType: "I64", Format: easylm},
		{Format: "meta"}, {Format: weights.FormatFlax}, {Format: "x"},
		{DType: dtype.Q8_0}, {DType: dtype.Q8_0, Format: easylm}, {DType: dtype.Q8_0, Format: weights.FormatTorch}, {DType: "Q4_0", Format: weights.FormatGGUF},
		{Digests: "sha256"}, {Allow: []string{"swaped"}},
	} {
		for _, do := range []operator{recoverIt, convertIt} {
			x := newTrial(t)
			x.opts, x.do = opts, do
			var wrong *OptionError
			require.ErrorAs(t, requireUntouched(t, x), &wrong)
			require.Regexp(t, ": option (Format|DType|Digests|Allow): give one of ", wrong.Error())
		}
	}
}

// TestMemory has limits that are too low for the smallest blocks.
func TestMemory(t *testing.T) {
	for _, memory := range []int64{1, 1000, 10_000} {
		x := newTrial(t)
		x.opts.Memory, x.opts.Workers, x.opts.Allow = memory, 4, everyCheck
		requireMemoryError(t, x, "4 workers")
	}
	x := newTrial(t)
	x.opts.Memory = 1
	requireMemoryError(t, x, "1 worker")
}

// requireMemoryError runs an operation that the memory limit is too low for.
func requireMemoryError(t *testing.T, x *trial, what string) {
	t.Helper()
	var low *weights.MemoryError
	require.ErrorAs(t, requireUntouched(t, x), &low)
	require.Contains(t, low.What, what)
	require.Greater(t, low.Need, low.Limit)
	require.ErrorContains(t, low, ": allow more memory or fewer workers")
}

// TestManyCores has more processors than the memory limit has room for. Fewer
// workers run, unless the options set their number.
func TestManyCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(64))
	x := newTrial(t)
	x.opts.Memory = 64 << 10
	p, err := PlanRecover(t.Context(), x.base, x.delta, x.out, x.opts)
	require.NoError(t, err)
	s := p.Summary()
	require.NoError(t, p.Close())
	require.Less(t, s.Workers, 64)
	require.LessOrEqual(t, s.Memory, x.opts.Memory)
	require.NoError(t, x.do(t, x))
	requireValues(t, x.out, modeltest.Tiny, hf, dtype.BF16, sum(modeltest.Tiny))

	x = newTrial(t)
	x.opts.Memory, x.opts.Workers = 64<<10, 64
	requireMemoryError(t, x, "64 workers")
}
