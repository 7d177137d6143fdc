package weights_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

// one writes modeltest.Tiny into a directory of one file, all zeros.
func one(t *testing.T) string {
	t.Helper()
	return model(t, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16})
}

// TestBadConfig opens directories whose config.json cannot be read, or
// contradicts the tensors.
func TestBadConfig(t *testing.T) {
	field := func(name string, value any) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			editJSON(t, filepath.Join(dir, "config.json"), func(fields map[string]any) { fields[name] = value })
		}
	}
	whole := func(content string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { text(t, dir, "config.json", content) }
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string)
		says   string
	}{
		"empty":                  {whole(""), ""},
		"cut short":              {whole(`{"hidden_size":64`), ""},
		"not JSON":               {whole("hidden_size: 64"), ""},
		"text after it":          {whole("{} {}"), ""},
		"byte order mark":        {whole("\ufeff{}"), ""},
		"array":                  {whole("[]"), ""},
		"string":                 {whole(`"config"`), ""},
		"null":                   {whole("null"), ""},
		"nested deeply":          {whole(`{"a":` + strings.Repeat("[", 1_000_000)), ""},
		"too large":              {cut("config.json", 65<<20), "more than the 67108864"},
		"layers as text":         {field("num_hidden_layers", "2"), "num_hidden_layers"},
		"layers as a fraction":   {field("num_hidden_layers", 2.5), "num_hidden_layers"},
		"layers beyond integers": {field("num_hidden_layers", 1e300), "num_hidden_layers"},
		"heads as a list":        {field("num_attention_heads", []int{4}), "num_attention_heads"},
		"other layers":           {field("num_hidden_layers", 3), "num_hidden_layers is 3, the tensors have 2"},
		"other width":            {field("hidden_size", 65), "hidden_size is 65, the tensors have 64"},
		"other feed-forward":     {field("intermediate_size", 177), "intermediate_size is 177, the tensors have 176"},
		"other vocabulary":       {field("vocab_size", 129), "vocab_size is 129, the tensors have 128"},
		"no vocabulary":          {field("vocab_size", 0), "vocab_size is 0, the tensors have 128"},
		"other head width":       {field("head_dim", 32), "head_dim is 32"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := one(t)
			c.damage(t, dir)
			_, err := weights.Open(t.Context(), dir, nil)
			requireFormatError(t, err, weights.ErrMalformed, filepath.Join(dir, "config.json"))
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestBadHeads states numbers of heads that the tensors do not allow.
func TestBadHeads(t *testing.T) {
	for name, c := range map[string]struct {
		fields map[string]any
		asked  int
		says   string
	}{
		"do not divide":         {map[string]any{"num_attention_heads": 5}, 0, "5 heads do not divide a width of 64"},
		"leave odd widths":      {map[string]any{"num_attention_heads": 64}, 0, "64 heads do not divide a width of 64 into pairs"},
		"more than the width":   {map[string]any{"num_attention_heads": 128}, 0, "128 heads"},
		"negative":              {map[string]any{"num_attention_heads": -4}, 0, "-4 heads"},
		"other than asked for":  {nil, 2, "the options state 2 heads, the checkpoint states 4"},
		"asked, do not divide":  {map[string]any{"num_attention_heads": nil, "num_key_value_heads": nil}, 5, "5 heads do not divide"},
		"asked, negative":       {map[string]any{"num_attention_heads": nil, "num_key_value_heads": nil}, -4, "-4 heads"},
		"fewer key heads":       {map[string]any{"num_key_value_heads": 2}, 0, "64 rows of keys are not 2 heads of 16"},
		"more key heads":        {map[string]any{"num_key_value_heads": 8}, 0, "64 rows of keys are not 8 heads of 16"},
		"negative key heads":    {map[string]any{"num_key_value_heads": -1}, 0, "64 rows of keys"},
		"keys' rows do not fit": {map[string]any{"num_attention_heads": 2, "num_key_value_heads": 4}, 0, "64 rows of keys are not 4 heads of 32"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := one(t)
			editJSON(t, filepath.Join(dir, "config.json"), func(fields map[string]any) {
				for k, v := range c.fields {
					fields[k] = v
				}
			})
			_, err := weights.Open(t.Context(), dir, &weights.OpenOptions{Heads: c.asked})
			requireModelError(t, err, dir)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestConfigOfTransformers reads the other fields of a config.json.
func TestConfigOfTransformers(t *testing.T) {
	dir := one(t)
	editJSON(t, filepath.Join(dir, "config.json"), func(fields map[string]any) {
		fields["head_dim"], fields["rms_norm_eps"], fields["rope_scaling"] = nil, 1e-5, map[string]any{"factor": 2}
		fields["tie_word_embeddings"] = true // and there is an output matrix
	})
	c := open(t, dir, nil)
	require.NoError(t, c.Complete())
	require.Equal(t, 1e-5, c.Config.NormEps)
	require.Equal(t, 4, c.Config.Heads)
	require.False(t, c.Config.TiedEmbeddings, "the tensors count, not config.json")
	hf, err := c.Config.HF(dtype.BF16)
	require.NoError(t, err)
	require.JSONEq(t, `{"factor":2}`, string(c.Config.Extra["rope_scaling"]))
	require.Contains(t, string(hf), `"factor": 2`)

	require.NoError(t, os.Remove(filepath.Join(dir, "config.json")))
	c = open(t, dir, nil)
	require.NoError(t, c.Complete(), "config.json is not needed")
	require.Zero(t, c.Config.Heads)
	_, err = c.Config.HF(dtype.BF16)
	var unknown *weights.ModelError
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, "the number of attention heads is unknown")
}

// TestIncomplete damages the list of tensors of a model, one tensor at a time.
func TestIncomplete(t *testing.T) {
	list := tensorsOf(t)
	require.Len(t, list, 21)
	for i, victim := range list {
		for how, change := range map[string]func(*tensor.Tensor){
			"missing":         nil,
			"renamed":         func(w *tensor.Tensor) { w.Name += ".more" },
			"of integers":     func(w *tensor.Tensor) { w.DType = "I64" },
			"of F64":          func(w *tensor.Tensor) { w.DType = "F64" },
			"of F8":           func(w *tensor.Tensor) { w.DType = "F8_E4M3" },
			"a row short":     func(w *tensor.Tensor) { w.Shape[0]-- },
			"a column more":   func(w *tensor.Tensor) { w.Shape[len(w.Shape)-1]++ },
			"a dimension up":  func(w *tensor.Tensor) { w.Shape = append(w.Shape, 1) },
			"a scalar":        func(w *tensor.Tensor) { w.Shape = nil },
			"without columns": func(w *tensor.Tensor) { w.Shape[len(w.Shape)-1] = 0 },
		} {
			t.Run(victim.Name+" "+how, func(t *testing.T) {
				damaged := tensorsOf(t)
				if change == nil {
					damaged = slices.Delete(damaged, i, i+1)
				} else {
					change(&damaged[i])
				}
				dir := t.TempDir() // without config.json: Complete itself must see it
				put(t, filepath.Join(dir, single), damaged)
				c := open(t, dir, nil)
				requireModelError(t, c.Complete(), dir)
			})
		}
	}
}

// tensorsOf returns Tiny's tensors in Hugging Face's layout.
func tensorsOf(t *testing.T) []tensor.Tensor {
	t.Helper()
	plan, err := modeltest.Tiny.Plan(&modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16})
	require.NoError(t, err)
	var list []tensor.Tensor
	for p := range plan.Spec.DTypes {
		at := plan.Placement(p)
		list = append(list, array(weights.HuggingFace.Name(p), at.DType, slices.Clone(at.Shape)...))
	}
	slices.SortFunc(list, func(a, b tensor.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// TestExtraTensor adds tensors that LLaMA does not have, and tensors that are
// ignored.
func TestExtraTensor(t *testing.T) {
	for name, complete := range map[string]bool{
		"model.layers.0.self_attn.rotary_emb.inv_freq": true,
		"rope.freqs":                             true,
		"model.layers.0.self_attn.q_proj.bias":   false,
		"model.layers.2.self_attn.q_proj.weight": false,
		"lora_A.weight":                          false,
	} {
		dir := one(t)
		edit(t, filepath.Join(dir, single), func(list []tensor.Tensor) []tensor.Tensor { return append(list, array(name, "F32", 64)) })
		require.NoError(t, os.Remove(filepath.Join(dir, "config.json")))
		c := open(t, dir, nil)
		require.Len(t, c.Tensors, 22)
		if complete {
			require.NoError(t, c.Complete(), name)
			require.NotContains(t, fmt.Sprint(c.Params()), "ignored")
			continue
		}
		requireModelError(t, c.Complete(), dir)
	}
}

// TestModelOfNothing opens models that have all tensors, with sizes of zero.
func TestModelOfNothing(t *testing.T) {
	for _, zero := range []int64{64, 128, 176} { // width, vocabulary, feed-forward
		list := tensorsOf(t)
		for i := range list {
			for k, n := range list[i].Shape {
				if n == zero {
					list[i].Shape[k] = 0
				}
			}
		}
		dir := t.TempDir()
		put(t, filepath.Join(dir, single), list)
		text(t, dir, "config.json", `{"num_attention_heads":4}`)
		c := open(t, dir, nil)
		requireModelError(t, c.Complete(), dir)
	}
}
