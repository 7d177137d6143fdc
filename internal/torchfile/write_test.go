package torchfile_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/internal/torchfile"
)

// write returns a file of tensors. Each byte of the data of the i-th tensor is
// i+1 if the tensor has no data.
func write(t testing.TB, root string, tensors []tensor.Tensor) []byte {
	t.Helper()
	p, err := torchfile.NewPlan(root, tensors)
	require.NoError(t, err)
	b := make([]byte, p.Size)
	written := make([]byte, p.Size)
	put := func(off int64, data []byte) {
		copy(b[off:], data)
		require.False(t, bytes.Contains(written[off:][:len(data)], []byte{1}), "some of %d bytes at %d are written twice", len(data), off)
		copy(written[off:], bytes.Repeat([]byte{1}, len(data)))
	}
	for _, piece := range p.Pieces {
		put(piece.Offset, piece.Bytes)
	}
	sums := make([]uint32, len(tensors))
	for i := range tensors {
		data := bytes.Repeat([]byte{byte(i + 1)}, int(tensors[i].Bytes()))
		if tensors[i].Data != nil {
			data = refusaltest.DataOf(t, &tensors[i])
		}
		require.Zero(t, p.Offsets[i]%64)
		put(p.Offsets[i], data)
		sums[i] = crc32.ChecksumIEEE(data)
	}
	for _, piece := range p.Seal(sums) {
		put(piece.Offset, piece.Bytes)
	}
	require.Equal(t, -1, bytes.IndexByte(written, 0), "a byte was not written")
	return b
}

// pickleOf returns data.pkl as archive/zip reads it.
func pickleOf(t testing.TB, whole []byte) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	require.NoError(t, err)
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/data.pkl") {
			r, err := f.Open()
			require.NoError(t, err)
			b, err := io.ReadAll(r)
			require.NoError(t, err)
			return b
		}
	}
	t.Fatal("no data.pkl")
	return nil
}

func TestWriteRoundTrips(t *testing.T) {
	var every, many []tensor.Tensor
	for _, dt := range []dtype.Type{"F16", "BF16", "F32", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL"} {
		every = append(every, tensor.Tensor{Name: string(dt), DType: dt, Shape: []int64{2, 5}})
	}
	for i := range 2001 {
		many = append(many, tensor.Tensor{Name: fmt.Sprint("layer.", i), DType: "F16", Shape: []int64{int64(i % 3)}})
	}
	shapes := []tensor.Tensor{
		{Name: "a", DType: "F16", Shape: []int64{0}}, {Name: "b", DType: "F16", Shape: []int64{3, 0, 5}}, {Name: "c", DType: "F16"},
		{Name: "d", DType: "F32", Shape: []int64{1, 1, 1}}, {Name: "e", DType: "BF16", Shape: []int64{1, 300}}, {Name: "f", DType: "F32", Shape: []int64{2, 3, 4, 5, 1}},
		{Name: "", DType: "F32", Shape: []int64{7}}, {Name: "é€😀.weight", DType: "F16", Shape: []int64{70_000}},
	}
	for name, tensors := range map[string][]tensor.Tensor{
		"none": nil, "one": every[:1], "every dtype": every, "shapes": shapes, "999": many[:999], "1000": many[:1000], "1001": many[:1001], "2001": many,
	} {
		t.Run(name, func(t *testing.T) {
			whole := write(t, "consolidated.00", tensors)
			f := mustRead(t, whole)
			require.Len(t, f.Tensors, len(tensors))
			require.Len(t, f.Storages, len(tensors))
			require.False(t, f.Unchecked && len(tensors) > 0)
			requireSums(t, whole, f)
			for i, got := range f.Tensors {
				require.Equal(t, tensors[i].Name, got.Name)
				require.Equal(t, tensors[i].DType, got.DType)
				require.Equal(t, append([]int64{}, tensors[i].Shape...), append([]int64{}, got.Shape...))
				require.Equal(t, bytes.Repeat([]byte{byte(i + 1)}, int(got.Bytes())), refusaltest.DataOf(t, &got))
			}
			requireStandard(t, whole, len(tensors)+6)
		})
	}
}

// requireStandard reads every member with archive/zip, which checks the
// checksums.
func requireStandard(t testing.TB, whole []byte, members int) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	require.NoError(t, err)
	require.Len(t, z.File, members)
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(t, err, f.Name)
		_, err = io.Copy(io.Discard, r)
		require.NoError(t, err, f.Name)
		require.Equal(t, 1980, f.Modified.Year())
	}
}

// sparse is a file of zeros with pieces in it.
type sparse []tensor.Piece

func (s sparse) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	for _, p := range s {
		if from := max(off, p.Offset); from < min(off+int64(len(b)), p.Offset+int64(len(p.Bytes))) {
			copy(b[from-off:], p.Bytes[from-p.Offset:])
		}
	}
	return len(b), nil
}

