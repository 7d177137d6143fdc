package source_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/source"
)

// TestSources checks that a map and a file system with the same files look the
// same.
func TestSources(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "model", "sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model", "config.json"), []byte("{}"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model", "sub", "a"), []byte("abc"), 0o644))
	for name, src := range map[string]source.Source{
		"map": source.Map{"model/config.json": strings.NewReader("{}"), "model/sub/a": bytes.NewReader([]byte("abc"))},
		"fs":  source.FromFS(os.DirFS(dir)),
	} {
		t.Run(name, func(t *testing.T) { testSource(t, src) })
	}
}

func testSource(t *testing.T, src source.Source) {
	ctx := context.Background()
	list, err := src.List(ctx, "model")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "config.json", list[0].Name)
	require.EqualValues(t, 2, list[0].Size)
	require.Equal(t, "sub", list[1].Name)
	require.True(t, list[1].IsDir)

	root, err := src.List(ctx, ".")
	require.NoError(t, err)
	require.Len(t, root, 1)

	info, err := src.Stat(ctx, "model/sub")
	require.NoError(t, err)
	require.True(t, info.IsDir)

	f, err := src.Open(ctx, "model/sub/a")
	require.NoError(t, err)
	b := make([]byte, 2)
	_, err = f.ReadAt(b, 1)
	require.NoError(t, err)
	require.Equal(t, "bc", string(b))
	before, err := src.Stat(ctx, "model/sub/a")
	require.NoError(t, err)
	now, err := f.Stat()
	require.NoError(t, err)
	require.True(t, before.Same(now))
	require.NoError(t, f.Close())

	for _, missing := range []string{"mod", "model/x", "model/sub/a/b"} {
		_, err = src.Stat(ctx, missing)
		require.Error(t, err, missing)
		_, err = src.Open(ctx, missing)
		require.Error(t, err, missing)
	}
	_, err = src.Open(ctx, "model/x")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = src.List(ctx, "model/config.json")
	require.Error(t, err)
}
