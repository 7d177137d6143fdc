package gguf_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
)

// FuzzRead checks that Read obeys refusaltest.Lawful, and that a file that it
// accepts is written again byte for byte.
func FuzzRead(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(file())
	f.Add(small(8))
	f.Add(small(5))
	f.Add(many(3))
	f.Add(model(32, nil, list{info("a", f32, 0, 3, 0), info("b", f32, 0), info("c", q4k, 32, 256, 1, 1, 1)}, cat(numbered(4), numbered(144))))
	f.Add(model(64, list{pair("general.alignment", gguf.Uint32, u32(64))}, nil, nil))
	f.Add(shrunk(f, refusaltest.Seed(f, "fixtures", "S", "recovered", "recovered-bf16.gguf")))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := refusaltest.Read(t, b, gguf.Read)
		if err != nil {
			return
		}
		requireSameAgain(t, b, file)
	})
}

// shrunk returns a file with only the small tensors of whole.
func shrunk(f *testing.F, whole []byte) []byte {
	if whole == nil {
		return nil
	}
	file := mustRead(f, whole)
	var kept []tensor.Tensor
	for _, x := range file.Tensors {
		if x.Bytes() <= 256 {
			kept = append(kept, x)
		}
	}
	require.NotEmpty(f, kept)
	return write(f, file.Pairs(), kept)
}

// write returns a file of tensors that have data.
func write(t testing.TB, pairs []gguf.Pair, tensors []tensor.Tensor) []byte {
	t.Helper()
	head, offsets, size, err := gguf.Header(pairs, tensors)
	require.NoError(t, err)
	require.Len(t, offsets, len(tensors))
	whole := append(head, make([]byte, size-int64(len(head)))...)
	for i := range tensors {
		copy(whole[offsets[i]:], refusaltest.DataOf(t, &tensors[i]))
	}
	return whole
}

// requireSameAgain writes a file again. The result must be the same except for
// the version, and the last padding, which a file may lack.
func requireSameAgain(t *testing.T, b []byte, f *gguf.File) {
	again := write(t, f.Pairs(), f.Tensors)
	again[4] = byte(f.Version)
	require.Less(t, int64(len(again)-len(b)), f.Alignment)
	require.GreaterOrEqual(t, len(again), len(b))
	require.True(t, bytes.Equal(b, again[:len(b)]), "the rewritten file differs")
	require.Equal(t, make([]byte, len(again)-len(b)), again[len(b):])
}
