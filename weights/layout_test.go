package weights_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

var layouts = []*weights.Layout{weights.Meta, weights.EasyLM, weights.HuggingFace, weights.GGUF}

// roles are all roles of weights.
func roles() []weights.Role {
	var list []weights.Role
	for r := weights.Embed; r <= weights.Output; r++ {
		list = append(list, r)
	}
	return list
}

// TestNamesAndBack checks that Param inverts Name for every weight and layout,
// and that no two weights have the same name.
func TestNamesAndBack(t *testing.T) {
	for _, l := range layouts {
		seen := map[string]weights.Param{}
		for _, role := range roles() {
			numbers := []int{0, 1, 9, 10, 79, 123456}
			if !role.InLayer() {
				numbers = numbers[:1]
			}
			for _, layer := range numbers {
				p := weights.Param{Layer: layer, Role: role}
				name := l.Name(p)
				require.NotEmpty(t, name)
				require.NotContains(t, name, "%")
				require.Equal(t, p, l.Param(name), "%v: %s", l, name)
				require.NotContains(t, seen, name, "%v", l)
				seen[name] = p
				require.Equal(t, role.InLayer(), strings.Contains(name, fmt.Sprint(layer)), "%v: %s", l, name)
			}
		}
	}
}

// TestNamesInEasyLM reads the names of train states too.
func TestNamesInEasyLM(t *testing.T) {
	p := weights.Param{Layer: 31, Role: weights.Down}
	require.Equal(t, "transformer/h/31/feed_forward/w2/kernel", weights.EasyLM.Name(p))
	for _, prefix := range []string{"params/", "params/params/"} {
		require.Equal(t, p, weights.EasyLM.Param(prefix+weights.EasyLM.Name(p)))
		require.Zero(t, weights.HuggingFace.Param(prefix+weights.HuggingFace.Name(p)))
	}
	require.Zero(t, weights.EasyLM.Param("params/params/params/"+weights.EasyLM.Name(p)))
}

// TestUnknownNames tries names that differ little from those of weights.
func TestUnknownNames(t *testing.T) {
	for _, l := range layouts {
		good := l.Name(weights.Param{Layer: 7, Role: weights.Gate})
		unknown := []string{"", ".", "/", "%d", good + " ", " " + good, strings.ToUpper(good), strings.Replace(good, "7", "%d", 1)}
		for _, number := range []string{
			"", "07", "007", "-7", "+7", "-0", "7.0", "7e0", "0x7", "7_0", "٧", "seven", " 7",
			"9223372036854775808", "18446744073709551616", "-9223372036854775808", strings.Repeat("7", 5000),
		} {
			unknown = append(unknown, strings.Replace(good, "7", number, 1))
		}
		for _, name := range unknown {
			require.Equal(t, weights.Param{}, l.Param(name), "%v: %.80q", l, name)
		}
	}
}

// TestIgnoredNames tries names of tensors that are not weights.
func TestIgnoredNames(t *testing.T) {
	for _, name := range []string{
		"rope.freqs", "layers.0.attention.inner_attention.rope.freqs",
		"model.layers.0.self_attn.rotary_emb.inv_freq",
		"opt_state/1/0/mu/params/transformer/wte/embedding", "opt_state/0/count", "step",
	} {
		for _, l := range layouts {
			require.Equal(t, weights.Param{Role: weights.Ignored}, l.Param(name), "%v: %s", l, name)
		}
	}
	require.Equal(t, weights.Unknown, weights.HuggingFace.Param("rope.freqs.more").Role)
	require.Equal(t, weights.Unknown, weights.EasyLM.Param("opt_states/transformer/wte/embedding").Role)
}

// TestNoTransposedPermutation checks what package diff relies on: a layout does
// not both permute and transpose.
func TestNoTransposedPermutation(t *testing.T) {
	for _, l := range layouts {
		for _, role := range roles() {
			require.False(t, l.Transposed(role) && l.Permuted(role), "%v %v", l, role)
			if role.IsNorm() || role == weights.Embed {
				require.False(t, l.Transposed(role) || l.Permuted(role), "%v %v", l, role)
			}
		}
	}
	require.True(t, weights.EasyLM.Transposed(weights.Output))
	require.True(t, weights.HuggingFace.Permuted(weights.Q) && weights.HuggingFace.Permuted(weights.K))
	require.False(t, weights.HuggingFace.Permuted(weights.V))
}

// TestShapes checks the table of shapes, with fewer key heads than query heads.
func TestShapes(t *testing.T) {
	c := weights.Config{Layers: 1, Dim: 12, FFN: 20, Vocab: 30, Heads: 3, KVHeads: 1}
	require.Equal(t, 4, c.HeadDim())
	require.Equal(t, 4, c.KeyRows())
	for role, outIn := range map[weights.Role][]int64{
		weights.Embed: {30, 12}, weights.Q: {12, 12}, weights.K: {4, 12}, weights.V: {4, 12}, weights.O: {12, 12},
		weights.Gate: {20, 12}, weights.Up: {20, 12}, weights.Down: {12, 20},
		weights.AttnNorm: {12}, weights.FFNNorm: {12}, weights.Norm: {12}, weights.Output: {30, 12},
	} {
		for _, l := range layouts {
			want := slices.Clone(outIn)
			if l == weights.EasyLM && role != weights.Embed {
				slices.Reverse(want)
			}
			require.Equal(t, want, l.Shape(role, &c), "%v %v", l, role)
			for _, dt := range []dtype.Type{dtype.F16, dtype.BF16, dtype.F32} {
				want := dt
				if l == weights.GGUF && role.IsNorm() {
					want = dtype.F32
				}
				require.Equal(t, want, l.DType(role, dt), "%v %v", l, role)
			}
		}
	}
	require.EqualValues(t, 30*12+12*12*2+4*12*2+20*12*3+12*3+30*12, c.Parameters())
}

