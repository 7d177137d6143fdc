package diff

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/weights"
)

// The tests of grouped queries have a model that is written by hand: 4 query
// heads of 6 rows share 2 heads of keys and values.
const (
	groupDim, groupKV, groupFFN, groupVocab = 24, 12, 20, 10
	groupHead                               = 6
)

// grouped lists the model's tensors by Hugging Face's names.
func grouped() []tensor.Tensor {
	list := []tensor.Tensor{
		{Name: "model.embed_tokens.weight", Shape: []int64{groupVocab, groupDim}},
		{Name: "model.norm.weight", Shape: []int64{groupDim}},
		{Name: "lm_head.weight", Shape: []int64{groupVocab, groupDim}},
	}
	for layer := range 2 {
		for name, shape := range map[string][]int64{
			"self_attn.q_proj": {groupDim, groupDim}, "self_attn.k_proj": {groupKV, groupDim},
			"self_attn.v_proj": {groupKV, groupDim}, "self_attn.o_proj": {groupDim, groupDim},
			"mlp.gate_proj": {groupFFN, groupDim}, "mlp.up_proj": {groupFFN, groupDim}, "mlp.down_proj": {groupDim, groupFFN},
			"input_layernorm": {groupDim}, "post_attention_layernorm": {groupDim},
		} {
			list = append(list, tensor.Tensor{Name: fmt.Sprintf("model.layers.%d.%s.weight", layer, name), Shape: shape})
		}
	}
	for i := range list {
		list[i].DType = "F16"
	}
	return list
}

// groupedValue returns the bits of an element: a finite number that differs
// between elements.
func groupedValue(tensor string, element int) uint16 {
	h := uint32(2166136261)
	for _, c := range []byte(fmt.Sprint(tensor, element)) {
		h = (h ^ uint32(c)) * 16777619
	}
	return uint16(h>>16) & 0xbbff
}

// writeGrouped writes the model and its config.json.
func writeGrouped(t *testing.T, dir string) {
	t.Helper()
	list := grouped()
	header, offsets, size, err := safetensors.Header(list, map[string]string{"format": "pt"})
	require.NoError(t, err)
	b := append(header, make([]byte, size-int64(len(header)))...)
	for i, w := range list {
		for k := range int(w.Bytes() / 2) {
			binary.LittleEndian.PutUint16(b[int(offsets[i])+2*k:], groupedValue(w.Name, k))
		}
	}
	put(t, filepath.Join(dir, "model.safetensors"), string(b))
	put(t, filepath.Join(dir, "config.json"), `{"num_attention_heads":4,"num_key_value_heads":2,"rms_norm_eps":1e-5,"max_position_embeddings":4096}`)
}

// TestGroupedQueries converts from Hugging Face to EasyLM and back.
func TestGroupedQueries(t *testing.T) {
	dir := t.TempDir()
	in, stream, back := filepath.Join(dir, "in"), filepath.Join(dir, "stream"), filepath.Join(dir, "back")
	writeGrouped(t, in)
	_, err := Convert(t.Context(), in, stream, &Options{Format: easylm})
	require.NoError(t, err)
	for layer := range 2 {
		requireTransposed(t, stream, fmt.Sprintf("transformer/h/%d/attention/wq/kernel", layer), fmt.Sprintf("model.layers.%d.self_attn.q_proj.weight", layer), groupDim, true)
		requireTransposed(t, stream, fmt.Sprintf("transformer/h/%d/attention/wk/kernel", layer), fmt.Sprintf("model.layers.%d.self_attn.k_proj.weight", layer), groupKV, true)
		requireTransposed(t, stream, fmt.Sprintf("transformer/h/%d/attention/wv/kernel", layer), fmt.Sprintf("model.layers.%d.self_attn.v_proj.weight", layer), groupKV, false)
	}

	_, err = Convert(t.Context(), stream, back, &Options{Heads: 4})
	require.NoError(t, err)
	want, err := os.ReadFile(filepath.Join(in, "model.safetensors"))
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(back, "model.safetensors"))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, map[string]any{"num_attention_heads": 4.0, "num_key_value_heads": 2.0}, headsOf(t, back))

	_, err = Convert(t.Context(), in, back+"2", nil)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"num_attention_heads": 4.0, "num_key_value_heads": 2.0}, headsOf(t, back+"2"))
}

// headsOf returns the two numbers of heads in a config.json.
func headsOf(t *testing.T, dir string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	require.NoError(t, err)
	var all map[string]any
	require.NoError(t, json.Unmarshal(text, &all))
	return map[string]any{"num_attention_heads": all["num_attention_heads"], "num_key_value_heads": all["num_key_value_heads"]}
}

// requireTransposed compares a kernel of a stream, [in, out], with the matrix
// that it was made from. A head's rows are pairs in the kernel and halves in the
// matrix.
func requireTransposed(t *testing.T, stream, kernel, matrix string, out int, permuted bool) {
	t.Helper()
	list, done := tensors(t, stream, true)
	defer done()
	for _, w := range list {
		if w.Name != kernel {
			continue
		}
		require.Equal(t, []int64{groupDim, int64(out)}, w.Shape)
		b := make([]byte, w.Bytes())
		require.NoError(t, bounded.ReadFull(w.Data, b, 0))
		for row := range out {
			from := row
			if permuted {
				h, k := row/groupHead, row%groupHead
				from = h*groupHead + k%2*(groupHead/2) + k/2
			}
			for col := range groupDim {
				got := binary.LittleEndian.Uint16(b[2*(col*out+row):])
				require.Equal(t, groupedValue(matrix, from*groupDim+col), got, "%s, row %d, column %d", kernel, row, col)
			}
		}
		return
	}
	require.Fail(t, "no such kernel", kernel)
}

// TestGroupedSizes gives a diff without grouped queries to a base with them.
func TestGroupedSizes(t *testing.T) {
	x := newTrial(t)
	edit(t, x.base, func(list []tensor.Tensor) []tensor.Tensor {
		for i := range list {
			if p := weights.HuggingFace.Param(list[i].Name); p.Role == weights.K || p.Role == weights.V {
				list[i].Shape, list[i].Data = []int64{32, 64}, nil
			}
		}
		return list
	})
	put(t, x.base+"/config.json", `{"num_attention_heads":4,"num_key_value_heads":2}`)
	requireCheck(t, x, CheckSize, "has rows of keys 32")
}
