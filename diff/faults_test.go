package diff

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// faulty is a file system whose operation number at goes wrong in one way.
type faulty struct {
	vfs.FS
	kind  fault
	at    int64
	count atomic.Int64
	fired atomic.Pointer[string] // the operation that went wrong
}

// fault is a way in which an operation goes wrong.
type fault struct {
	name string
	err  error
	// short lets a read or write do the half of its work, with the error, which
	// may be nil. Other operations go wrong only when there is an error.
	short bool
	// reads says that writes and the others are not touched.
	reads bool
	// harmless says that the run must succeed all the same.
	harmless bool
}

var faults = []fault{
	{name: "EIO", err: syscall.EIO},
	{name: "ENOSPC, half written", err: syscall.ENOSPC, short: true},
	{name: "EINTR", err: syscall.EINTR},
	{name: "half without a word", short: true},
	{name: "half, then the end", err: io.EOF, short: true, reads: true},
	{name: "all, and the end", err: io.EOF, reads: true, harmless: true},
	{name: "nothing without a word", reads: true, harmless: true},
}

// trip says whether this operation goes wrong.
func (f *faulty) trip(op string, read bool) bool {
	if f.kind.reads && !read || f.count.Add(1) != f.at {
		return false
	}
	f.fired.Store(&op)
	return true
}

// fail is the error of an operation that is no read or write.
func (f *faulty) fail(op string) error {
	if f.kind.err != nil && f.trip(op, false) {
		return f.kind.err
	}
	return nil
}

func (f *faulty) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *faulty) Open(path string) (vfs.File, error) {
	if err := f.fail("open"); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.Open(path))
}

func (f *faulty) OpenIn(dir, name string, follow bool) (vfs.File, error) {
	if err := f.fail("open in"); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.OpenIn(dir, name, follow))
}

func (f *faulty) Create(path string, size int64) (vfs.File, error) {
	if err := f.fail("create"); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.Create(path, size))
}

func (f *faulty) Reopen(path string) (vfs.File, error) {
	if err := f.fail("reopen"); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.Reopen(path))
}

func (f *faulty) Stat(path string) (fs.FileInfo, error) {
	if err := f.fail("stat"); err != nil {
		return nil, err
	}
	return f.FS.Stat(path)
}

func (f *faulty) ReadDir(path string) ([]fs.DirEntry, error) {
	if err := f.fail("readdir"); err != nil {
		return nil, err
	}
	return f.FS.ReadDir(path)
}

func (f *faulty) Mkdir(path string) error {
	return errors.Join(f.fail("mkdir"), f.FS.Mkdir(path))
}

func (f *faulty) Rename(from, to string) error {
	if err := f.fail("rename"); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *faulty) Remove(path string) error {
	if err := f.fail("remove"); err != nil {
		return err
	}
	return f.FS.Remove(path)
}

func (f *faulty) RemoveAll(path string) error {
	if err := f.fail("remove all"); err != nil {
		return err
	}
	return f.FS.RemoveAll(path)
}

func (f *faulty) Exchange(a, b string) error {
	if err := f.fail("exchange"); err != nil {
		return err
	}
	return f.FS.Exchange(a, b)
}

func (f *faulty) SyncDir(path string) error {
	return errors.Join(f.fail("sync of a directory"), f.FS.SyncDir(path))
}

func (f *faulty) Lock(path string) (io.Closer, error) {
	if err := f.fail("lock"); err != nil {
		return nil, err
	}
	return f.FS.Lock(path)
}

type faultyFile struct {
	vfs.File
	f *faulty
}

func (w *faultyFile) Sync() error  { return errors.Join(w.f.fail("sync"), w.File.Sync()) }
func (w *faultyFile) Close() error { return errors.Join(w.File.Close(), w.f.fail("close")) }

func (w *faultyFile) ReadAt(b []byte, off int64) (int, error) {
	if len(b) == 0 || !w.f.trip("read", true) {
		return w.File.ReadAt(b, off)
	}
	k := w.f.kind
	switch {
	case k.harmless && k.err != nil:
		n, err := w.File.ReadAt(b, off)
		return n, errors.Join(err, k.err)
	case k.short:
		n, _ := w.File.ReadAt(b[:len(b)/2], off)
		return n, k.err
	}
	return 0, k.err
}

func (w *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if len(b) == 0 || !w.f.trip("write", false) {
		return w.File.WriteAt(b, off)
	}
	if w.f.kind.short {
		n, _ := w.File.WriteAt(b[:len(b)/2], off)
		return n, w.f.kind.err
	}
	return 0, w.f.kind.err
}

// faultModel is small, so that a run has few operations.
var faultModel = modeltest.Model{Layers: 1, Dim: 32, FFN: 64, Vocab: 32, Heads: 2, Seed: 5}

