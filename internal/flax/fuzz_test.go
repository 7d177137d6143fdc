package flax_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
)

// FuzzRead checks that Read obeys refusaltest.Lawful, that the tensors lie
// within the file, and that they survive writing and reading.
func FuzzRead(f *testing.F) {
	small, _ := stream(3)
	for _, b := range [][]byte{
		nil, small, record(pair), record(chunkedPair()), dict(str("params"), dict(str("x"), pair, str("y"), chunkedPair()), str("step"), one),
		cat(record(dict(str("a"), pair)), keyed("y", array(list(), "float32", 1, 2, 3, 4))), dict(str("k"), list(one, null, str("text"))),
		greatest(0xdd), record(ext(2, pair)), record(array(list(number(1<<62)), "<f2")), dict(str("k"), []byte{0xca, 0, 0, 0, 0}),
	} {
		f.Add(b)
	}
	for _, name := range []string{"easylm-fp16.stream", "easylm-fp16.chunked.stream", "easylm-fp16.trainstate"} {
		f.Add(shrunk(f, refusaltest.Seed(f, "fixtures", "D", "base", name)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := refusaltest.Read(t, b, flax.Read)
		if err != nil {
			return
		}
		requireInside(t, b, file)
		requireSameAgain(t, file)
	})
}

// shrunk keeps the small records of a stream.
func shrunk(f *testing.F, whole []byte) []byte {
	var kept []byte
	begin := 0
	for n := begin; n < len(whole) && len(kept) < 4000; n++ {
		// A record ends before the head of the next one, whose key path has up
		// to seven keys.
		if whole[n] != 0x92 || n+2 >= len(whole) || whole[n+1]&0xf8 != 0x90 || whole[n+2]&0xe0 != 0xa0 {
			continue
		}
		if part := whole[begin:n]; len(part) < 700 && read(part) == nil {
			kept = append(kept, part...)
		}
		begin = n
	}
	if whole != nil {
		require.NoError(f, read(kept))
	}
	return kept
}

func requireInside(t *testing.T, b []byte, f *flax.File) {
	names := map[string]bool{}
	for i := range f.Tensors {
		x := &f.Tensors[i]
		require.False(t, names[x.Name], "duplicate name %q", x.Name)
		names[x.Name] = true
		data := refusaltest.DataOf(t, x)
		if _, section := x.Data.(*io.SectionReader); section {
			require.LessOrEqual(t, x.Offset+x.Bytes(), int64(len(b)))
			require.Equal(t, b[x.Offset:x.Offset+x.Bytes()], data)
		}
	}
}

// requireSameAgain writes the tensors whose dtypes a stream may hold, and reads
// them back.
func requireSameAgain(t *testing.T, f *flax.File) {
	var again []byte
	var want []*tensor.Tensor
	for i := range f.Tensors {
		switch x := &f.Tensors[i]; x.DType {
		case "F16", "BF16", "F32":
			want = append(want, x)
			again = appendTensor(t, again, x, refusaltest.DataOf(t, x))
		}
	}
	if len(want) == 0 {
		return
	}
	got := mustRead(t, again)
	require.True(t, got.Stream)
	require.Len(t, got.Tensors, len(want))
	for i, x := range want {
		y := &got.Tensors[i]
		require.Equal(t, x.Name, y.Name)
		require.Equal(t, x.DType, y.DType)
		require.Equal(t, append([]int64{}, x.Shape...), append([]int64{}, y.Shape...))
		require.Equal(t, refusaltest.DataOf(t, x), refusaltest.DataOf(t, y))
	}
}
