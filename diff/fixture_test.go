package diff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/weights"
)

// bases are the forms of the fixtures' bases.
var bases = map[string][]string{
	"S": {"easylm-fp16.stream", "easylm-fp16.flax", "easylm-fp32.stream", "hf-safetensors", "hf-safetensors-2023", "hf-safetensors-sharded", "hf-safetensors/model.safetensors",
		"hf-bin", "hf-bin-sharded", "hf-bin-strided", "meta-1", "meta-2", "meta-views"},
	"T": {"hf-safetensors-sharded", "meta-3"},
	"D": {"easylm-fp16.stream", "easylm-fp16.chunked.stream", "easylm-fp16.trainstate", "hf-safetensors", "hf-bin-parameters", "hf-bin-statedict", "meta-1"},
}

var heads = map[string]int{"S": 4, "T": 3, "D": 2}

// shared returns a path in the fixtures.
func shared(t *testing.T, elem ...string) string {
	t.Helper()
	return fixture.Path(t, append([]string{"fixtures"}, elem...)...)
}

// requireDigests compares a checkpoint with a list of digests in its own layout.
func requireDigests(t *testing.T, path string, list []fixture.Digest) {
	t.Helper()
	c, err := weights.Open(t.Context(), path, nil)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Complete())
	require.Len(t, c.Tensors, len(list))
	for _, want := range list {
		got := c.Tensor(c.Layout.Param(want.Name))
		require.NotNil(t, got, want.Name)
		require.Equal(t, want.Shape, got.Shape, want.Name)
		require.Equal(t, want.DType, string(got.DType), want.Name)
		b := make([]byte, got.Bytes())
		_, err := got.ReadAt(b, 0)
		require.NoError(t, err)
		require.Contains(t, digests(b, got.DType), want.SHA256, want.Name)
	}
}

// digests returns the SHA-256 of a tensor's bytes for every choice of the signs
// of its NaNs, which differ between versions of numpy. Only one fixture has NaNs:
// there is one digest for all others.
func digests(b []byte, dt dtype.Type) []string {
	var signs []int // indexes of the bytes with the NaNs' signs
	if dt == dtype.BF16 {
		for i := 0; i < len(b); i += 2 {
			if b[i+1]&0x7f == 0x7f && b[i] > 0x80 {
				signs = append(signs, i+1)
			}
		}
	}
	var all []string
	for choice := range 1 << len(signs) {
		for k, at := range signs {
			b[at] = b[at]&0x7f | byte(choice>>k&1)<<7
		}
		sum := sha256.Sum256(b)
		all = append(all, hex.EncodeToString(sum[:]))
	}
	return all
}

// TestRecoverGivesTheReferencesStream recovers from each base into an EasyLM
// stream, which equals the reference's byte for byte.
func TestRecoverGivesTheReferencesStream(t *testing.T) {
	inMemory(t)
	for shape, list := range bases {
		for _, base := range list {
			for dt, file := range map[dtype.Type]string{dtype.BF16: "bf16", dtype.F16: "fp16", dtype.F32: "fp32"} {
				t.Run(fmt.Sprint(shape, "/", base, "/", file), func(t *testing.T) {
					out := filepath.Join(t.TempDir(), "out")
					_, err := Recover(t.Context(), shared(t, shape, "base", base), shared(t, shape, "diff", "diff-bf16.stream"), out,
						&Options{Format: weights.FormatEasyLM, DType: dt, Heads: heads[shape]})
					require.NoError(t, err)
					requireStream(t, shape, "recovered-"+file+".stream", out)
				})
			}
		}
	}
}

// requireStream compares a file with a digest in expected/streams.json.
func requireStream(t *testing.T, shape, name, path string) {
	t.Helper()
	var list map[string]any
	fixture.JSON(t, &list, "fixtures", shape, "expected", "streams.json")
	want := list[name].(map[string]any)["sha256"].(string)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	sum := sha256.Sum256(b)
	require.Equal(t, want, hex.EncodeToString(sum[:]))
}

// TestRecoverGivesTheReferencesDirectory recovers into Hugging Face directories
// of one shard and of several.
func TestRecoverGivesTheReferencesDirectory(t *testing.T) {
	inMemory(t)
	for shape, list := range bases {
		for _, base := range list {
			for dt, name := range map[dtype.Type]string{dtype.BF16: "bf16", dtype.F16: "fp16", dtype.F32: "fp32"} {
				for _, shard := range []int64{0, 20_000} {
					t.Run(fmt.Sprint(shape, "/", base, "/", name, "/", shard), func(t *testing.T) {
						out := filepath.Join(t.TempDir(), "out")
						_, err := Recover(t.Context(), shared(t, shape, "base", base), shared(t, shape, "diff", "diff-bf16.stream"), out,
							&Options{DType: dt, ShardSize: shard, Heads: heads[shape]})
						require.NoError(t, err)
						requireDigests(t, out, fixture.Digests(t, "fixtures", shape, "expected", "recovered-"+name+".hf.digests.json"))
					})
				}
			}
		}
	}
}

