package diff

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/internal/vfs/vfstest"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// faultModel is small, so that a run has few operations.
var faultModel = modeltest.Model{Layers: 1, Dim: 32, FFN: 64, Vocab: 32, Heads: 2, Seed: 5}

// TestFaults lets every single operation of a run go wrong, in every way, one run
// after the other. Either the output is right, or the run fails and the old
// output is unchanged. The next run takes over what is left.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: some thousand runs")
	}
	inMemory(t)
	for format, kinds := range map[weights.Format][]vfstest.Fault{hf: vfstest.Faults, easylm: vfstest.Faults[:2], torch: vfstest.Faults[1:2], gguf: vfstest.Faults[:1]} {
		for _, kind := range kinds {
			for _, resume := range []bool{false, true} {
				t.Run(fmt.Sprint(format, ", ", kind.Name, ", resume ", resume), func(t *testing.T) {
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

// runWithFault reports whether the run reached the fault.
func runWithFault(t *testing.T, x *trial, format weights.Format, kind vfstest.Fault, resume bool, at int64) bool {
	t.Helper()
	place := filepath.Dir(x.out)
	require.NoError(t, os.RemoveAll(place))
	require.NoError(t, os.Mkdir(place, 0o755))
	opts := Options{Format: format, Force: true, Workers: 1, Resume: resume, journalPanels: 5}
	old := Options{Format: format, DType: dtype.F16}
	_, err := Recover(t.Context(), x.base, x.delta, x.out, &old)
	require.NoError(t, err)
	before := snapshot(t, place)

	f := &vfstest.FS{FS: vfs.OS, Fault: kind, At: at}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	_, err = Recover(vfs.NewContext(t.Context(), f), x.base, x.delta, x.out, &opts)
	if f.Fired() == "" {
		require.NoError(t, err)
		return false
	}
	what := fmt.Sprintf("operation %d, %s: %v", at, f.Fired(), err)
	requireGoroutines(t, goroutines)
	require.LessOrEqual(t, openFiles(), files, "files are left open: %s", what)
	if kind.Harmless {
		require.NoError(t, err, what)
	}
	if err == nil {
		requireValues(t, x.out, faultModel, format, dtype.BF16, sum(faultModel))
	} else {
		requireOldOrNew(t, x, format, before, what)
	}
	_, err = Recover(t.Context(), x.base, x.delta, x.out, &opts)
	require.NoError(t, err, "the run after %s", what)
	requireValues(t, x.out, faultModel, format, dtype.BF16, sum(faultModel))
	readManifest(t, x.out)
	require.Len(t, entries(t, place), 1, "leftovers after %s", what)
	return true
}

// requireOldOrNew checks that the old output is unchanged, apart from hidden
// files beside it, or that the new output is in its place. An error of one of the
// last operations comes too late to undo the output, and the manifest of a file
// is renamed after the file.
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

// TestInputChanges writes to an input, or truncates it, while it is read.
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
				_, err := Recover(t.Context(), x.base, x.delta, x.out, &Options{Workers: 1, Progress: func(progress.Progress) {
					if !changed {
						changed = true
						require.NoError(t, change(path))
					}
				}})
				require.Error(t, err)
				if name != "cut short" { // truncation already shows in a read
					require.ErrorContains(t, err, "was changed while it was read")
				}
				require.ErrorContains(t, err, path)
				require.Empty(t, entries(t, filepath.Dir(x.out)))
			})
		}
	}
}
