package torchfile_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/internal/torchfile"
)

// lawful reads a file. It checks that Read obeys refusaltest.Lawful, that the
// elements lie within the file, and that they survive writing and reading.
func lawful(t *testing.T, b []byte) {
	file, err := refusaltest.Read(t, b, torchfile.Read)
	if err != nil {
		return
	}
	requireInside(t, b, file)
	requireSameAgain(t, file)
}

// requireInside checks that names are unique and that all elements lie within
// the file.
func requireInside(t testing.TB, b []byte, f *torchfile.File) {
	names := map[string]bool{}
	for i := range f.Tensors {
		x := &f.Tensors[i]
		require.False(t, names[x.Name], x.Name)
		names[x.Name] = true
		require.True(t, 0 <= x.Offset && x.Offset <= int64(len(b)), "offset %d", x.Offset)
		size, ok := x.DType.Bytes(x.Shape)
		require.True(t, ok)
		require.LessOrEqual(t, size, int64(len(b)))
		data := refusaltest.DataOf(t, x)
		n, err := x.Data.ReadAt(make([]byte, 1), size)
		require.Equal(t, io.EOF, err)
		require.Zero(t, n)
		if x.Transposed != nil {
			require.Equal(t, data, transposed(t, x), "%q is not its columns", x.Name)
		}
	}
	end := int64(0)
	for _, s := range f.Storages {
		require.LessOrEqual(t, end, s.Offset)
		end = s.Offset + s.Size
		require.LessOrEqual(t, end, int64(len(b)))
	}
}

// transposed reads a matrix with its Transposed reader and returns the elements
// in row-major order.
func transposed(t testing.TB, x *tensor.Tensor) []byte {
	rows, columns, item := x.Shape[0], x.Shape[1], x.DType.Bits()/8
	turned, b := make([]byte, x.Bytes()), make([]byte, 0, x.Bytes())
	require.NoError(t, bounded.ReadFull(x.Transposed, turned, 0))
	for r := range rows {
		for c := range columns {
			b = append(b, turned[(c*rows+r)*item:][:item]...)
		}
	}
	return b
}

// requireSameAgain writes the tensors and reads them back.
func requireSameAgain(t testing.TB, f *torchfile.File) {
	total := int64(0)
	for i := range f.Tensors {
		total += f.Tensors[i].Bytes()
	}
	if total > 1<<20 {
		return // the tensors share storages, so that the file would be large
	}
	whole := write(t, "again", f.Tensors)
	again := mustRead(t, whole)
	require.Len(t, again.Tensors, len(f.Tensors))
	requireSums(t, whole, again)
	for i, x := range f.Tensors {
		y := again.Tensors[i]
		require.Equal(t, x.Name, y.Name)
		require.Equal(t, x.DType, y.DType)
		require.Equal(t, append([]int64{}, x.Shape...), append([]int64{}, y.Shape...))
		require.Equal(t, refusaltest.DataOf(t, &x), refusaltest.DataOf(t, &y), x.Name)
	}
}

// FuzzRead varies whole files. Checksums reject most changes of the pickle,
// which FuzzPickle varies.
func FuzzRead(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(small())
	f.Add(unchecked())
	f.Add(build(item{name: "data.pkl", data: proto + "}."}, item{name: "version", data: "3\n", plain: true}).b)
	f.Add(withPickle(dictOf("w", plainHalf, "t", unmarked(half(2, dims{5, 2}, dims{1, 5})))))
	f.Add(write(f, "archive", []tensor.Tensor{{Name: "a", DType: "BF16", Shape: dims{3, 5}}, {Name: "b", DType: "F32"}}))
	list, err := filepath.Glob(filepath.Join("testdata", "*.pt"))
	require.NoError(f, err)
	for _, path := range list {
		b, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(lawful)
}

// FuzzPickle varies the pickle of a valid file.
func FuzzPickle(f *testing.F) {
	for _, pickle := range good() {
		f.Add([]byte(pickle))
	}
	for _, name := range []string{"hf-bin/pytorch_model.bin", "meta-views/consolidated.00.pth", "hf-bin-strided/pytorch_model-1-of-3.bin"} {
		if b := refusaltest.Seed(f, "fixtures", "S", "base", name); b != nil {
			f.Add(pickleOf(f, b)[:1000])
		}
	}
	f.Fuzz(func(t *testing.T, pickle []byte) { lawful(t, withPickle(string(pickle))) })
}
