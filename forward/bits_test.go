package forward

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/diff"
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// odd is a model with grouped heads whose widths are not multiples of the 16 lanes
// of a sum.
var odd = modeltest.Model{Layers: 3, Dim: 72, FFN: 100, Vocab: 76, Heads: 6, KVHeads: 2, Seed: 7}

// oddValues are bf16 numbers of the size of a trained model's weights.
var oddValues = rounded(func(p weights.Param, r, c int) float32 {
	v := half.FromF16(odd.Base(p, r, c))
	if p.Role.IsNorm() {
		return v
	}
	return 8 * v
})

// text returns a text with every id.
func text(m modeltest.Model) (ids []int32) {
	for i := range m.Vocab {
		ids = append(ids, int32(i*29%m.Vocab))
	}
	return ids
}

// digest returns the SHA-256 of logits as little-endian numbers.
func digest(l *Logits) string {
	b := make([]byte, 0, 4*len(l.Values))
	for _, v := range bitsOf(l.Values) {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// committed returns the digest of odd's logits that is committed in testdata.
func committed(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "odd.sha256"))
	require.NoError(t, err)
	return strings.TrimSpace(string(b))
}

// TestSameBits runs one model from many forms of checkpoints, with several numbers
// of workers, from files and from memory. All runs give the committed bits, with
// every processor and kernel.
func TestSameBits(t *testing.T) {
	dir := t.TempDir()
	want := committed(t)
	paths := map[string]string{}
	for name, o := range map[string]*modeltest.Options{
		"safetensors":       {Format: weights.FormatSafetensors},
		"small safetensors": {Format: weights.FormatSafetensors, ShardSize: 20_000},
		"easylm":            {Format: weights.FormatEasyLM},
		"meta":              {Format: weights.FormatTorch, Shards: 1},
		"meta in 2":         {Format: weights.FormatTorch, Shards: 2},
	} {
		o.DType, o.Values = dtype.BF16, oddValues
		paths[name] = filepath.Join(dir, name)
		require.NoError(t, odd.Write(paths[name], o))
	}
	for name, o := range map[string]diff.Options{
		"gguf":             {Format: weights.FormatGGUF},
		"easylm in fp32":   {Format: weights.FormatEasyLM, DType: dtype.F32, Heads: odd.Heads},
		"safetensors fp32": {Format: weights.FormatSafetensors, DType: dtype.F32},
	} {
		paths[name] = filepath.Join(dir, name)
		_, err := diff.Convert(t.Context(), paths["safetensors"], paths[name], &o)
		require.NoError(t, err)
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			for _, workers := range []int{1, 2, 3, 7} {
				m := openModel(t, path, odd.Heads, &Options{Workers: workers})
				got, err := m.Logits(t.Context(), text(odd))
				require.NoError(t, err)
				require.Equal(t, want, digest(got), "%d workers", workers)
			}
			c, err := weights.Open(t.Context(), path, &weights.OpenOptions{Heads: odd.Heads})
			require.NoError(t, err)
			m, err := Load(t.Context(), c, nil)
			require.NoError(t, err)
			require.NoError(t, c.Close())
			got, err := m.Logits(t.Context(), text(odd))
			require.NoError(t, err)
			require.Equal(t, want, digest(got))
		})
	}
}

// TestQuantized compares a Q8_0 file with the same weights in fp32.
func TestQuantized(t *testing.T) {
	dir := t.TempDir()
	in, quantized, wide := filepath.Join(dir, "in"), filepath.Join(dir, "q8.gguf"), filepath.Join(dir, "wide")
	require.NoError(t, modeltest.Small.Write(in, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16, Values: modeltest.Small.Base}))
	_, err := diff.Convert(t.Context(), in, quantized, &diff.Options{Format: weights.FormatGGUF, DType: dtype.Q8_0})
	require.NoError(t, err)
	_, err = diff.Convert(t.Context(), quantized, wide, &diff.Options{DType: dtype.F32})
	require.NoError(t, err)
	q, w := openModel(t, quantized, 0, nil), openModel(t, wide, 0, nil)
	r, err := Compare(t.Context(), q, w, nil)
	require.NoError(t, err)
	require.True(t, r.Identical)
	r, err = Compare(t.Context(), q, openModel(t, in, 0, nil), nil)
	require.NoError(t, err)
	require.False(t, r.Identical)
	require.Less(t, r.MaxDifference, 0.1)
}

// TestEveryKernel runs TestSameBits in processes that use kernels other than the
// fastest one of the processor.
func TestEveryKernel(t *testing.T) {
	for _, kernel := range []string{"AVX2", "generic"} {
		if half.Kernel() == kernel {
			continue // which this process uses
		}
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSameBits$|^TestKernel$", "-test.v")
		c.Env = append(os.Environ(), "KOALA_KERNEL="+kernel, "KOALA_TEST_KERNEL="+kernel)
		out, err := c.CombinedOutput()
		if strings.Contains(string(out), "exec format error") || err != nil && len(out) == 0 {
			t.Skip("the processor is emulated, and processes cannot start others")
		}
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "--- PASS: TestSameBits")
		t.Logf("%s gives the same bits", kernel)
	}
}

// TestKernel checks the kernel of the processes that TestEveryKernel starts.
func TestKernel(t *testing.T) {
	if want := os.Getenv("KOALA_TEST_KERNEL"); want != "" {
		require.Contains(t, []string{want, "NEON", "generic"}, half.Kernel())
	}
}

// TestGroupedHeads compares a model of grouped heads with one whose key and value
// heads are repeated. They are the same function, bit for bit.
func TestGroupedHeads(t *testing.T) {
	whole := odd
	whole.KVHeads = 0
	rows := odd.Dim / odd.Heads
	repeated := func(p weights.Param, r, c int) uint16 {
		if p.Role == weights.K || p.Role == weights.V {
			r = r/rows/(odd.Heads/odd.KVHeads)*rows + r%rows
		}
		return oddValues(p, r, c)
	}
	path := filepath.Join(t.TempDir(), "model")
	require.NoError(t, whole.Write(path, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.BF16, Values: repeated}))
	got, err := openModel(t, path, 0, nil).Logits(t.Context(), text(odd))
	require.NoError(t, err)
	require.Equal(t, committed(t), digest(got))
}

// TestTied compares a model of tied embeddings with one that stores the matrix
// twice.
func TestTied(t *testing.T) {
	tied := odd
	tied.Tied = true
	var digests []string
	for i, m := range []modeltest.Model{odd, tied} {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		require.NoError(t, m.Write(path, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.BF16, Values: func(p weights.Param, r, c int) uint16 {
			if p.Role == weights.Output {
				p.Role = weights.Embed
			}
			return oddValues(p, r, c)
		}}))
		c, err := weights.Open(t.Context(), path, nil)
		require.NoError(t, err)
		defer c.Close()
		for _, open := range []func() (*Model, error){
			func() (*Model, error) { return Open(t.Context(), c, nil) },
			func() (*Model, error) { return Load(t.Context(), c, nil) },
		} {
			model, err := open()
			require.NoError(t, err)
			got, err := model.Logits(t.Context(), text(odd))
			require.NoError(t, err)
			digests = append(digests, digest(got))
		}
	}
	for _, d := range digests {
		require.Equal(t, digests[0], d)
	}
}