// TestFaults lets every single operation of a run go wrong, in every way, one
// run after the other: either the right output comes out, or there is an error
// and the old output is as it was. The next run takes over what is left.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: some thousand runs")
	}
	inMemory(t)
	for format, kinds := range map[weights.Format][]fault{hf: faults, easylm: faults[:2], torch: faults[1:2], gguf: faults[:1]} {
		for _, kind := range kinds {
			for _, resume := range []bool{false, true} {
				t.Run(fmt.Sprint(format, ", ", kind.name, ", resume ", resume), func(t *testing.T) {
					x := newTrial(t)
					write(t, faultModel, x.base, &modeltest.Options{Format: hf, DType: dtype.F16, Values: faultModel.Base})
					write(t, faultModel, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: faultModel.Diff})
					fired := int64(0)
					for ; runWithFault(t, x, format, kind, resume, fired+1); fired++ {
						require.Less(t, fired, int64(2000), "the run does not end")
					}
					require.Greater(t, fired, int64(30), "operations that went wrong")
				})
			}
		}
	}
}

// runWithFault says whether the run came as far as the fault.
func runWithFault(t *testing.T, x *trial, format weights.Format, kind fault, resume bool, at int64) bool {
	t.Helper()
	place := filepath.Dir(x.out)
	require.NoError(t, os.RemoveAll(place))
	require.NoError(t, os.Mkdir(place, 0o755))
	opts := Options{Format: format, Force: true, Workers: 1, Resume: resume, journalPanels: 5}
	old := Options{Format: format, DType: dtype.F16}
	_, err := Recover(t.Context(), x.base, x.delta, x.out, &old)
	require.NoError(t, err)
	before := snapshot(t, place)

	f := &faulty{FS: vfs.OS, kind: kind, at: at}
	opts.fs = f
	goroutines, files := runtime.NumGoroutine(), openFiles()
	_, err = Recover(t.Context(), x.base, x.delta, x.out, &opts)
	if f.fired.Load() == nil {
		require.NoError(t, err)
		return false
	}
	what := fmt.Sprintf("operation %d, %s: %v", at, *f.fired.Load(), err)
	requireGoroutines(t, goroutines)
	require.LessOrEqual(t, openFiles(), files, "files are left open: %s", what)
	if kind.harmless {
		require.NoError(t, err, what)
	}
	if err == nil {
		requireValues(t, x.out, faultModel, format, dtype.BF16, sum(faultModel))
	} else {
		requireOldOrNew(t, x, format, before, what)
	}
	opts.fs = nil
	_, err = Recover(t.Context(), x.base, x.delta, x.out, &opts)
	require.NoError(t, err, "the run after %s", what)
	requireValues(t, x.out, faultModel, format, dtype.BF16, sum(faultModel))
	readManifest(t, x.out)
	require.Len(t, entries(t, place), 1, "leftovers after %s", what)
	return true
}

// requireOldOrNew checks that the old output is as it was, but for what is
// hidden beside it, or that the new one is in its place: an error of the last
// operations comes too late to undo it. Of a file the manifest is renamed after
// it.
func requireOldOrNew(t *testing.T, x *trial, format weights.Format, before map[string]string, what string) {
	t.Helper()
	after := snapshot(t, x.out)
	same := len(after) > 0
	for path, digest := range after {
		same = same && before[path] == digest
	}
	if same {
		return
	}
	_, err := os.Stat(x.out)
	require.NoError(t, err, "neither output is there: %s", what)
	requireValues(t, x.out, faultModel, format, dtype.BF16, sum(faultModel))
}

// TestInputChanges writes to an input, or cuts it short, while it is read.
func TestInputChanges(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"written to": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte{1}, 100_000)
			return errors.Join(err, f.Close())
		},
		"cut short":     func(path string) error { return os.Truncate(path, 50_000) },
		"made longer":   func(path string) error { return os.Truncate(path, 500_000) },
		"written again": func(path string) error { b, _ := os.ReadFile(path); return os.WriteFile(path, b, 0o644) },
	} {
		for _, which := range []string{"base", "diff"} {
			t.Run(which+" "+name, func(t *testing.T) {
				x := newTrial(t)
				path := map[string]string{"base": filepath.Join(x.base, "model.safetensors"), "diff": x.delta}[which]
				changed := false
				_, err := Recover(t.Context(), x.base, x.delta, x.out, &Options{Workers: 1, Progress: func(Progress) {
					if !changed {
						changed = true
						require.NoError(t, change(path))
					}
				}})
				require.Error(t, err)
				if name != "cut short" { // which shows in a read
					require.ErrorContains(t, err, "was changed while it was read")
				}
				require.ErrorContains(t, err, path)
				require.Empty(t, entries(t, filepath.Dir(x.out)))
			})
		}
	}
}
