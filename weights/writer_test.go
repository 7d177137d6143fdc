package weights_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// formats are the outputs that can be written, by name.
var formats = map[string]weights.Spec{
	"stream":    {Format: weights.FormatEasyLM},
	"one file":  {Format: weights.FormatSafetensors},
	"shards":    {Format: weights.FormatSafetensors, ShardSize: 60_000},
	"one each":  {Format: weights.FormatSafetensors, ShardSize: 1},
	"two types": {Format: weights.FormatSafetensors, ShardSize: 60_000},
}

// plan lays out Tiny.
func plan(t *testing.T, name string) *weights.Plan {
	t.Helper()
	spec := formats[name]
	spec.Config = modeltest.Tiny.Config()
	spec.DTypes = types(&spec.Config, dtype.F16)
	if name == "two types" {
		for p := range spec.DTypes {
			if p.Role.IsNorm() {
				spec.DTypes[p] = dtype.F32
			}
		}
	}
	p, err := spec.Plan()
	require.NoError(t, err)
	return p
}

// fill writes every weight, each filled with a byte of its own.
func fill(t *testing.T, w *weights.Writer, p *weights.Plan) {
	t.Helper()
	var group sync.WaitGroup
	for q := range p.Spec.DTypes {
		group.Go(func() {
			b := bytes.Repeat([]byte{mark(q)}, int(p.Placement(q).Bytes()))
			half := len(b) / 2
			if w.WriteAt(q, b[half:], int64(half)) != nil || w.WriteAt(q, b[:half], 0) != nil {
				t.Errorf("writing %v", q)
			}
		})
	}
	group.Wait()
}

func mark(p weights.Param) byte { return byte(p.Layer<<4 | int(p.Role)) }

// requireFilled opens an output that fill wrote.
func requireFilled(t *testing.T, path string, p *weights.Plan) {
	t.Helper()
	c := open(t, path, &weights.OpenOptions{Heads: modeltest.Tiny.Heads})
	require.NoError(t, c.Complete())
	require.Equal(t, shape(c), []int{2, 64, 176, 128, 4, 4})
	for q, dt := range p.Spec.DTypes {
		b := make([]byte, c.Tensor(q).Bytes())
		_, err := c.Tensor(q).ReadAt(b, 0)
		require.NoError(t, err)
		require.Equal(t, bytes.Repeat([]byte{mark(q)}, len(b)), b, "%v", q)
		require.Equal(t, dt, c.Tensor(q).DType)
	}
}

// list lists a directory.
func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestWriter writes each kind of output. Nothing exists at its path before
// Commit, and only the output exists there afterwards.
func TestWriter(t *testing.T) {
	for name := range formats {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			out := filepath.Join(dir, "out")
			before := openFiles()
			p := plan(t, name)
			w, err := p.Create(t.Context(), out, nil)
			require.NoError(t, err)
			require.NoFileExists(t, out)
			require.NoDirExists(t, out)
			fill(t, w, p)
			require.NoFileExists(t, out)
			require.NoDirExists(t, out)
			require.NoError(t, w.Commit())
			require.Equal(t, []string{"out"}, list(t, dir))
			require.NoError(t, w.Abort(), "a deferred Abort does nothing")
			require.Equal(t, before, openFiles(), "files are left open")
			requireFilled(t, out, p)
			requireSizes(t, out, p)
		})
	}
}

// requireSizes compares the files with the plan.
func requireSizes(t *testing.T, out string, p *weights.Plan) {
	t.Helper()
	total := int64(0)
	for _, f := range p.Files {
		info, err := os.Stat(filepath.Join(out, f.Name))
		require.NoError(t, err)
		require.Equal(t, f.Size, info.Size(), f.Name)
		total += info.Size()
	}
	require.Equal(t, p.Bytes(), total)
	if p.IsDir() {
		require.Len(t, list(t, out), len(p.Files))
	}
}

