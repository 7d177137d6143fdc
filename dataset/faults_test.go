package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/source"
)

var errFault = errors.New("injected fault")

// faultyFS fails operation number at, counted from 1 over all operations.
type faultyFS struct {
	vfs.FS
	at    int
	count atomic.Int64
}

func (f *faultyFS) fault() error {
	if f.count.Add(1) == int64(f.at) {
		return errFault
	}
	return nil
}

func (f *faultyFS) Open(path string) (vfs.File, error) {
	if err := f.fault(); err != nil {
		return nil, err
	}
	file, err := f.FS.Open(path)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *faultyFS) Create(path string, size int64) (vfs.File, error) {
	if err := f.fault(); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(path, size)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *faultyFS) CreateTemp(dir, pattern string) (vfs.File, string, error) {
	if err := f.fault(); err != nil {
		return nil, "", err
	}
	file, path, err := f.FS.CreateTemp(dir, pattern)
	if err != nil {
		return nil, "", err
	}
	return &faultyFile{file, f}, path, nil
}

func (f *faultyFS) MkdirAll(path string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.FS.MkdirAll(path)
}

func (f *faultyFS) Rename(from, to string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *faultyFS) SyncDir(path string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.FS.SyncDir(path)
}

type faultyFile struct {
	vfs.File
	fs *faultyFS
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.fault(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.fault(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) Sync() error { return errors.Join(f.fs.fault(), f.File.Sync()) }

// faultySteps are runs that read in.jsonl in a directory and write out there.
var faultySteps = map[string]func(ctx context.Context, dir string) error{
	"lines": func(ctx context.Context, dir string) error {
		records := Dedup(ctx, readDir(ctx, dir), &DedupOptions{Memory: 10, Dir: dir})
		return writeLines(ctx, filepath.Join(dir, "out"), Shuffle(ctx, records, &ShuffleOptions{Memory: 5000, Dir: dir}))
	},
	"batches": func(ctx context.Context, dir string) error {
		in := Files(filepath.Join(dir, "in.jsonl"))
		fingerprint, err := Fingerprint(ctx, in)
		if err != nil {
			return err
		}
		w, err := CreateBatches(ctx, filepath.Join(dir, "out"), &BatchOptions{SeqLength: 64, Batch: 2, FileBatches: 3, Fingerprint: fingerprint})
		if err != nil {
			return err
		}
		p, err := NewProcessor(byteEncoder{}, &ProcessorOptions{Fields: "human_0"})
		if err != nil {
			return err
		}
		records := Read(ctx, in, &ReadOptions{Start: w.Start().Start})
		for b, err := range Pack(Tokenize(ctx, records, p, 1), &PackOptions{SeqLength: 64, Batch: 2, Start: w.Start()}) {
			if err == nil {
				err = w.Write(&b)
			}
			if err != nil {
				return errors.Join(err, w.Abort())
			}
		}
		return w.Close()
	},
	"dedup units": func(ctx context.Context, dir string) error {
		units, err := Units(ctx, Files(filepath.Join(dir, "in.jsonl")), 700)
		if err != nil {
			return err
		}
		return DedupUnits(ctx, filepath.Join(dir, "out"), units, &DedupUnitOptions{Memory: 10, Dir: dir}, readUnitIn(ctx), func(_ Unit, path string, records iter.Seq2[Record, error]) error {
			return writeLines(ctx, path, records)
		})
	},
	"mix units": func(ctx context.Context, dir string) error {
		sources := []MixUnitSource{{"a", 1, Files(filepath.Join(dir, "in.jsonl"))}}
		return MixUnits(ctx, filepath.Join(dir, "out"), sources, &MixUnitOptions{Shuffle: true, Size: 900, Dir: dir}, readUnitIn(ctx))
	},
}

func readDir(ctx context.Context, dir string) iter.Seq2[Record, error] {
	return Read(ctx, Files(filepath.Join(dir, "in.jsonl")), &ReadOptions{Workers: 1})
}

func readUnitIn(ctx context.Context) func(Unit) iter.Seq2[Record, error] {
	return func(u Unit) iter.Seq2[Record, error] {
		return Read(ctx, []Input{u.Input}, &ReadOptions{Start: u.Start, Workers: 1})
	}
}

// writeLines writes records to a file that it replaces.
func writeLines(ctx context.Context, path string, records iter.Seq2[Record, error]) error {
	w, err := CreateLines(ctx, path, true)
	if err != nil {
		return err
	}
	for r, err := range records {
		if err == nil {
			_, err = w.Write(append(r.AppendJSON(nil), '\n'))
		}
		if err != nil {
			return errors.Join(err, w.Discard())
		}
	}
	return w.Publish()
}

// wholeTree returns the files below a directory by their paths.
func wholeTree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path) // path is below dir
		fmt.Fprintf(&b, "%s %q\n", name, data)
		return err
	}))
	return b.String()
}