// TestWriteLargest lays out a file of 65 GB, with tensors and offsets beyond 4
// GiB, and reads it back in little memory.
func TestWriteLargest(t *testing.T) {
	tensors := []tensor.Tensor{
		{Name: "first", DType: "F16", Shape: []int64{1<<31 - 1}}, {Name: "at 4 GiB", DType: "F16", Shape: []int64{1 << 31}},
		{Name: "small", DType: "F32", Shape: []int64{3}}, {Name: "last", DType: "F32", Shape: []int64{1 << 17, 1 << 17}},
	}
	var p *torchfile.Plan
	n := refusaltest.Allocated(func() {
		var err error
		p, err = torchfile.NewPlan("big", tensors)
		require.NoError(t, err)
	})
	require.Less(t, n, uint64(1<<20))
	require.Greater(t, p.Size, int64(65e9))
	f, err := torchfile.Read(sparse(append(p.Pieces, p.Seal([]uint32{1, 2, 3, 4})...)), p.Size)
	require.NoError(t, err)
	for i, x := range f.Tensors {
		require.Equal(t, tensors[i].Name, x.Name)
		require.Equal(t, tensors[i].Shape, x.Shape)
		require.Equal(t, p.Offsets[i], x.Offset)
		require.Equal(t, uint32(i+1), f.Storages[i].CRC32)
		require.Equal(t, x.Bytes(), f.Storages[i].Size)
	}
}

// TestWriteMany writes more members than the short end record can count.
func TestWriteMany(t *testing.T) {
	var tensors []tensor.Tensor
	for i := range 70_000 {
		tensors = append(tensors, tensor.Tensor{Name: fmt.Sprint(i), DType: "F16", Shape: []int64{1}})
	}
	whole := write(t, "many", tensors)
	require.Len(t, mustRead(t, whole).Tensors, len(tensors))
	requireStandard(t, whole, len(tensors)+6)
}

func TestSealDependsOnSumsAlone(t *testing.T) {
	p, err := torchfile.NewPlan("archive", []tensor.Tensor{{Name: "a", DType: "F16", Shape: []int64{3}}, {Name: "b", DType: "F16", Shape: []int64{3}}})
	require.NoError(t, err)
	one := p.Seal([]uint32{1, 2})
	other := p.Seal([]uint32{1, 3})
	require.NotEqual(t, one, other)
	require.Equal(t, one, p.Seal([]uint32{1, 2}))
	for i := range one {
		require.Equal(t, one[i].Offset, other[i].Offset)
		require.Len(t, other[i].Bytes, len(one[i].Bytes))
	}
}

func TestWriteRefuses(t *testing.T) {
	one := func(name string, dt dtype.Type, shape ...int64) []tensor.Tensor {
		return []tensor.Tensor{{Name: "before", DType: "U8", Shape: []int64{1}}, {Name: name, DType: dt, Shape: shape}}
	}
	for _, test := range []struct {
		name    string
		root    string
		tensors []tensor.Tensor
		tensor  string
		kind    error
	}{
		{"no root", "", nil, "", refusal.ErrMalformed},
		{"root is a path", "a/b", nil, "", refusal.ErrMalformed},
		{"root is above", "..", nil, "", refusal.ErrMalformed},
		{"root has a backslash", `a\b`, nil, "", refusal.ErrMalformed},
		{"root not UTF-8", "a\xff", nil, "", refusal.ErrMalformed},
		{"root is long", strings.Repeat("a", 1001), nil, "", refusal.ErrMalformed},
		{"name twice", "a", append(one("a", "F16"), one("a", "F32")[1]), "a", refusal.ErrMalformed},
		{"name not UTF-8", "a", one("a\xff", "F16"), "a\xff", refusal.ErrMalformed},
		{"a type that torch's zips lack", "a", one("a", "F8_E4M3"), "a", refusal.ErrUnsupported},
		{"a type of blocks", "a", one("a", "Q8_0", 32), "a", refusal.ErrUnsupported},
		{"no type", "a", one("a", ""), "a", refusal.ErrUnsupported},
		{"negative dimension", "a", one("a", "F16", -1), "a", refusal.ErrMalformed},
		{"size overflows", "a", one("a", "F16", 1<<32, 1<<32), "a", refusal.ErrMalformed},
		{"65 dimensions", "a", one("a", "F16", make([]int64, 65)...), "a", refusal.ErrMalformed},
		{"sum of sizes overflows", "a", []tensor.Tensor{{Name: "x", DType: "U8", Shape: []int64{1<<60 - 1}}, {Name: "y", DType: "U8", Shape: []int64{1<<60 - 1}}, {Name: "z", DType: "U8", Shape: []int64{1<<60 - 1}}}, "z", refusal.ErrMalformed},
		{"a long name", "a", one(strings.Repeat("a", 256<<20), "F16"), "", refusal.ErrUnsupported},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := torchfile.NewPlan(test.root, test.tensors)
			require.Nil(t, p)
			require.Equal(t, test.tensor, refusaltest.Refused(t, err, test.kind).Tensor)
		})
	}
}