// TestAbort keeps the earlier output, and nothing else.
func TestAbort(t *testing.T) {
	for name := range formats {
		dir := t.TempDir()
		out := filepath.Join(dir, "out")
		p := plan(t, name)
		for _, old := range []bool{false, true} {
			if old {
				require.NoError(t, os.WriteFile(out, []byte("old"), 0o644))
			}
			before := openFiles()
			w, err := p.Create(t.Context(), out, &weights.CreateOptions{Replace: true})
			require.NoError(t, err)
			fill(t, w, p)
			require.NoError(t, w.Abort())
			require.NoError(t, w.Abort(), "twice")
			require.Equal(t, before, openFiles(), "files are left open")
			if !old {
				require.Empty(t, list(t, dir))
				continue
			}
			require.Equal(t, []string{"out"}, list(t, dir))
			b, err := os.ReadFile(out)
			require.NoError(t, err)
			require.Equal(t, "old", string(b))
		}
	}
}

// TestReplace replaces an earlier output only if that is allowed.
func TestReplace(t *testing.T) {
	for name := range formats {
		dir := t.TempDir()
		out := filepath.Join(dir, "out")
		p := plan(t, name)
		for _, replace := range []bool{false, false, true} {
			w, err := p.Create(t.Context(), out, &weights.CreateOptions{Replace: replace})
			require.NoError(t, err)
			fill(t, w, p)
			_, statErr := os.Stat(out)
			err = w.Commit()
			if replace || statErr != nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, fs.ErrExist)
			}
			requireFilled(t, out, p)
			require.Equal(t, []string{"out"}, list(t, dir))
		}
	}
}

// TestWriteOutside writes outside of weights.
func TestWriteOutside(t *testing.T) {
	for name := range formats {
		p := plan(t, name)
		w, err := p.Create(t.Context(), filepath.Join(t.TempDir(), "out"), nil)
		require.NoError(t, err)
		gate := weights.Param{Layer: 1, Role: weights.Gate}
		size := p.Placement(gate).Bytes()
		require.EqualValues(t, 2*64*176, size)
		for _, x := range []struct {
			p      weights.Param
			n, off int64
		}{
			{gate, 1, -1}, {gate, 1, size}, {gate, size, 1}, {gate, size + 1, 0}, {gate, 1, math.MaxInt64}, {gate, 1, math.MinInt64},
			{weights.Param{}, 1, 0}, {weights.Param{Role: weights.Ignored}, 1, 0}, {weights.Param{Layer: 2, Role: weights.Gate}, 1, 0},
			{weights.Param{Layer: 1, Role: weights.Norm}, 1, 0},
		} {
			require.ErrorContains(t, w.WriteAt(x.p, make([]byte, x.n), x.off), "bytes in the output", "%s: %+v", name, x)
		}
		require.NoError(t, w.Abort())
	}
}

// TestIndexOfShards reads the index without this module's code.
func TestIndexOfShards(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	p := plan(t, "two types")
	w, err := p.Create(t.Context(), out, nil)
	require.NoError(t, err)
	fill(t, w, p)
	require.NoError(t, w.Commit())
	text, err := os.ReadFile(filepath.Join(out, indexFile))
	require.NoError(t, err)
	var index struct {
		Metadata struct {
			Size       int64 `json:"total_size"`
			Parameters int64 `json:"total_parameters"`
		} `json:"metadata"`
		Map map[string]string `json:"weight_map"`
	}
	require.NoError(t, json.Unmarshal(text, &index))
	config := modeltest.Tiny.Config()
	require.Equal(t, config.Parameters(), index.Metadata.Parameters)
	require.Equal(t, 2*config.Parameters()+2*64*5, index.Metadata.Size, "five norms of 64 in F32")
	require.Len(t, index.Map, 21)
	shards := map[string]int64{}
	for tensor, shard := range index.Map {
		q := weights.HuggingFace.Param(tensor)
		require.Equal(t, shard, p.Files[p.Placement(q).Parts[0].File].Name)
		shards[shard] += p.Placement(q).Bytes()
	}
	for _, name := range list(t, out) {
		if strings.HasSuffix(name, ".safetensors") {
			require.Contains(t, shards, name, "a shard without tensors")
			require.Less(t, shards[name], int64(60_000))
		}
	}
}

