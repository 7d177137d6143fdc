package tokenizer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/source"
)

// TestOpenSources opens the same file on the local file system, in a map and in
// an fs.FS.
func TestOpenSources(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.json"), hf(), 0o600))
	for name, opts := range map[string]*OpenOptions{
		"a.json":                     {Source: source.Map{"a.json": bytes.NewReader(hf())}},
		"./a.json":                   {Source: source.FromFS(os.DirFS(dir))},
		filepath.Join(dir, "a.json"): nil,
	} {
		tok, err := Open(t.Context(), name, opts)
		require.NoError(t, err)
		require.Equal(t, KindHuggingFace, tok.Kind())
	}
}

// TestOpenSourceErrors checks the errors for files of a source that are absent,
// directories or bad.
func TestOpenSourceErrors(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad"), []byte{0x0a, 0x09}, 0o600))
	opts := &OpenOptions{Source: source.FromFS(os.DirFS(dir))}

	_, err := Open(t.Context(), "absent", opts)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Open(t.Context(), "sub", opts)
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = Open(t.Context(), "bad", opts)
	var bad *ModelError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "bad", bad.Path)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// brokenFS is a file system that opens nothing.
type brokenFS struct {
	vfs.FS
	err error
}

func (b brokenFS) Open(string) (vfs.File, error) { return nil, b.err }

// TestOpenUsesTheContext checks that Open reads from the file system of the
// context, and that it does not begin after the context has ended.
func TestOpenUsesTheContext(t *testing.T) {
	failed := errors.New("failed")
	_, err := Open(vfs.NewContext(t.Context(), brokenFS{vfs.OS, failed}), "a", nil)
	require.ErrorIs(t, err, failed)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(failed)
	_, err = Open(ctx, "a", nil)
	require.ErrorIs(t, err, failed)
}

// TestNewReaderErrors checks the errors for a reader that fails and for wrong
// sizes.
func TestNewReaderErrors(t *testing.T) {
	_, err := NewReader(bytes.NewReader(hf()), -1)
	require.ErrorIs(t, err, ErrOptions)
	for _, size := range []int64{int64(len(hf())) + 1, maxModel} {
		_, err = NewReader(bytes.NewReader(hf()), size)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	_, err = NewReader(bytes.NewReader(hf()), maxModel+1)
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = NewReader(failingReaderAt{}, 100)
	require.ErrorIs(t, err, iotest.ErrTimeout)
	require.NotErrorIs(t, err, ErrMalformed)
}

type failingReaderAt struct{}

func (failingReaderAt) ReadAt([]byte, int64) (int, error) { return 0, iotest.ErrTimeout }

// TestNilOptions checks that nil options and zero options mean the same.
func TestNilOptions(t *testing.T) {
	tok := Default()
	eachText(t, rounds(t)/100, func(t *testing.T, text string) {
		require.Equal(t, tok.Encode(text, nil), tok.Encode(text, &Options{}), "%q", text)
		require.Equal(t, tok.Count(text, nil), tok.Count(text, &Options{}), "%q", text)
		ids, spans := tok.AppendEncodeSpans(nil, nil, text, nil)
		ids2, spans2 := tok.AppendEncodeSpans(nil, nil, text, &Options{})
		require.Equal(t, ids, ids2, "%q", text)
		require.Equal(t, spans, spans2, "%q", text)
	})
}

// TestLists checks that the lists of modes and formats are complete.
func TestLists(t *testing.T) {
	require.Len(t, SpecialModes(), len(specialsNames))
	for i, mode := range SpecialModes() {
		require.EqualValues(t, i, mode)
	}
	for _, format := range Formats() {
		require.NoError(t, Default().Export(io.Discard, format))
	}
	require.EqualError(t, Default().Export(io.Discard, "xml"), `unknown format "xml": tokenizer.Export: use one of spm, hf`)
}
