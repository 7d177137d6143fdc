package safetensors_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/tensor"
)

// FuzzRead checks that Read obeys refusaltest.Lawful, that the tensors cover
// the file exactly, and that they survive writing and reading.
func FuzzRead(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(small())
	f.Add(manyTensors(3))
	f.Add(file("{}", 0))
	f.Add(file(`{"__metadata__":{"a":"\ud83d\ude00"}}  `, 0))
	f.Add(file("{"+entryOf("b", "F4", "[2]", 4, 5)+","+entryOf("a", "I32", "[1]", 0, 4)+","+zeroSized(2)+"}", 5))
	f.Add(length(1<<64-8, "{}"))
	for _, name := range []string{"hf-safetensors/model.safetensors", "hf-safetensors-2023/model-00002-of-00003.safetensors"} {
		f.Add(shrunk(f, refusaltest.Seed(f, "fixtures", "S", "base", name)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := refusaltest.Read(t, b, safetensors.Read)
		if err != nil {
			return
		}
		requireCovers(t, b, file)
		requireSameAgain(t, file)
	})
}

// shrunk returns a file with only the small tensors of whole.
func shrunk(f *testing.F, whole []byte) []byte {
	if whole == nil {
		return nil
	}
	var kept []tensor.Tensor
	for _, x := range mustRead(f, whole).Tensors {
		if x.Bytes() <= 128 {
			kept = append(kept, x)
		}
	}
	require.NotEmpty(f, kept)
	return write(f, kept, map[string]string{"format": "pt"})
}

// requireCovers checks that the tensors follow each other without gaps up to
// the end of the file.
func requireCovers(t *testing.T, b []byte, f *safetensors.File) {
	names := map[string]bool{}
	next := int64(-1)
	for _, x := range f.Tensors {
		require.False(t, names[x.Name], x.Name)
		names[x.Name] = true
		require.True(t, next < 0 || next == x.Offset, "%q begins at %d, not %d", x.Name, x.Offset, next)
		next = x.Offset + x.Bytes()
		require.LessOrEqual(t, next, int64(len(b)))
		require.Equal(t, b[x.Offset:next], refusaltest.DataOf(t, &x))
	}
	require.True(t, next < 0 || next == int64(len(b)))
}

// requireSameAgain writes the tensors of a file and reads them back. It checks
// that a second write gives the same header.
func requireSameAgain(t *testing.T, f *safetensors.File) {
	header, offsets, size, err := safetensors.Header(f.Tensors, f.Metadata)
	require.NoError(t, err)
	whole := append(header, make([]byte, size-int64(len(header)))...)
	for i, x := range f.Tensors {
		copy(whole[offsets[i]:], refusaltest.DataOf(t, &x))
	}
	again := mustRead(t, whole)
	require.Len(t, again.Tensors, len(f.Tensors))
	if len(f.Metadata) > 0 {
		require.Equal(t, f.Metadata, again.Metadata)
	}
	byName := map[string]*tensor.Tensor{}
	for i := range again.Tensors {
		byName[again.Tensors[i].Name] = &again.Tensors[i]
	}
	for _, x := range f.Tensors {
		y := byName[x.Name]
		require.NotNil(t, y, x.Name)
		require.Equal(t, x.DType, y.DType)
		require.Equal(t, x.Shape, y.Shape)
		require.Equal(t, refusaltest.DataOf(t, &x), refusaltest.DataOf(t, y))
	}
	twice, _, _, err := safetensors.Header(again.Tensors, again.Metadata)
	require.NoError(t, err)
	require.Equal(t, header, twice)
}
