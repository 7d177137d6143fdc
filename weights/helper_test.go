package weights_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

// tiny writes modeltest.Tiny into a directory of several shards, all zeros.
func tiny(t *testing.T) string {
	t.Helper()
	return model(t, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16, ShardSize: 60_000})
}

// model writes modeltest.Tiny.
func model(t *testing.T, o *modeltest.Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model")
	require.NoError(t, modeltest.Tiny.Write(path, o))
	return path
}

const (
	shard1    = "model-00001-of-00005.safetensors"
	shard2    = "model-00002-of-00005.safetensors"
	single    = "model.safetensors"
	indexFile = "model.safetensors.index.json"
)

// edit rewrites a safetensors file with other tensors. Tensors without data are
// zero.
func edit(t *testing.T, path string, change func([]tensor.Tensor) []tensor.Tensor) {
	t.Helper()
	old, err := os.Open(path)
	require.NoError(t, err)
	defer old.Close()
	info, err := old.Stat()
	require.NoError(t, err)
	file, err := safetensors.Read(old, info.Size())
	require.NoError(t, err)
	put(t, path+".new", change(slices.Clone(file.Tensors)))
	require.NoError(t, os.Rename(path+".new", path))
}

// put writes a safetensors file.
func put(t *testing.T, path string, tensors []tensor.Tensor) {
	t.Helper()
	header, offsets, size, err := safetensors.Header(tensors, nil)
	require.NoError(t, err)
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(size))
	_, err = f.WriteAt(header, 0)
	require.NoError(t, err)
	for i, w := range tensors {
		if w.Data != nil {
			_, err := io.Copy(io.NewOffsetWriter(f, offsets[i]), io.NewSectionReader(w.Data, 0, w.Bytes()))
			require.NoError(t, err)
		}
	}
}

// array describes a tensor of zeros.
func array(name string, dt dtype.Type, shape ...int64) tensor.Tensor {
	return tensor.Tensor{Name: name, DType: dt, Shape: shape}
}

// text writes a file.
func text(t *testing.T, dir, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
}

// editJSON changes the fields of a file; null removes a field.
func editJSON(t *testing.T, path string, change func(fields map[string]any)) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(b, &fields))
	change(fields)
	b, err = json.Marshal(fields)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b, 0o644))
}

// editMap changes the weight_map of an index.
func editMap(t *testing.T, dir string, change func(shardOf map[string]any)) {
	t.Helper()
	editJSON(t, filepath.Join(dir, indexFile), func(fields map[string]any) { change(fields["weight_map"].(map[string]any)) })
}

// move renames a shard in the weight_map.
func move(t *testing.T, dir, from, to string) {
	t.Helper()
	editMap(t, dir, func(shardOf map[string]any) {
		for tensor, shard := range shardOf {
			if shard == from {
				shardOf[tensor] = to
			}
		}
	})
}

// open opens a checkpoint that is well-formed.
func open(t *testing.T, path string, opts *weights.OpenOptions) *weights.Checkpoint {
	t.Helper()
	c, err := weights.Open(t.Context(), path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// requireFormatError checks the properties of every FormatError: its kind is
// the wanted one and no other, and the message names the file and ends with
// what to do.
func requireFormatError(t *testing.T, err, kind error, path string) *weights.FormatError {
	t.Helper()
	var e *weights.FormatError
	require.ErrorAs(t, err, &e)
	for _, k := range []error{weights.ErrMalformed, weights.ErrUnsupported, io.ErrUnexpectedEOF} {
		require.Equal(t, k == kind, errors.Is(err, k), "is it %v? %v", k, err)
	}
	require.Equal(t, path, e.Path)
	require.Contains(t, err.Error(), path)
	require.Less(t, len(err.Error()), len(path)+600, "a message is a line or two")
	require.GreaterOrEqual(t, e.Offset, int64(-1))
	parts := strings.Split(err.Error(), ": ")
	require.Regexp(t, `\b(fetch|convert|unpack|take|give|load)\b`, parts[len(parts)-1], "the end says what to do: %v", err)
	return e
}

// requireModelError checks the properties of every ModelError.
func requireModelError(t *testing.T, err error, path string) {
	t.Helper()
	var e *weights.ModelError
	require.ErrorAs(t, err, &e)
	require.Equal(t, path, e.Path)
	require.NotEmpty(t, e.Problem)
	require.Equal(t, e.Problem+": "+path+": "+e.Cure, e.Error())
	require.Regexp(t, `\b(take|give)\b`, e.Cure)
}

// openFiles returns the number of open files of this process, 0 if the system
// does not state it.
func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}