// TestFilesOfPlan adds small files, some of which replace generated ones.
func TestFilesOfPlan(t *testing.T) {
	spec := formats["one file"]
	spec.Config = modeltest.Tiny.Config()
	spec.DTypes = types(&spec.Config, dtype.BF16)
	spec.Files = map[string][]byte{"tokenizer.model": []byte("pieces"), "generation_config.json": []byte("{}"), "empty": nil}
	out := filepath.Join(t.TempDir(), "out")
	p, err := spec.Plan()
	require.NoError(t, err)
	w, err := p.Create(t.Context(), out, nil)
	require.NoError(t, err)
	require.NoError(t, w.Commit())
	require.Equal(t, []string{"config.json", "empty", "generation_config.json", single, "tokenizer.model"}, list(t, out))
	for name, want := range spec.Files {
		b, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		require.Equal(t, string(want), string(b))
	}
	c := open(t, out, nil)
	pieces, err := c.File("tokenizer.model")
	require.NoError(t, err)
	require.Equal(t, "pieces", string(pieces))
	for _, name := range []string{"absent", "../out/config.json", ""} {
		_, err := c.File(name)
		require.Error(t, err, name)
	}
}

// TestBadPlans plans outputs that cannot be laid out or created.
func TestBadPlans(t *testing.T) {
	config := modeltest.Tiny.Config()
	for _, format := range []weights.Format{weights.FormatFlax, "meta", ""} {
		_, err := (&weights.Spec{Format: format, Config: config, DTypes: types(&config, dtype.F16)}).Plan()
		require.ErrorIs(t, err, weights.ErrOptions, format)
	}
	for _, format := range []weights.Format{weights.FormatEasyLM, weights.FormatSafetensors, weights.FormatTorch, weights.FormatGGUF} {
		for _, dt := range []dtype.Type{"I64", "F64", "F4", "f16", "Q4_0", ""} {
			_, err := (&weights.Spec{Format: format, Config: config, DTypes: types(&config, dt)}).Plan()
			require.ErrorIs(t, err, weights.ErrOptions, "%s of %q", format, dt)
		}
	}
	for _, format := range []weights.Format{weights.FormatEasyLM, weights.FormatSafetensors, weights.FormatTorch} {
		_, err := (&weights.Spec{Format: format, Config: config, DTypes: types(&config, dtype.Q8_0)}).Plan()
		require.ErrorIs(t, err, weights.ErrOptions, format)
	}
	noHeads := config
	noHeads.Heads = 0
	for _, format := range []weights.Format{weights.FormatSafetensors, weights.FormatTorch, weights.FormatGGUF} {
		_, err := (&weights.Spec{Format: format, Config: noHeads, DTypes: types(&config, dtype.F16)}).Plan()
		var unknown *weights.ModelError
		require.ErrorAs(t, err, &unknown, format)
	}
	for _, shards := range []int{-1, 3, 5, 16} {
		_, err := (&weights.Spec{Format: weights.FormatTorch, Config: config, DTypes: types(&config, dtype.F16), Shards: shards}).Plan()
		require.ErrorIs(t, err, weights.ErrOptions, "%d shards", shards)
	}
	odd := config
	odd.FFN = 177
	_, err := (&weights.Spec{Format: weights.FormatTorch, Config: odd, DTypes: types(&config, dtype.F16), Shards: 2}).Plan()
	require.ErrorContains(t, err, "layer 0 gate of shape [177 64] cannot be divided among 2 shards")

	dir := t.TempDir()
	_, err = plan(t, "stream").Create(t.Context(), filepath.Join(dir, "absent", "out"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	spec := weights.Spec{Format: weights.FormatSafetensors, Config: config, DTypes: types(&config, dtype.F16), Files: map[string][]byte{"../escape": nil}}
	p, err := spec.Plan()
	require.NoError(t, err)
	before := openFiles()
	_, err = p.Create(t.Context(), filepath.Join(dir, "out"), nil)
	require.ErrorContains(t, err, "escape")
	require.Empty(t, list(t, dir))
	require.Equal(t, before, openFiles(), "files are left open")
}
