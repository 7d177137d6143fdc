package weights_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/source"
	"github.com/koala-go/sdk/weights"
)

// inMemory reads the files of a path into a Source, under the name "model".
func inMemory(t *testing.T, local string) source.Map {
	t.Helper()
	files := source.Map{}
	require.NoError(t, filepath.WalkDir(local, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(p)
		rel, _ := filepath.Rel(local, p)
		files[path.Join("model", filepath.ToSlash(rel))] = bytes.NewReader(content)
		return err
	}))
	return files
}

// requireEqual compares all tensors of two checkpoints.
func requireEqual(t *testing.T, want, got *weights.Checkpoint) {
	t.Helper()
	require.NoError(t, got.Complete())
	require.Equal(t, want.Format, got.Format)
	require.Equal(t, want.Config, got.Config)
	require.Len(t, got.Tensors, len(want.Tensors))
	for i, w := range want.Tensors {
		g := got.Tensors[i]
		require.Equal(t, w.Name, g.Name)
		a, b := make([]byte, w.Bytes()), make([]byte, g.Bytes())
		_, err := w.ReadAt(a, 0)
		require.NoError(t, err)
		_, err = g.ReadAt(b, 0)
		require.NoError(t, err)
		require.Equal(t, a, b, w.Name)
	}
}

// TestSources opens the same checkpoint from local files, from a map and from
// an fs.FS.
func TestSources(t *testing.T) {
	for _, o := range []modeltest.Options{
		{Format: weights.FormatSafetensors}, {Format: weights.FormatSafetensors, ShardSize: 60_000},
		{Format: weights.FormatTorch, Shards: 2}, {Format: weights.FormatEasyLM},
	} {
		o.DType, o.Values = dtype.F16, modeltest.Tiny.Base
		local := model(t, &o)
		want := open(t, local, &weights.OpenOptions{Heads: 4})
		for _, src := range []source.Source{
			inMemory(t, local), source.FromFS(os.DirFS(filepath.Dir(local))),
		} {
			got := open(t, "model", &weights.OpenOptions{Heads: 4, Source: src})
			requireEqual(t, want, got)
			require.NoError(t, got.Unchanged())
			require.Len(t, got.Files(), len(want.Files()))
			for i, f := range got.Files() {
				require.Equal(t, filepath.Base(want.Files()[i].Path), path.Base(f.Path))
				require.Equal(t, want.Files()[i].Size, f.Size)
			}
			text, err := got.File("config.json")
			if o.Format == weights.FormatSafetensors {
				require.NoError(t, err)
				require.NotEmpty(t, text)
			} else {
				require.ErrorIs(t, err, fs.ErrNotExist)
			}
		}
	}
}

// TestSourceSingleFile opens one file of a directory, which reads config.json
// next to it too.
func TestSourceSingleFile(t *testing.T) {
	files := inMemory(t, model(t, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16}))
	c := open(t, "model/model.safetensors", &weights.OpenOptions{Source: files})
	require.Equal(t, 4, c.Config.Heads)
	root := source.Map{"model.safetensors": files["model/model.safetensors"], "config.json": files["model/config.json"]}
	for _, name := range []string{"model.safetensors", "."} {
		require.Equal(t, 4, open(t, name, &weights.OpenOptions{Source: root}).Config.Heads, name)
	}
}

// TestSourceNames checks that an index cannot point to another place of a
// Source.
func TestSourceNames(t *testing.T) {
	for _, name := range []string{"../model/" + shard2, "/" + shard2, "https://example.com/x", ".."} {
		dir := tiny(t)
		move(t, dir, shard2, name)
		_, err := weights.Open(t.Context(), "model", &weights.OpenOptions{Source: inMemory(t, dir)})
		requireFormatError(t, err, weights.ErrMalformed, "model/"+indexFile)
		require.ErrorContains(t, err, "not a plain file name")
	}
}

// changing is a Source whose files change identity, size or time on demand.
type changing struct {
	source.Map
	change func(*source.Info)
	ctx    context.Context
}

