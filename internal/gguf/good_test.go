package gguf_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

// mustRead reads a file and requires that it is valid.
func mustRead(t testing.TB, b []byte) *gguf.File {
	t.Helper()
	f, err := refusaltest.Read(t, b, gguf.Read)
	require.NoError(t, err)
	require.Len(t, f.Tensors, int(f.Count))
	for _, x := range f.Tensors {
		require.Equal(t, b[x.Offset:x.Offset+x.Bytes()], refusaltest.DataOf(t, &x), x.Name)
	}
	return f
}

// summary describes the tensors of a file. Offsets count from the first tensor.
func summary(f *gguf.File) []string {
	lines := []string{}
	for _, x := range f.Tensors {
		lines = append(lines, fmt.Sprintf("%s %s%v@%d", x.Name, x.DType, x.Shape, x.Offset-f.Tensors[0].Offset))
	}
	return lines
}

func TestKnownGood(t *testing.T) {
	a, data := info("a", f32, 0, 4), numbered(16)
	alignment := func(n uint32) list { return list{pair("general.alignment", gguf.Uint32, u32(n))} }
	for _, test := range []struct {
		name  string
		bytes []byte
		want  []string
	}{
		{"nothing", file(), []string{}},
		{"nothing, padded", model(32, nil, nil, nil), []string{}},
		{"metadata alone", file(small8, array("t", gguf.String, 2, str(""), str("b"))), []string{}},
		{"metadata alone, padded", model(32, list{small8}, nil, nil), []string{}},
		{"one", model(32, nil, list{a}, data), []string{"a F32[4]@0"}},
		{"without the last padding", model(32, nil, list{a}, data[:16]), []string{"a F32[4]@0"}},
		{"outermost first", model(32, nil, list{info("a", f16, 0, 2, 3, 4, 1)}, numbered(48)), []string{"a F16[1 4 3 2]@0"}},
		{"scalar", model(32, nil, list{info("a", f32, 0)}, numbered(4)), []string{"a F32[]@0"}},
		{"two, padded between", model(32, nil, list{a, info("b", bf16, 32, 5)}, cat(numbered(16), numbered(10))), []string{"a F32[4]@0", "b BF16[5]@32"}},
		{"blocks", model(32, nil, list{info("a", q8, 0, 64, 2), info("b", q4k, 160, 256)}, cat(numbered(136), numbered(144))), []string{"a Q8_0[2 64]@0", "b Q4_K[256]@160"}},
		{"nothing in a tensor", model(32, nil, list{info("a", f32, 0, 0)}, nil), []string{"a F32[0]@0"}},
		{"nothing between", model(32, nil, list{info("z", f32, 0, 3, 0), a, info("y", q8, 32, 0), info("x", f16, 32, 0, 5)}, data), []string{"z F32[0 3]@0", "a F32[4]@0", "y Q8_0[0]@32", "x F16[5 0]@32"}},
		{"zero times the greatest", model(32, nil, list{info("a", f32, 0, 1<<63-1, 0)}, nil), []string{"a F32[0 9223372036854775807]@0"}},
		{"aligned to 64", model(64, alignment(64), list{a, info("b", f16, 64, 2)}, cat(numbered(16), make([]byte, 32), numbered(4), make([]byte, 32))), []string{"a F32[4]@0", "b F16[2]@64"}},
		{"aligned to 1", model(1, alignment(1), list{info("a", 24, 0, 3), info("b", 24, 3, 2)}, data[:5]), []string{"a I8[3]@0", "b I8[2]@3"}},
		{"aligned to 65,536", model(1<<16, alignment(1<<16), list{a}, data[:16]), []string{"a F32[4]@0"}},
		{"empty name", model(32, nil, list{info("", f32, 0, 4)}, data), []string{" F32[4]@0"}},
		{"names differ in case", model(32, nil, list{info("A", f32, 0, 1), info("a", f32, 32, 1)}, cat(numbered(4), numbered(4))), []string{"A F32[1]@0", "a F32[1]@32"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, summary(mustRead(t, test.bytes)))
		})
	}
}

func TestVersions(t *testing.T) {
	for _, version := range []byte{2, 3} {
		b := small(5)
		b[4] = version
		f := mustRead(t, b)
		require.EqualValues(t, version, f.Version)
		require.Equal(t, []string{"w BF16[2 3]@0", "s F32[]@16", "none F16[7 0]@32", "q Q8_0[2 32]@32", "last F16[5]@112"}, summary(f))
		require.EqualValues(t, 16, f.Alignment)
		require.Equal(t, "llama", f.Values["general.architecture"].Text(0))
	}
}

// TestEveryDType reads a row of 256 elements of each type of ggml.
func TestEveryDType(t *testing.T) {
	known := 0
	for number := range uint32(100) {
		dt := gguf.DType(number)
		if dt == "" {
			require.Error(t, readFile(model(32, nil, list{info("a", number, 0, 256)}, numbered(4096))))
			continue
		}
		known++
		size, ok := dt.Bytes([]int64{256})
		require.True(t, ok, dt)
		f := mustRead(t, model(32, nil, list{info("a", number, 0, 256)}, numbered(int(size))))
		require.Equal(t, dt, f.Tensors[0].DType)
	}
	require.Equal(t, 34, known)
	require.Empty(t, gguf.DType(1<<32-1))
}

// many returns a file of n tensors of one element, named like the weights of
// layers.
func many(n int) []byte {
	infos, data := make(list, n), make([]byte, 32*n)
	for i := range infos {
		infos[i] = info(fmt.Sprintf("blk.%d.attn_output.weight", i), f16, uint64(32*i), 1, 1)
		data[32*i] = byte(i)
	}
	return model(32, nil, infos, data)
}

func TestTenThousandTensors(t *testing.T) {
	whole := many(10_000)
	f := mustRead(t, whole)
	require.Equal(t, "blk.9999.attn_output.weight", f.Tensors[9999].Name)
	require.Less(t, refusaltest.Allocated(func() { _ = readFile(whole) }), uint64(32<<20))
}

func BenchmarkReadTenThousand(b *testing.B) {
	whole := many(10_000)
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, readFile(whole))
	}
}

// TestAllocation reads the heads that need the most memory.
func TestAllocation(t *testing.T) {
	tensors, pairs := make(list, 100_000), make(list, 100_000)
	for i := range tensors {
		tensors[i] = info(fmt.Sprintf("%x", i), f16, 0, 0)
		pairs[i] = pair(fmt.Sprintf("%x", i), gguf.Uint8, []byte{1})
	}
	for name, b := range map[string][]byte{
		"tensors": model(32, nil, tensors, nil),
		"pairs":   file(pairs...),
		"strings": file(array("t", gguf.String, 1_000_000, make([]byte, 8_000_000))),
		"bytes":   file(array("t", gguf.Uint8, 8_000_000, make([]byte, 8_000_000))),
		"name":    model(32, nil, list{info(string(make([]byte, 1<<22)), f32, 0)}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			_ = refusaltest.Lawful(t, len(b), func() error { return readFile(b) })
		})
	}
}

// TestLargeTensor checks that Read does not read the data of a tensor, however
// large.
func TestLargeTensor(t *testing.T) {
	b := model(32, nil, list{info("a", bf16, 0, 1<<17, 1<<16)}, nil)
	file := sparse{b, int64(len(b)) + 1<<34}
	var f *gguf.File
	var err error
	require.Less(t, refusaltest.Allocated(func() { f, err = gguf.Read(file, file.size) }), uint64(1<<20))
	require.NoError(t, err)
	require.Equal(t, int64(1<<34), f.Tensors[0].Bytes())
}