// TestFaults injects faults at file operations of several runs, through the
// context. The fault must reach the caller, and a second run in the same
// directory must give the same output as a run without faults.
func TestFaults(t *testing.T) {
	text := ""
	for i := range 60 {
		text += fmt.Sprintf(`{"human_0": "query %d%s"}`+"\n", i*i%37, strings.Repeat("x", 20))
	}
	for name, step := range faultySteps {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "in.jsonl"), []byte(text), 0o600))
		counting := &faultyFS{FS: vfs.OS}
		require.NoError(t, step(vfs.NewContext(t.Context(), counting), dir), name)
		want := wholeTree(t, dir)
		operations := int(counting.count.Load())
		require.Greater(t, operations, 20, name)
		stride := 1 + operations/60
		if testing.Short() {
			stride = 1 + operations/10
		}
		for at := 1; at <= operations; at += stride {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "in.jsonl"), []byte(text), 0o600))
			err := step(vfs.NewContext(t.Context(), &faultyFS{FS: vfs.OS, at: at}), dir)
			require.ErrorIs(t, err, errFault, "%s, operation %d", name, at)
			require.NoError(t, step(t.Context(), dir), "%s, after a fault in operation %d", name, at)
			require.Equal(t, want, wholeTree(t, dir), "%s, after a fault in operation %d", name, at)
		}
	}
}

// TestInputs reads the same file through each kind of input, whole and in
// units.
func TestInputs(t *testing.T) {
	data, err := os.ReadFile("testdata/hh.parquet")
	require.NoError(t, err)
	opts := ReadOptions{Source: HH}
	want := written(t, Files("testdata/hh.parquet"), opts)
	fingerprint, err := Fingerprint(t.Context(), Files("testdata/hh.parquet"))
	require.NoError(t, err)
	for name, in := range map[string][]Input{
		"reader at": {FromReaderAt("hh.parquet", bytes.NewReader(data), int64(len(data)))},
		"map":       SourceFiles(source.Map{"data/hh.parquet": bytes.NewReader(data)}, "data/hh.parquet"),
		"fs":        SourceFiles(source.FromFS(os.DirFS("testdata")), "hh.parquet"),
	} {
		require.Equal(t, want, written(t, in, opts), name)
		units, err := Units(t.Context(), in, 1)
		require.NoError(t, err)
		require.Len(t, units, 3, name)
		got, err := Fingerprint(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, fingerprint, got, name)
	}
	lines, err := os.ReadFile("testdata/hh.jsonl")
	require.NoError(t, err)
	stream := func() []Input { return []Input{FromReader("stdin", io.MultiReader(bytes.NewReader(lines)))} }
	require.Equal(t, want, written(t, stream(), opts))
	_, err = Units(t.Context(), stream(), 1)
	require.ErrorContains(t, err, "a stream cannot be divided")
	for _, err := range Read(t.Context(), SourceFiles(source.Map{}, "nowhere"), nil) {
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, "nowhere")
	}
}