type changingFile struct {
	source.File
	s *changing
}

func (s *changing) Open(ctx context.Context, name string) (source.File, error) {
	f, err := s.Map.Open(ctx, name)
	s.ctx = ctx
	return changingFile{f, s}, err
}

func (f changingFile) Stat() (source.Info, error) {
	info, err := f.File.Stat()
	f.s.change(&info)
	return info, err
}

func (f changingFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.s.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// TestSourceChanges checks that Unchanged compares size, time and ID, and that
// Files returns them.
func TestSourceChanges(t *testing.T) {
	files := inMemory(t, model(t, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16}))
	src := &changing{Map: files, change: func(i *source.Info) { i.ID = "v1" }}
	ctx, cancel := context.WithCancel(t.Context())
	c, err := weights.Open(ctx, "model", &weights.OpenOptions{Source: src})
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, "v1", c.Files()[0].ID)
	require.NoError(t, c.Unchanged())
	for _, change := range []func(*source.Info){
		func(i *source.Info) { i.ID = "v2" },
		func(i *source.Info) { i.ID = "v1"; i.Size++ },
		func(i *source.Info) { i.ID = "v1"; i.ModTime = time.Now() },
	} {
		src.change = change
		require.ErrorContains(t, c.Unchanged(), "changed while it was read: model/model.safetensors")
	}
	cancel()
	_, err = c.Tensors[0].ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, context.Canceled, "the context of Open governs reads")
}

// TestNewReader reads one file of each format from memory.
func TestNewReader(t *testing.T) {
	for _, format := range []weights.Format{weights.FormatSafetensors, weights.FormatEasyLM, weights.FormatTorch} {
		local := model(t, &modeltest.Options{Format: format, DType: dtype.F16, Values: modeltest.Tiny.Base, Shards: 1})
		want := open(t, local, &weights.OpenOptions{Heads: 4})
		content, err := os.ReadFile(want.Files()[0].Path)
		require.NoError(t, err)
		got, err := weights.NewReader(bytes.NewReader(content), int64(len(content)), &weights.OpenOptions{Heads: 4})
		require.NoError(t, err)
		require.Equal(t, "checkpoint", got.Path)
		require.Equal(t, "checkpoint", got.Files()[0].Path)
		got.Config = want.Config // a reader has no config.json
		requireEqual(t, want, got)
		_, err = got.File("config.json")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, got.Unchanged())
		require.NoError(t, got.Close())
	}
}

func TestNewReaderRefuses(t *testing.T) {
	_, err := weights.NewReader(bytes.NewReader([]byte("no checkpoint")), 13, &weights.OpenOptions{Name: "upload"})
	requireFormatError(t, err, weights.ErrUnsupported, "upload")
	_, err = weights.NewReader(bytes.NewReader(nil), 0, nil)
	requireFormatError(t, err, io.ErrUnexpectedEOF, "checkpoint")
	_, err = weights.NewReader(bytes.NewReader(nil), -1, nil)
	require.ErrorContains(t, err, "size of the file is unknown: checkpoint")
	_, err = weights.Open(t.Context(), "absent", &weights.OpenOptions{Source: source.Map{}})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// failing is a file system that opens no files.
type failing struct{ vfs.FS }

var errFailing = errors.New("a failing disk")

func (failing) Open(string) (vfs.File, error)          { return nil, errFailing }
func (failing) Create(string, int64) (vfs.File, error) { return nil, errFailing }

// TestContextFaults checks that the file system of a context reaches reads and
// writes.
func TestContextFaults(t *testing.T) {
	ctx := vfs.NewContext(t.Context(), failing{vfs.OS})
	path := model(t, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.F16})
	_, err := weights.Open(ctx, path, nil)
	require.ErrorIs(t, err, errFailing)
	_, err = plan(t, "stream").Create(ctx, filepath.Join(t.TempDir(), "out"), nil)
	require.ErrorIs(t, err, errFailing)
}
