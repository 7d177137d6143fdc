package weights_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

// TestTinyIsGood opens the directory that the tests below damage.
func TestTinyIsGood(t *testing.T) {
	dir := tiny(t)
	entries, err := filepath.Glob(filepath.Join(dir, "model-*"))
	require.NoError(t, err)
	require.Len(t, entries, 5)
	c := open(t, dir, nil)
	require.NoError(t, c.Complete())
	require.Equal(t, weights.HuggingFace, c.Layout)
}

// TestShardNames puts names into an index that are more than the name of a
// file. Nothing outside the directory may be read.
func TestShardNames(t *testing.T) {
	for what, name := range map[string]string{
		"empty": "", "dot": ".", "dot dot": "..",
		"parent": "../" + shard1, "parent of a subdirectory": "sub/../" + shard1, "absolute": "/etc/passwd",
		"subdirectory": "sub/" + shard1, "backslash": `sub\` + shard1, "NUL": shard1 + "\x00.bin",
		"URL": "https://example.org/" + shard1, "colon": "C:" + shard1, "300 characters": strings.Repeat("x", 300),
	} {
		t.Run(what, func(t *testing.T) {
			dir := tiny(t)
			require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
			for _, to := range []string{"sub", ".."} { // the file is there, so that only the name is at fault
				require.NoError(t, os.Link(filepath.Join(dir, shard1), filepath.Join(dir, to, shard1)))
			}
			move(t, dir, shard1, name)
			_, err := weights.Open(t.Context(), dir, nil)
			requireFormatError(t, err, weights.ErrMalformed, filepath.Join(dir, indexFile))
			require.ErrorContains(t, err, "not a plain file name")
		})
	}
}

// TestBadIndexText opens directories with a malformed index file.
func TestBadIndexText(t *testing.T) {
	entry := `"lm_head.weight":"` + shard1 + `"`
	for what, c := range map[string]struct {
		text string
		kind error
	}{
		"empty file":                 {"", weights.ErrMalformed},
		"cut short":                  {`{"weight_map":{` + entry, weights.ErrMalformed},
		"null":                       {`null`, weights.ErrMalformed},
		"array":                      {`[{"weight_map":{` + entry + `}}]`, weights.ErrMalformed},
		"string":                     {`"weight_map"`, weights.ErrMalformed},
		"no weight_map":              {`{"metadata":{"total_size":1}}`, weights.ErrMalformed},
		"empty weight_map":           {`{"weight_map":{}}`, weights.ErrMalformed},
		"weight_map is null":         {`{"weight_map":null}`, weights.ErrMalformed},
		"weight_map is an array":     {`{"weight_map":["` + shard1 + `"]}`, weights.ErrMalformed},
		"shard is a number":          {`{"weight_map":{"lm_head.weight":1}}`, weights.ErrMalformed},
		"shard is null":              {`{"weight_map":{"lm_head.weight":null}}`, weights.ErrMalformed},
		"shard is a list":            {`{"weight_map":{"lm_head.weight":["` + shard1 + `"]}}`, weights.ErrMalformed},
		"tensor twice":               {`{"weight_map":{` + entry + `,` + entry + `}}`, weights.ErrMalformed},
		"tensor twice, by an escape": {`{"weight_map":{` + entry + `,"lm\u005fhead.weight":"` + shard2 + `"}}`, weights.ErrMalformed},
		"weight_map twice":           {`{"weight_map":{` + entry + `},"weight_map":{` + entry + `}}`, weights.ErrMalformed},
		"text after it":              {`{"weight_map":{` + entry + `}} and more`, weights.ErrMalformed},
		"comma after it":             {`{"weight_map":{` + entry + `},}`, weights.ErrMalformed},
		"comment":                    {`{/* why */"weight_map":{` + entry + `}}`, weights.ErrMalformed},
		"byte order mark":            {"\ufeff" + `{"weight_map":{` + entry + `}}`, weights.ErrMalformed},
		"not UTF-8":                  {"{\"weight_map\":{\"\xff\":\"" + shard1 + "\"}}", weights.ErrMalformed},
		"lone surrogate":             {`{"weight_map":{"\ud800":"` + shard1 + `"}}`, weights.ErrMalformed},
		"nested deeply":              {`{"metadata":` + strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000) + `}`, weights.ErrMalformed},
		"nested deeply, open":        {`{"metadata":` + strings.Repeat(`{"a":`, 1_000_000), weights.ErrMalformed},
		"zeros":                      {strings.Repeat("\x00", 100), weights.ErrMalformed},
	} {
		t.Run(what, func(t *testing.T) {
			dir := tiny(t)
			text(t, dir, indexFile, c.text)
			_, err := weights.Open(t.Context(), dir, nil)
			requireFormatError(t, err, c.kind, filepath.Join(dir, indexFile))
		})
	}
}

// TestIndexAgainstShards opens directories whose index and shards contradict
// each other.
func TestIndexAgainstShards(t *testing.T) {
	const first, moved = "lm_head.weight", "model.embed_tokens.weight"
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		path   string // of the error: the index or a shard
		kind   error
		says   string
	}{
		{"shard is missing", func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, shard2)))
		}, indexFile, weights.ErrMalformed, "shard " + shard2 + " is missing"},
		{"shard that never was", func(t *testing.T, dir string) {
			editMap(t, dir, func(m map[string]any) { m["more.weight"] = "model-00006-of-00005.safetensors" })
		}, indexFile, weights.ErrMalformed, "model-00006-of-00005.safetensors is missing"},
		{"names that differ in case", func(t *testing.T, dir string) {
			upper := "MODEL" + strings.TrimPrefix(shard1, "model")
			require.NoError(t, os.Link(filepath.Join(dir, shard1), filepath.Join(dir, upper)))
			editMap(t, dir, func(m map[string]any) { m["more.weight"] = upper })
		}, indexFile, weights.ErrMalformed, "letter case"},
		{"tensor in no shard", func(t *testing.T, dir string) {
			editMap(t, dir, func(m map[string]any) { m["more.weight"] = shard1 })
		}, indexFile, weights.ErrMalformed, `"more.weight" is in no shard`},
		{"tensor in two shards", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, shard2), func(list []tensor.Tensor) []tensor.Tensor {
				return append(list, array(first, "F16", 128, 64))
			})
		}, indexFile, weights.ErrMalformed, `"` + first + `" is in two shards`},
		{"tensor in another shard", func(t *testing.T, dir string) {
			editMap(t, dir, func(m map[string]any) { m[first] = shard2 })
		}, indexFile, weights.ErrMalformed, `"` + first + `" is in shard ` + shard1 + ", not in " + shard2},
		{"tensor not in the index", func(t *testing.T, dir string) {
			editMap(t, dir, func(m map[string]any) { delete(m, moved) })
		}, indexFile, weights.ErrMalformed, `"` + moved + `" of shard`},
		{"shard cut by a byte", cut(shard2, -1), shard2, io.ErrUnexpectedEOF, "bytes of data"},
		{"shard cut in the header", cut(shard2, 100), shard2, io.ErrUnexpectedEOF, "header"},
		{"shard cut in the header's length", cut(shard2, 7), shard2, io.ErrUnexpectedEOF, "header length"},
		{"shard is empty", cut(shard2, 0), shard2, io.ErrUnexpectedEOF, "header length"},
		{"shard is too long", cut(shard2, +1), shard2, weights.ErrMalformed, "1 unexpected bytes follow"},
		{"shard is of another format", func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, shard2)))
			require.NoError(t, modeltest.Tiny.Write(filepath.Join(dir, shard2), &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.F16}))
		}, shard2, weights.ErrMalformed, "header length"},
		{"index is too large", cut(indexFile, 65<<20), indexFile, weights.ErrMalformed, "more than the 67108864"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tiny(t)
			before := openFiles()
			c.damage(t, dir)
			_, err := weights.Open(t.Context(), dir, nil)
			requireFormatError(t, err, c.kind, filepath.Join(dir, c.path))
			require.ErrorContains(t, err, c.says)
			require.Equal(t, before, openFiles(), "files are left open")
		})
	}
}

// cut changes the length of a file: to n bytes, or by one byte.
func cut(name string, n int64) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, name)
		if n == -1 || n == +1 {
			info, err := os.Stat(path)
			require.NoError(t, err)
			n += info.Size()
		}
		require.NoError(t, os.Truncate(path, n))
	}
}

// TestSingleFileWins opens a directory with both a single file and shards: like
// transformers, it reads the single file.
func TestSingleFileWins(t *testing.T) {
	dir := tiny(t)
	text(t, dir, indexFile, "not even JSON")
	put(t, filepath.Join(dir, single), []tensor.Tensor{array("only.weight", "F32", 3)})
	c := open(t, dir, nil)
	require.Len(t, c.Tensors, 1)
	require.Equal(t, "only.weight", c.Tensors[0].Name)
	require.Equal(t, filepath.Join(dir, single), c.Tensors[0].Path)
}

// TestDirectoryWithoutModel opens directories that hold no model, or half of
// one.
func TestDirectoryWithoutModel(t *testing.T) {
	dir := t.TempDir()
	_, err := weights.Open(t.Context(), dir, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, single)
	text(t, dir, "ggml-model-f16.gguf", "GGUF")
	_, err = weights.Open(t.Context(), dir, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "give "+filepath.Join(dir, "ggml-model-f16.gguf"))
	for _, name := range []string{"pytorch_model-00001-of-00002.bin", "model-00001-of-00002.safetensors", "consolidated.0.pth"} {
		dir := t.TempDir()
		text(t, dir, name, "PK\x03\x04")
		_, err := weights.Open(t.Context(), dir, nil)
		require.ErrorIs(t, err, os.ErrNotExist, name)
	}
	for _, name := range []string{"consolidated.00.pth", "pytorch_model.bin"} {
		dir := t.TempDir()
		text(t, dir, name, "PK\x03\x04")
		_, err := weights.Open(t.Context(), dir, nil)
		requireFormatError(t, err, io.ErrUnexpectedEOF, filepath.Join(dir, name))
	}
}