// released are the sizes of LLaMA with what is known of them.
var released = []struct {
	name                    string
	layers, dim, ffn, heads int
	tensors                 int
	parameters, bf16, fp16  int64 // bytes of an EasyLM stream
}{
	{"7B", 32, 4096, 11008, 32, 291, 6_738_415_616, 13_476_851_687, 13_476_851_396},
	{"13B", 40, 5120, 13824, 40, 363, 13_015_864_320, 26_031_754_191, 26_031_753_828},
	{"30B", 60, 6656, 17920, 52, 543, 32_528_943_616, 65_057_925_523, 65_057_924_980},
	{"65B", 80, 8192, 22016, 64, 723, 65_285_660_672, 130_571_372_375, 130_571_371_652},
}

func TestReleasedSizes(t *testing.T) {
	for _, r := range released {
		c := weights.Config{Layers: r.layers, Dim: r.dim, FFN: r.ffn, Vocab: 32000, Heads: r.heads}
		require.Equal(t, r.name, c.Size())
		require.Equal(t, 128, c.HeadDim())
		require.Equal(t, r.parameters, c.Parameters())
		require.Len(t, c.Params(), r.tensors)
		for dt, want := range map[dtype.Type]int64{dtype.BF16: r.bf16, dtype.F16: r.fp16} {
			plan, err := (&weights.Spec{Format: weights.FormatEasyLM, Config: c, DTypes: types(&c, dt)}).Plan()
			require.NoError(t, err)
			require.Equal(t, want, plan.Bytes(), "%s in %s", r.name, dt)
			require.Len(t, plan.Files, 1)
			require.Len(t, plan.Files[0].Pieces, r.tensors)
		}
		directory, err := (&weights.Spec{Format: weights.FormatSafetensors, Config: c, DTypes: types(&c, dtype.BF16)}).Plan()
		require.NoError(t, err)
		for _, f := range directory.Files {
			require.LessOrEqual(t, f.Size, int64(weights.DefaultShardSize)+1<<20, f.Name)
		}
		require.Greater(t, directory.Bytes(), 2*r.parameters)
	}
	other := weights.Config{Layers: 32, Dim: 4096, FFN: 11000}
	require.Equal(t, "other", other.Size())
	require.Zero(t, other.HeadDim())
}

// types returns the same type for each weight of a model.
func types(c *weights.Config, t dtype.Type) map[weights.Param]dtype.Type {
	m := map[weights.Param]dtype.Type{}
	for _, p := range c.Params() {
		m[p] = t
	}
	return m
}

// TestInferredConfig infers the shape from the tensors, and the heads of a
// released size from the table.
func TestInferredConfig(t *testing.T) {
	c := open(t, model(t, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.F16}), nil)
	require.Equal(t, []int{2, 64, 176, 128, 0, 0}, shape(c))
	require.Equal(t, "other", c.Config.Size())
	c = open(t, c.Path, &weights.OpenOptions{Heads: 8})
	require.Equal(t, []int{2, 64, 176, 128, 8, 8}, shape(c))
	require.Equal(t, 8, c.Config.HeadDim())

	large := t.TempDir() + "/7B" // sparse: its 13 GB take no space
	put(t, large, sevenB())
	c = open(t, large, nil)
	require.NoError(t, c.Complete())
	require.Equal(t, "7B", c.Config.Size())
	require.Equal(t, []int{32, 4096, 11008, 32000, 32, 32}, shape(c))
	require.Equal(t, 1e-6, c.Config.NormEps)
	require.Equal(t, 16, open(t, large, &weights.OpenOptions{Heads: 16}).Config.Heads, "the caller knows better")
}

func shape(c *weights.Checkpoint) []int {
	x := c.Config
	return []int{x.Layers, x.Dim, x.FFN, x.Vocab, x.Heads, x.KVHeads}
}

// sevenB returns the tensors of the 7B release.
func sevenB() []tensor.Tensor {
	c := weights.Config{Layers: 32, Dim: 4096, FFN: 11008, Vocab: 32000}
	var list []tensor.Tensor
	for _, p := range c.Params() {
		list = append(list, array(weights.HuggingFace.Name(p), "F16", weights.HuggingFace.Shape(p.Role, &c)...))
	}
	return list
}

// TestTiedEmbeddings opens a checkpoint without an output matrix, as
// config.json states.
func TestTiedEmbeddings(t *testing.T) {
	dir := one(t)
	edit(t, dir+"/"+single, func(list []tensor.Tensor) []tensor.Tensor {
		return slices.DeleteFunc(list, func(w tensor.Tensor) bool { return w.Name == "lm_head.weight" })
	})
	c := open(t, dir, nil)
	requireModelError(t, c.Complete(), dir)
	editJSON(t, dir+"/config.json", func(fields map[string]any) { fields["tie_word_embeddings"] = true })
	c = open(t, dir, nil)
	require.NoError(t, c.Complete())
	require.Len(t, c.Params(), 20)
	require.Len(t, c.Config.Params(), 20)
}
