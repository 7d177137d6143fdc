package diff

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

const (
	hf     = weights.FormatSafetensors
	easylm = weights.FormatEasyLM
	torch  = weights.FormatTorch
	gguf   = weights.FormatGGUF
)

// trial is the input of an operation: a whole base and its diff, which the test
// may damage, and the path of an output, which is alone in its directory.
type trial struct {
	base, delta, out string
	opts             *Options
	ctx              context.Context // of the operation
	do               operator
}

// operator is Recover, Make or Convert.
type operator func(t *testing.T, x *trial) error

func recoverIt(t *testing.T, x *trial) error {
	_, err := Recover(x.ctx, x.base, x.delta, x.out, x.opts)
	return err
}

// makeIt makes the diff of the target at delta.
func makeIt(t *testing.T, x *trial) error {
	_, err := Make(x.ctx, x.base, x.delta, x.out, x.opts)
	return err
}

func convertIt(t *testing.T, x *trial) error {
	_, err := Convert(x.ctx, x.base, x.out, x.opts)
	return err
}

// inMemory puts the temporary files of a test of very many runs into memory,
// where syncing costs nothing, if the system has a directory for that.
func inMemory(t *testing.T) {
	t.Helper()
	const place, enough = "/dev/shm", 256 << 20
	if free, err := vfs.OS.Free(place); err == nil && free > enough {
		t.Setenv("TMPDIR", place)
	}
}

// newTrial writes Tiny's base as a Hugging Face directory and its diff as a
// stream.
func newTrial(t *testing.T) *trial {
	t.Helper()
	files, goroutines := openFiles(), runtime.NumGoroutine()
	t.Cleanup(func() { // also of a test that fails
		require.Equal(t, files, openFiles(), "files are left open")
		requireGoroutines(t, goroutines)
	})
	dir := t.TempDir()
	x := &trial{base: filepath.Join(dir, "base"), delta: filepath.Join(dir, "delta"), out: filepath.Join(dir, "place", "out"), opts: &Options{}, ctx: t.Context(), do: recoverIt}
	require.NoError(t, os.Mkdir(filepath.Dir(x.out), 0o755))
	m := modeltest.Tiny
	write(t, m, x.base, &modeltest.Options{Format: hf, DType: dtype.F16, Values: m.Base})
	write(t, m, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: m.Diff})
	return x
}

// write writes a model in place of what the path holds.
func write(t *testing.T, m modeltest.Model, path string, o *modeltest.Options) {
	t.Helper()
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, m.Write(path, o))
}

// tensors lists the tensors of a file. done closes the file.
func tensors(t *testing.T, path string, stream bool) (list []tensor.Tensor, done func()) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	if stream {
		file, err := flax.Read(f, info.Size())
		require.NoError(t, err)
		return file.Tensors, func() { f.Close() }
	}
	file, err := safetensors.Read(f, info.Size())
	require.NoError(t, err)
	return file.Tensors, func() { f.Close() }
}

type change func([]tensor.Tensor) []tensor.Tensor

// edit rewrites the tensors of a Hugging Face directory with one file. Tensors
// without data become zeros.
func edit(t *testing.T, dir string, change change) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	list, done := tensors(t, path, false)
	defer done()
	list = change(slices.Clone(list))
	header, offsets, size, err := safetensors.Header(list, nil)
	require.NoError(t, err)
	f, err := os.Create(path + ".new")
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(size))
	_, err = f.WriteAt(header, 0)
	require.NoError(t, err)
	for i := range list {
		copyData(t, io.NewOffsetWriter(f, offsets[i]), &list[i])
	}
	require.NoError(t, os.Rename(path+".new", path))
}

// editStream rewrites the records of a stream.
func editStream(t *testing.T, path string, change change) {
	t.Helper()
	list, done := tensors(t, path, true)
	defer done()
	f, err := os.Create(path + ".new")
	require.NoError(t, err)
	defer f.Close()
	for _, w := range change(slices.Clone(list)) {
		head, err := flax.AppendRecord(nil, &w)
		require.NoError(t, err)
		_, err = f.Write(head)
		require.NoError(t, err)
		copyData(t, f, &w)
	}
	require.NoError(t, os.Rename(path+".new", path))
}

func copyData(t *testing.T, to io.Writer, w *tensor.Tensor) {
	t.Helper()
	from := w.Data
	if from == nil {
		from = strings.NewReader(strings.Repeat("\x00", int(w.Bytes())))
	}
	_, err := io.Copy(to, io.NewSectionReader(from, 0, w.Bytes()))
	require.NoError(t, err)
}

// without removes the tensor of a name.
func without(name string) change {
	return func(list []tensor.Tensor) []tensor.Tensor {
		return slices.DeleteFunc(list, func(w tensor.Tensor) bool { return w.Name == name })
	}
}

// with adds a tensor of zeros. It replaces a tensor of the same name.
func with(name string, dt dtype.Type, shape ...int64) change {
	return func(list []tensor.Tensor) []tensor.Tensor {
		return append(without(name)(list), tensor.Tensor{Name: name, DType: dt, Shape: shape})
	}
}

// snapshot returns the names of all files below some directories, with their
// digests.
func snapshot(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range dirs {
		require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				all[path] = err.Error()
				return nil
			}
			if !e.Type().IsRegular() {
				all[path] = fmt.Sprint("not a file: ", e.Type())
				return nil
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			sum := sha256.New()
			if info, err := f.Stat(); err == nil && info.Size() > 1<<30 { // sparse: reading it would take long
				all[path] = fmt.Sprint("large: ", info.Size(), info.ModTime())
				return nil
			}
			_, err = io.Copy(sum, f)
			all[path] = fmt.Sprintf("%x", sum.Sum(nil))
			return err
		}))
	}
	return all
}

// openFiles returns the number of this process's open files, or zero if the
// system does not tell.
func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// requireUntouched runs an operation that must fail. It checks that the operation
// changed no file, created none, and left none open.
func requireUntouched(t *testing.T, x *trial) error {
	t.Helper()
	folder := filepath.Dir(filepath.Dir(x.out)) // the directory of the inputs and the output
	files, before := openFiles(), snapshot(t, folder)
	err := x.do(t, x)
	require.Error(t, err)
	require.Equal(t, before, snapshot(t, folder), "after: %v", err)
	require.Equal(t, files, openFiles(), "files are left open after: %v", err)
	return err
}

// requireCheck runs an operation that a check must refuse.
func requireCheck(t *testing.T, x *trial, check, evidence string) {
	t.Helper()
	err := requireUntouched(t, x)
	var refused *CheckError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, check, refused.Check, "%v", err)
	require.Contains(t, refused.Evidence, evidence)
	require.Equal(t, fmt.Sprintf("%s: check %q: %s", refused.Evidence, check, refused.Cure), err.Error())
	require.Regexp(t, `\b(give|write|exchange|create|free|allow|force|see)\b`, refused.Cure, "the end says what to do")
}

// readManifest reads and removes the files that describe the inputs of an output:
// the manifest and the model card.
func readManifest(t *testing.T, out string) string {
	t.Helper()
	paths := []string{filepath.Join(out, ManifestName), filepath.Join(out, "README.md")}
	if info, err := os.Stat(out); err == nil && !info.IsDir() {
		paths = []string{out + "." + ManifestName}
	}
	all := ""
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if i > 0 && os.IsNotExist(err) {
			continue // only a recovered model has a card
		}
		require.NoError(t, err)
		require.NoError(t, os.Remove(path))
		all += string(text)
	}
	return all
}
