package dataset

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/safetensors"
)

// writeBatches packs inputs into a directory. It stops before batch number stop,
// as a killed run does, or not at all if stop is -1.
func writeBatches(t *testing.T, dir string, in []Input, o BatchOptions, stop int) error {
	t.Helper()
	w, err := CreateBatches(t.Context(), dir, &o)
	if err != nil {
		return err
	}
	if w.Done() {
		return w.Close()
	}
	pack := PackOptions{SeqLength: o.SeqLength, Batch: o.Batch, Generation: o.Generation, Flush: true, Start: w.Start()}
	p, err := NewProcessor(byteEncoder{}, &ProcessorOptions{Fields: "text", EOS: true, NoPrepend: true})
	require.NoError(t, err)
	records := Read(t.Context(), in, &ReadOptions{SkipBadJSON: true, Start: w.Start().Start})
	n := 0
	for b, err := range Pack(Tokenize(t.Context(), records, p, 2), &pack) {
		require.NoError(t, err)
		if n++; n == stop {
			return errors.Join(errStopped, w.Abort())
		}
		require.NoError(t, w.Write(&b))
	}
	return w.Close()
}

var errStopped = errors.New("stopped")

// contents returns the files of a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	files := make(map[string]string)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = string(data)
	}
	return files
}

// sameFiles compares directories without printing their contents.
func sameFiles(t *testing.T, want, got map[string]string) {
	t.Helper()
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
	for name := range want {
		require.True(t, want[name] == got[name], "%s: %d and %d bytes", name, len(want[name]), len(got[name]))
	}
}

// TestBatchFilesResume stops at many batches and resumes, in each format. The
// files must be the same to the byte, and partial files must not matter.
func TestBatchFilesResume(t *testing.T) {
	in := []Input{Text("a", corpus(60))}
	for _, format := range Formats() {
		for gen := range generations {
			o := BatchOptions{Format: format, SeqLength: 16, Batch: 2, Generation: gen, FileBatches: 5, Fingerprint: "f"}
			whole := t.TempDir()
			require.NoError(t, writeBatches(t, whole, in, o, -1))
			want := contents(t, whole)
			require.Greater(t, len(want), 5)
			for stop := 1; stop < 45; stop += 4 {
				dir := t.TempDir()
				err := writeBatches(t, dir, in, o, stop)
				require.ErrorIs(t, err, errStopped)
				require.NoError(t, os.WriteFile(filepath.Join(dir, ".x.npy"+".koala-partial"), []byte("half"), 0o600))
				require.NoError(t, writeBatches(t, dir, in, o, -1))
				sameFiles(t, want, contents(t, dir))
			}
			require.NoError(t, writeBatches(t, whole, in, o, -1)) // nothing is left to do
			require.Equal(t, want, contents(t, whole))
		}
	}
}

// TestBatchFormats checks that all formats hold the same arrays.
func TestBatchFormats(t *testing.T) {
	in := []Input{Text("a", corpus(30))}
	o := BatchOptions{SeqLength: 8, Batch: 3, FileBatches: 1000, Generation: Gen2024, Fingerprint: "f"}
	dirs := map[Format]string{}
	for _, format := range Formats() {
		o.Format = format
		dirs[format] = t.TempDir()
		require.NoError(t, writeBatches(t, dirs[format], in, o, -1))
	}
	file, err := os.Open(filepath.Join(dirs[SafeTensors], "batches-00000.safetensors"))
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	parsed, err := safetensors.Read(file, info.Size())
	require.NoError(t, err)
	require.Len(t, parsed.Tensors, 3)
	lines := strings.Split(strings.TrimSpace(contents(t, dirs[JSONLines])["batches-00000.jsonl"]), "\n")
	for _, tensor := range parsed.Tensors {
		require.Equal(t, []int64{int64(len(lines)), 3, 8}, tensor.Shape)
		data := make([]byte, tensor.Bytes())
		_, err := tensor.Data.ReadAt(data, 0)
		require.NoError(t, err)
		npy := contents(t, dirs[NPY])[tensor.Name+"-00000.npy"]
		require.Zero(t, (len(npy)-len(data))%64)
		require.True(t, strings.HasSuffix(npy, string(data)), tensor.Name)
		require.Contains(t, npy[:128], "'fortran_order': False")
		var numbers []byte
		for _, line := range lines {
			var batch map[string][][]float64
			require.NoError(t, json.Unmarshal([]byte(line), &batch))
			require.Len(t, batch[tensor.Name], 3)
			for _, row := range batch[tensor.Name] {
				require.Len(t, row, 8)
				a := array{ids: make([]int32, 8)}
				if tensor.DType == "F32" {
					a = array{masks: make([]uint8, 8)}
				}
				for i, x := range row {
					if a.ids != nil {
						a.ids[i] = int32(x)
					} else {
						a.masks[i] = uint8(x)
					}
				}
				numbers = a.append(numbers)
			}
		}
		require.Equal(t, data, numbers, tensor.Name)
	}
}

// TestBatchOutputs checks that an output of another run is not touched without
// Force, that other files never are, and that a second run gets ErrBusy.
func TestBatchOutputs(t *testing.T) {
	in := []Input{Text("a", corpus(10))}
	o := BatchOptions{SeqLength: 8, Batch: 1, Fingerprint: "f"}
	dir := t.TempDir()
	require.NoError(t, writeBatches(t, dir, in, o, -1))
	before := contents(t, dir)
	o.Fingerprint = "g"
	require.ErrorIs(t, writeBatches(t, dir, in, o, -1), ErrExists)
	require.Equal(t, before, contents(t, dir))
	o.Force = true
	require.NoError(t, writeBatches(t, dir, in, o, -1))
	require.Contains(t, contents(t, dir)[doneName], `"g"`)

	w, err := CreateBatches(t.Context(), filepath.Join(dir, "new"), &BatchOptions{SeqLength: 8, Batch: 1})
	require.NoError(t, err)
	_, err = CreateBatches(t.Context(), filepath.Join(dir, "new"), &BatchOptions{SeqLength: 8, Batch: 1})
	require.ErrorIs(t, err, ErrBusy)
	require.ErrorContains(t, err, "wait for the other run to end")
	require.NoError(t, w.Abort())

	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "thesis.npy"), []byte("x"), 0o600))
	require.ErrorIs(t, writeBatches(t, other, in, BatchOptions{SeqLength: 8, Batch: 1}, -1), ErrExists)
}

// TestLineWriter checks that a file appears whole or not at all, and that a
// second writer gets ErrBusy.
func TestLineWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	w, err := CreateLines(t.Context(), path, false)
	require.NoError(t, err)
	_, err = w.WriteString("a\n")
	require.NoError(t, err)
	require.NoError(t, w.Discard())
	require.Empty(t, contents(t, filepath.Dir(path)))
	for i := range 2 {
		w, err = CreateLines(t.Context(), path, i > 0)
		require.NoError(t, err)
		_, err = CreateLines(t.Context(), path, true)
		require.ErrorIs(t, err, ErrBusy)
		_, err = w.WriteString("b\n")
		require.NoError(t, err)
		require.NoError(t, w.Publish())
	}
	require.Equal(t, map[string]string{"x.jsonl": "b\n"}, contents(t, filepath.Dir(path)))
	_, err = CreateLines(t.Context(), path, false)
	require.ErrorIs(t, err, ErrExists)
}