// TestDirectoryIsTheReferencesFile compares model.safetensors byte for byte.
func TestDirectoryIsTheReferencesFile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	_, err := Recover(t.Context(), shared(t, "S", "base", "hf-safetensors"), shared(t, "S", "diff", "diff-bf16.stream"), out, nil)
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(out, "model.safetensors"))
	require.NoError(t, err)
	require.Equal(t, fixture.Read(t, "fixtures", "S", "recovered", "hf-bf16", "model.safetensors"), got)
}

// TestOrderOfKeysDoesNotMatter has a diff in the order of EasyLM's converter.
func TestOrderOfKeysDoesNotMatter(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	_, err := Recover(t.Context(), shared(t, "S", "base", "easylm-fp16.stream"), shared(t, "S", "diff", "diff-bf16.converter-order.stream"), out,
		&Options{Format: weights.FormatEasyLM})
	require.NoError(t, err)
	requireStream(t, "S", "recovered-bf16.stream", out)
}

// TestMakeGivesTheReferencesDiff makes the reference's diffs, and recovers the
// targets from them.
func TestMakeGivesTheReferencesDiff(t *testing.T) {
	inMemory(t)
	for shape, target := range map[string]string{"S": "target/target-fp32.stream", "T": "recovered/recovered-bf16.stream", "D": "recovered/recovered-bf16.stream"} {
		for _, base := range bases[shape] {
			t.Run(shape+"/"+base, func(t *testing.T) {
				target, base := shared(t, shape, filepath.FromSlash(target)), shared(t, shape, "base", base)
				dir := t.TempDir()
				delta, back := filepath.Join(dir, "diff"), filepath.Join(dir, "back")
				opts := &Options{Format: weights.FormatEasyLM, Heads: heads[shape]}
				_, err := Make(t.Context(), base, target, delta, opts)
				require.NoError(t, err)
				got, err := os.ReadFile(delta)
				require.NoError(t, err)
				if shape == "S" {
					require.Equal(t, fixture.Read(t, "fixtures", "S", "diff", "diff-bf16.stream"), got)
				}
				_, err = Recover(t.Context(), base, delta, back, opts)
				require.NoError(t, err)
				if shape == "S" {
					requireStream(t, shape, "recovered-bf16.stream", back)
				}
			})
		}
	}
}

// TestMakeInFull makes a diff without the last rounding.
func TestMakeInFull(t *testing.T) {
	out := filepath.Join(t.TempDir(), "diff")
	_, err := Make(t.Context(), shared(t, "S", "base", "hf-safetensors"), shared(t, "S", "target", "target-fp32.stream"), out,
		&Options{Format: weights.FormatEasyLM, DType: dtype.F32})
	require.NoError(t, err)
	requireDigests(t, out, fixture.Digests(t, "fixtures", "S", "expected", "diff-fp32.easylm.digests.json"))
}

// TestFP16Delta recovers as FastChat does: fp16 + fp16 in fp16.
func TestFP16Delta(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	_, err := Recover(t.Context(), shared(t, "S", "base", "hf-safetensors"), shared(t, "S", "diff", "fastchat-delta-safetensors"), out,
		&Options{DType: dtype.F16})
	require.NoError(t, err)
	requireDigests(t, out, fixture.Digests(t, "fixtures", "S", "expected", "fastchat.digests.json"))
}

func TestNonFinite(t *testing.T) {
	base, delta := shared(t, "S", "base", "easylm-fp16.stream"), shared(t, "S", "diff", "diff-bf16.nonfinite.stream")
	out := filepath.Join(t.TempDir(), "out")
	opts := &Options{Format: weights.FormatEasyLM}
	_, err := Recover(t.Context(), base, delta, out, opts)
	var bad *weights.NonFiniteError
	require.ErrorAs(t, err, &bad)
	require.NoFileExists(t, out)
	requireEmptyDir(t, filepath.Dir(out))

	opts.AllowNonFinite = true
	_, err = Recover(t.Context(), base, delta, out, opts)
	require.NoError(t, err)
	requireDigests(t, out, fixture.Digests(t, "fixtures", "S", "expected", "recovered-nonfinite.easylm.digests.json"))
}

// requireEmptyDir checks that a failed run left nothing behind.
func requireEmptyDir(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestConvertIsTheReferencesConverter converts to fp16, as EasyLM's converter
// does.
func TestConvertIsTheReferencesConverter(t *testing.T) {
	for shape, n := range heads {
		out := filepath.Join(t.TempDir(), "out")
		_, err := Convert(t.Context(), shared(t, shape, "recovered", "recovered-bf16.stream"), out, &Options{DType: dtype.F16, Heads: n})
		require.NoError(t, err)
		requireDigests(t, out, fixture.Digests(t, "fixtures", shape, "expected", "recovered-bf16.hf-fp16-by-easylm.digests.json"))
	}
}

// TestShardsAreTransformers checks that shards contain the same tensors as those
// of transformers.
func TestShardsAreTransformers(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	want := shared(t, "S", "base", "hf-safetensors-sharded")
	_, err := Convert(context.Background(), shared(t, "S", "base", "hf-safetensors"), out, &Options{ShardSize: 80_000})
	require.NoError(t, err)
	for _, name := range []string{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors", "model.safetensors.index.json"} {
		a, err := os.ReadFile(filepath.Join(want, name))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		require.Equal(t, string(a), string(b), name)
	}
}
