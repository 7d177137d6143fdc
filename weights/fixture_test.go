package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/fixture"
)

// digest returns the SHA-256 of a weight as a layout stores it, read in blocks
// of the given number of rows.
func digest(t *testing.T, c *Checkpoint, p Param, l *Layout, block int64) string {
	t.Helper()
	v, err := c.View(p, l)
	require.NoError(t, err)
	sum := sha256.New()
	for first := int64(0); first < v.Rows(); first += block {
		n := min(block, v.Rows()-first)
		dst := make([]byte, n*v.RowBytes())
		require.NoError(t, v.ReadRows(dst, first, n, nil))
		sum.Write(dst)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// requireDigests compares every weight of a checkpoint, in a layout, with a
// list of digests of the fixtures.
func requireDigests(t *testing.T, c *Checkpoint, l *Layout, list []fixture.Digest) {
	t.Helper()
	require.NoError(t, c.Complete())
	require.Len(t, list, len(c.Params()))
	for _, want := range list {
		p := l.Param(want.Name)
		require.Truef(t, p.IsWeight(), want.Name)
		require.Equal(t, want.Name, l.Name(p))
		v, err := c.View(p, l)
		require.NoError(t, err)
		require.Equal(t, want.Shape, v.Shape, want.Name)
		require.Equal(t, want.DType, string(v.DType), want.Name)
		for _, block := range []int64{1, 3, 16, 1000} {
			require.Equalf(t, want.SHA256, digest(t, c, p, l, block), "%s in blocks of %d", want.Name, block)
		}
	}
}

// heads holds the numbers of heads of the fixtures' shapes, which EasyLM streams
// do not state.
var heads = map[string]int{"S": 4, "T": 3, "D": 2}

// TestBasesInEveryFormat opens the fixtures' base in each format and reads it
// in Meta's and in Hugging Face's layout.
func TestBasesInEveryFormat(t *testing.T) {
	for _, f := range []struct {
		shape, name string
		format      Format
	}{
		{"S", "easylm-fp16.stream", FormatEasyLM},
		{"S", "easylm-fp16.flax", FormatFlax},
		{"S", "hf-safetensors", FormatSafetensors},
		{"S", "hf-safetensors-2023", FormatSafetensors},
		{"S", "hf-safetensors-sharded", FormatSafetensors},
		{"S", "hf-safetensors/model.safetensors", FormatSafetensors},
		{"S", "hf-bin", FormatTorch},
		{"S", "hf-bin/pytorch_model.bin", FormatTorch},
		{"S", "hf-bin-sharded", FormatTorch},
		{"S", "hf-bin-strided", FormatTorch},
		{"S", "meta-1", FormatTorch},
		{"S", "meta-1/consolidated.00.pth", FormatTorch},
		{"S", "meta-2", FormatTorch},
		{"S", "meta-views", FormatTorch},
		{"T", "meta-3", FormatTorch},
		{"T", "hf-safetensors-sharded", FormatSafetensors},
		{"D", "easylm-fp16.stream", FormatEasyLM},
		{"D", "easylm-fp16.chunked.stream", FormatEasyLM},
		{"D", "easylm-fp16.trainstate", FormatEasyLM},
		{"D", "hf-safetensors", FormatSafetensors},
		{"D", "hf-bin-parameters", FormatTorch},
		{"D", "hf-bin-statedict", FormatTorch},
		{"D", "meta-1", FormatTorch},
	} {
		t.Run(f.shape+"/"+f.name, func(t *testing.T) {
			path := fixture.Path(t, "fixtures", f.shape, "base", filepath.FromSlash(f.name))
			for _, mmap := range []bool{false, true} {
				c, err := Open(t.Context(), path, &OpenOptions{Heads: heads[f.shape], Mmap: mmap})
				require.NoError(t, err)
				defer c.Close()
				require.Equal(t, f.format, c.Format)
				requireDigests(t, c, Meta, fixture.Digests(t, "fixtures", f.shape, "expected", "base.meta.digests.json"))
				requireDigests(t, c, HuggingFace, fixture.Digests(t, "fixtures", f.shape, "expected", "base.hf.digests.json"))
			}
		})
	}
}

// TestRecoveredInEveryLayout reads the recovered streams of the reference in
// the layouts that it wrote digests of.
func TestRecoveredInEveryLayout(t *testing.T) {
	for _, shape := range []string{"S", "T", "D"} {
		c, err := Open(t.Context(), fixture.Path(t, "fixtures", shape, "recovered", "recovered-bf16.stream"), &OpenOptions{Heads: heads[shape]})
		require.NoError(t, err)
		defer c.Close()
		for file, layout := range map[string]*Layout{
			"recovered-bf16.easylm.digests.json": EasyLM,
			"recovered-bf16.hf.digests.json":     HuggingFace,
		} {
			requireDigests(t, c, layout, fixture.Digests(t, "fixtures", shape, "expected", file))
		}
		for _, want := range fixture.Digests(t, "fixtures", shape, "expected", "recovered-bf16.gguf.digests.json") {
			p := GGUF.Param(want.Name)
			require.Equal(t, want.DType, string(GGUF.DType(p.Role, dtype.BF16)), want.Name)
			if want.DType == "BF16" {
				require.Equal(t, want.SHA256, digest(t, c, p, GGUF, 16), want.Name)
			}
		}
	}
}

// TestGGUF reads the reference's GGUF file.
func TestGGUF(t *testing.T) {
	c, err := Open(t.Context(), fixture.Path(t, "fixtures", "S", "recovered", "recovered-bf16.gguf"), nil)
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, FormatGGUF, c.Format)
	require.Equal(t, 4, c.Config.Heads)
	require.Equal(t, 1e-6, c.Config.NormEps)
	requireDigests(t, c, GGUF, fixture.Digests(t, "fixtures", "S", "expected", "recovered-bf16.gguf.digests.json"))
	for _, want := range fixture.Digests(t, "fixtures", "S", "expected", "recovered-bf16.hf.digests.json") {
		if p := HuggingFace.Param(want.Name); !p.Role.IsNorm() {
			require.Equal(t, want.SHA256, digest(t, c, p, HuggingFace, 16), want.Name)
		}
	}
}

// TestFloats reads elements as numbers.
func TestFloats(t *testing.T) {
	wide, err := Open(t.Context(), fixture.Path(t, "fixtures", "S", "base", "easylm-fp32.stream"), nil)
	require.NoError(t, err)
	defer wide.Close()
	narrow, err := Open(t.Context(), fixture.Path(t, "fixtures", "S", "base", "easylm-fp16.stream"), nil)
	require.NoError(t, err)
	defer narrow.Close()
	for _, n := range narrow.Tensors {
		w := wide.Tensor(n.Param)
		require.Equal(t, dtype.F32, w.DType)
		a, b := make([]float32, n.Len()), make([]float32, n.Len())
		require.NoError(t, n.Float32s(a, 0))
		require.NoError(t, w.Float32s(b, 0))
		require.Equal(t, b, a, n.Name)
	}
}
