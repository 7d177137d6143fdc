package weights

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/internal/torchfile"
)

// shardOf is a tensor of zeros in one of Meta's shards.
func shardOf(name string, dt dtype.Type, shape ...int64) tensor.Tensor {
	return tensor.Tensor{Name: name, DType: dt, Shape: shape}
}

// putShard writes one of Meta's shards.
func putShard(t *testing.T, path string, tensors []tensor.Tensor) {
	t.Helper()
	plan, err := torchfile.NewPlan("consolidated", tensors)
	require.NoError(t, err)
	b := make([]byte, plan.Size)
	sums := make([]uint32, len(tensors))
	for i := range tensors {
		var sum torchfile.Checksum
		sum.Add(0, make([]byte, tensors[i].Bytes()))
		sums[i], _ = sum.Sum()
	}
	for _, piece := range append(plan.Pieces, plan.Seal(sums)...) {
		copy(b[piece.Offset:], piece.Bytes)
	}
	require.NoError(t, os.WriteFile(path, b, 0o644))
}

// TestBadShards opens directories whose shards are not parts of one model.
func TestBadShards(t *testing.T) {
	const embed, gate, norm = "tok_embeddings.weight", "layers.0.feed_forward.w1.weight", "norm.weight"
	first := []tensor.Tensor{shardOf(embed, "F16", 8, 4), shardOf(gate, "F16", 6, 8), shardOf(norm, "F16", 8)}
	for name, c := range map[string]struct {
		second []tensor.Tensor
		tensor string
		says   string
	}{
		"a tensor missing":           {first[:2], norm, "is not in every shard"},
		"a tensor more":              {append([]tensor.Tensor{shardOf("output.weight", "F16", 4, 8)}, first...), "output.weight", "is not in the first shard"},
		"another type":               {[]tensor.Tensor{first[0], shardOf(gate, "BF16", 6, 8), first[2]}, gate, "differs in type or rank"},
		"another rank":               {[]tensor.Tensor{first[0], shardOf(gate, "F16", 48), first[2]}, gate, "differs in type or rank"},
		"other columns of a gate":    {[]tensor.Tensor{first[0], shardOf(gate, "F16", 6, 9), first[2]}, gate, "does not fit"},
		"other rows of an embedding": {[]tensor.Tensor{shardOf(embed, "F16", 9, 4), first[1], first[2]}, embed, "does not fit"},
		"another norm":               {[]tensor.Tensor{first[0], first[1], shardOf(norm, "F16", 9)}, norm, "does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			putShard(t, filepath.Join(dir, shardName(0)), first)
			putShard(t, filepath.Join(dir, shardName(1)), c.second)
			_, err := Open(t.Context(), dir, nil)
			var e *FormatError
			require.ErrorAs(t, err, &e)
			require.ErrorIs(t, err, ErrMalformed)
			require.Equal(t, c.tensor, e.Tensor)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestMissingShards opens directories that lack some of Meta's files.
func TestMissingShards(t *testing.T) {
	tensors := []tensor.Tensor{shardOf("tok_embeddings.weight", "F16", 8, 4)}
	for _, present := range [][]int{{1}, {0, 2}, {0, 1, 3}} {
		dir := t.TempDir()
		for _, i := range present {
			putShard(t, filepath.Join(dir, shardName(i)), tensors)
		}
		_, err := Open(t.Context(), dir, nil)
		require.ErrorIs(t, err, ErrMalformed)
		require.ErrorContains(t, err, "is missing, but")
	}
}

// TestShardsJoin merges shards of unequal size. Tensors that every shard has
// come from the first.
func TestShardsJoin(t *testing.T) {
	dir := t.TempDir()
	buffer := shardOf("rope.freqs", "F32", 4)
	putShard(t, filepath.Join(dir, shardName(0)), []tensor.Tensor{shardOf("tok_embeddings.weight", "F16", 8, 5), shardOf("output.weight", "F16", 3, 8), shardOf("norm.weight", "F16", 8), buffer})
	putShard(t, filepath.Join(dir, shardName(1)), []tensor.Tensor{shardOf("norm.weight", "F16", 8), shardOf("output.weight", "F16", 5, 8), shardOf("tok_embeddings.weight", "F16", 8, 3)})
	c, err := Open(t.Context(), dir, nil)
	require.NoError(t, err)
	defer c.Close()
	require.Len(t, c.Tensors, 4)
	for role, shape := range map[Role][]int64{Embed: {8, 8}, Output: {8, 8}, Norm: {8}} {
		x := c.Tensor(Param{Role: role})
		require.Equal(t, shape, x.Shape, role)
		n, err := io.Copy(io.Discard, io.NewSectionReader(x, 0, x.Bytes()+1))
		require.NoError(t, err)
		require.Equal(t, x.Bytes(), n)
	}
	require.NoError(t, c.CheckSums(t.Context()))
}

// TestCheckSums finds a changed byte of a tensor, which Open does not read.
func TestCheckSums(t *testing.T) {
	path := filepath.Join(t.TempDir(), shardName(0))
	putShard(t, path, []tensor.Tensor{shardOf("norm.weight", "F16", 8)})
	c, err := Open(t.Context(), path, nil)
	require.NoError(t, err)
	offset := c.Tensors[0].Offset
	require.NoError(t, c.Close())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[offset+3] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o644))
	if c, err = Open(t.Context(), path, nil); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	require.ErrorContains(t, c.CheckSums(t.Context()), "as the zip states")
	require.True(t, bytes.Equal(b[offset:offset+4], []byte{0, 0, 0, 1}))
}

// TestParamsJSON refuses a params.json that contradicts the tensors, and merges
// what they do not state.
func TestParamsJSON(t *testing.T) {
	for text, says := range map[string]string{
		`{"dim": 9, "n_heads": 2}`: "dim is 9, the tensors have 8",
		`{"vocab_size": 9}`:        "vocab_size is 9, the tensors have 8",
		`null`:                     "the file is null",
		`{"dim": "8"}`:             "cannot unmarshal",
		`{"n_heads": 3}`:           "3 heads do not divide",
		`{"dim": 8, "n_heads": 2, "vocab_size": -1}`:   "",
		`{"n_heads": 2, "norm_eps": 1e-5, "extra": 1}`: "",
	} {
		dir := t.TempDir()
		putShard(t, filepath.Join(dir, shardName(0)), []tensor.Tensor{shardOf("tok_embeddings.weight", "F16", 8, 8), shardOf("norm.weight", "F16", 8)})
		require.NoError(t, os.WriteFile(filepath.Join(dir, "params.json"), []byte(text), 0o644))
		c, err := Open(t.Context(), dir, nil)
		if says != "" {
			require.ErrorContains(t, err, says)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, 2, c.Config.Heads)
		require.NoError(t, c.Close())
	}
}
