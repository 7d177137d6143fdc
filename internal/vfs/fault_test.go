package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var errFault = errors.New("injected fault")

// faulty fails operation number at. With dead it also fails every later
// operation, as if the process had been killed there: then not even the cleanup
// is done.
type faulty struct {
	FS
	at, count int
	dead      bool
	failed    string // the operation that failed first
}

func (f *faulty) fault(op string) error {
	f.count++
	if f.count == f.at {
		f.failed = op
	}
	if f.count == f.at || f.dead && f.count > f.at {
		return errFault
	}
	return nil
}

func (f *faulty) Stat(path string) (fs.FileInfo, error) {
	if err := f.fault("stat " + filepath.Base(path)); err != nil {
		return nil, err
	}
	return f.FS.Stat(path)
}

func (f *faulty) ReadDir(path string) ([]fs.DirEntry, error) {
	if err := f.fault("readdir " + filepath.Base(path)); err != nil {
		return nil, err
	}
	return f.FS.ReadDir(path)
}

func (f *faulty) Mkdir(path string) error {
	if err := f.fault("mkdir"); err != nil {
		return err
	}
	return f.FS.Mkdir(path)
}

func (f *faulty) Rename(from, to string) error {
	if err := f.fault("rename to " + filepath.Base(to)); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *faulty) Exchange(a, b string) error {
	if err := f.fault("exchange"); err != nil {
		return err
	}
	return f.FS.Exchange(a, b)
}

func (f *faulty) RemoveAll(path string) error {
	if err := f.fault("remove " + filepath.Base(path)); err != nil {
		return err
	}
	return f.FS.RemoveAll(path)
}

func (f *faulty) SyncDir(path string) error {
	if err := f.fault("syncdir " + filepath.Base(path)); err != nil {
		return err
	}
	return f.FS.SyncDir(path)
}

func (f *faulty) Lock(path string) (io.Closer, error) {
	if err := f.fault("lock"); err != nil {
		return nil, err
	}
	lock, err := f.FS.Lock(path)
	return &faultyLock{lock, f}, err
}

func (f *faulty) Create(path string, size int64) (File, error) {
	if err := f.fault("create"); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(path, size)
	return &faultyFile{file, f}, err
}

type faultyLock struct {
	io.Closer
	f *faulty
}

// Close releases the lock in any case: a killed process holds no lock.
func (l *faultyLock) Close() error { return errors.Join(l.f.fault("unlock"), l.Closer.Close()) }

type faultyFile struct {
	File
	f *faulty
}

func (w *faultyFile) Sync() error  { return errors.Join(w.f.fault("sync"), w.File.Sync()) }
func (w *faultyFile) Close() error { return errors.Join(w.f.fault("close"), w.File.Close()) }

// WriteAt writes a part and fails, as on a full disk.
func (w *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if err := w.f.fault("write"); err != nil {
		n, _ := w.File.WriteAt(b[:len(b)/2], off)
		return n, err
	}
	return w.File.WriteAt(b, off)
}

// TestFaults fails every single operation of a run, one run after the other.
// Whatever fails, either the old or the new output is whole, and the next run
// succeeds and leaves no other file.
func TestFaults(t *testing.T) {
	for _, k := range kinds {
		for _, before := range []string{"nothing", "old output", "old output set aside"} {
			for _, dead := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s over %s, dead %v", k.name, before, dead), func(t *testing.T) {
					fired := 0
					for ; runWithFault(t, k.fs, k.single, before, fired+1, dead); fired++ {
						require.Less(t, fired, 100, "the run does not end")
					}
					require.Greater(t, fired, 15, "operations that failed")
				})
			}
		}
	}
}

// runWithFault reports whether the run reached the fault.
func runWithFault(t *testing.T, fsys FS, single, before string, at int, dead bool) bool {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	require.NoError(t, err)
	path := filepath.Join(dir, "out")
	switch before {
	case "old output":
		put(t, path, single, oldFiles)
	case "old output set aside":
		put(t, hiddenPath(path, "old"), single, oldFiles)
	}
	f := &faulty{FS: fsys, at: at, dead: dead}
	err = output(f, path, single, true)
	if f.failed == "" {
		require.NoError(t, err)
		require.True(t, holds(path, single, newFiles))
		require.Equal(t, []string{"out"}, names(t, dir))
		return false
	}
	what := fmt.Sprintf("operation %d, %s", at, f.failed)
	if !dead && err != nil {
		require.ErrorIs(t, err, errFault, what)
	}
	if !dead && before == "old output" {
		require.True(t, holds(path, single, oldFiles) || holds(path, single, newFiles), "%s: neither output is at its place", what)
	}
	requireOneOutput(t, dir, path, single, before, what)
	require.NoError(t, output(fsys, path, single, true), "%s: the next run", what)
	require.True(t, holds(path, single, newFiles), what)
	require.Equal(t, []string{"out"}, names(t, dir), "%s: the next run leaves hidden files", what)
	return true
}

// requireOneOutput checks that the old or the new output is whole, or that the
// next run restores it.
func requireOneOutput(t *testing.T, dir, path, single, before, what string) {
	t.Helper()
	if holds(path, single, newFiles) {
		return
	}
	if before == "old output" && single != "" {
		require.True(t, holds(path, single, oldFiles), "%s: a file is replaced in one step", what)
	}
	s, err := NewStage(OS, path)
	require.NoError(t, err, what)
	require.NoError(t, s.Discard(), what)
	if before == "nothing" {
		require.Empty(t, names(t, dir), what)
		return
	}
	require.True(t, holds(path, single, oldFiles), "%s: the old output is lost", what)
	require.Equal(t, []string{"out"}, names(t, dir), what)
}

// TestFaultsNeverReplace fails operations of runs that may not replace an
// output.
func TestFaultsNeverReplace(t *testing.T) {
	for _, k := range kinds {
		for at := 1; ; at++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "out")
			put(t, path, k.single, oldFiles)
			f := &faulty{FS: k.fs, at: at}
			require.Error(t, output(f, path, k.single, false))
			require.True(t, holds(path, k.single, oldFiles), "%s: operation %d, %s: the output was replaced", k.name, at, f.failed)
			if f.failed == "" {
				break
			}
		}
	}
}
