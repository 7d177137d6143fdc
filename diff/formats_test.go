package diff

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/weights"
)

// targets are the outputs of conversions.
var targets = map[string]Options{
	"safetensors": {Format: hf}, "shards": {Format: hf, ShardSize: 30_000},
	"easylm": {Format: easylm}, "gguf": {Format: gguf},
	"torch": {Format: torch}, "2 of Meta": {Format: torch, Shards: 2}, "4 of Meta": {Format: torch, Shards: 4},
}

// convert converts with the heads of a fixture.
func convert(t *testing.T, shape, in, out string, o Options) {
	t.Helper()
	o.Heads = heads[shape]
	_, err := Convert(t.Context(), in, out, &o)
	require.NoError(t, err)
}

// TestConvertAnyToAny converts every form of the base into every format, and from
// there into the layouts of Meta and Hugging Face, which have the reference's
// digests. No bit is lost.
func TestConvertAnyToAny(t *testing.T) {
	inMemory(t)
	for shape, list := range bases {
		for _, base := range list {
			if base == "easylm-fp32.stream" { // see TestConvertRounds
				continue
			}
			for name, o := range targets {
				if o.Shards > 1 && shape != "S" {
					continue // the dimensions of the other fixtures are not multiples of 2
				}
				t.Run(fmt.Sprint(shape, "/", base, "/", name), func(t *testing.T) {
					dir := t.TempDir()
					middle := filepath.Join(dir, "middle")
					convert(t, shape, shared(t, shape, "base", filepath.FromSlash(base)), middle, o)
					for list, final := range map[string]Options{
						"base.hf.digests.json":   {Format: hf, DType: dtype.F16},
						"base.meta.digests.json": {Format: torch, DType: dtype.F16},
					} {
						out := filepath.Join(dir, list)
						convert(t, shape, middle, out, final)
						requireDigests(t, out, fixture.Digests(t, "fixtures", shape, "expected", list))
					}
				})
			}
		}
	}
}

// TestConvertRounds converts the fp32 form back into fp16 in every format.
func TestConvertRounds(t *testing.T) {
	for name, o := range targets {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			middle, out := filepath.Join(dir, "middle"), filepath.Join(dir, "out")
			o.DType = dtype.F16
			convert(t, "S", shared(t, "S", "base", "easylm-fp32.stream"), middle, o)
			convert(t, "S", middle, out, Options{Format: hf, DType: dtype.F16})
			requireDigests(t, out, fixture.Digests(t, "fixtures", "S", "expected", "base.hf.digests.json"))
		})
	}
}

// TestRecoverGivesTheReferencesGGUF recovers into GGUF files with the reference's
// names, shapes and bytes.
func TestRecoverGivesTheReferencesGGUF(t *testing.T) {
	for shape, list := range bases {
		for _, base := range list {
			t.Run(fmt.Sprint(shape, "/", base), func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out.gguf")
				_, err := Recover(t.Context(), shared(t, shape, "base", base), shared(t, shape, "diff", "diff-bf16.stream"), out,
					&Options{Format: gguf, Heads: heads[shape]})
				require.NoError(t, err)
				requireDigests(t, out, fixture.Digests(t, "fixtures", shape, "expected", "recovered-bf16.gguf.digests.json"))
			})
		}
	}
}

// TestConvertGivesTheReferencesGGUF converts the recovered streams, also into
// fp16, which the reference makes from the bf16 streams. The tensors are in the
// reference's order.
func TestConvertGivesTheReferencesGGUF(t *testing.T) {
	for shape := range bases {
		for dt, name := range map[dtype.Type]string{"": "bf16", dtype.F16: "fp16"} {
			out := filepath.Join(t.TempDir(), "out.gguf")
			convert(t, shape, shared(t, shape, "recovered", "recovered-bf16.stream"), out, Options{Format: gguf, DType: dt})
			requireDigests(t, out, fixture.Digests(t, "fixtures", shape, "expected", "recovered-"+name+".gguf.digests.json"))
			if shape == "S" {
				require.Equal(t, names(t, shared(t, shape, "recovered", "recovered-bf16.gguf")), names(t, out))
			}
		}
	}
}

// names returns the names of the tensors of a file.
func names(t *testing.T, path string) (list []string) {
	t.Helper()
	c, err := weights.Open(t.Context(), path, nil)
	require.NoError(t, err)
	defer c.Close()
	for _, x := range c.Tensors {
		list = append(list, x.Name)
	}
	return list
}

// TestFastChat adds FastChat's delta to a base in every form: fp16 + fp16 is
// computed in fp16.
func TestFastChat(t *testing.T) {
	for _, base := range bases["S"] {
		for _, delta := range []string{"fastchat-delta-bin", "fastchat-delta-safetensors"} {
			t.Run(base+"/"+delta, func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out")
				_, err := Recover(t.Context(), shared(t, "S", "base", base), shared(t, "S", "diff", delta), out, &Options{DType: dtype.F16, Heads: 4})
				require.NoError(t, err)
				requireDigests(t, out, fixture.Digests(t, "fixtures", "S", "expected", "fastchat.digests.json"))
			})
		}
	}
}
