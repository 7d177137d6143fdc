package gguf_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
)

// every returns a pair for each kind of value.
func every() []gguf.Pair {
	return []gguf.Pair{
		{"s", gguf.Text("é\xff")}, {"empty", gguf.Text("")}, {"u", gguf.Uint(math.MaxUint32)}, {"f", gguf.Float(-1.5)},
		{"yes", gguf.Boolean(true)}, {"no", gguf.Boolean(false)}, {"texts", gguf.Texts([]string{"a", "", "é"})},
		{"floats", gguf.Floats([]float32{0.5, -2})}, {"ints", gguf.Ints([]int32{-1, 7})}, {"none", gguf.Texts(nil)},
	}
}

// TestHeader compares with a file that is encoded by hand.
func TestHeader(t *testing.T) {
	want := model(32, list{
		pair("s", gguf.String, str("é\xff")), pair("empty", gguf.String, str("")), pair("u", gguf.Uint32, u32(math.MaxUint32)),
		pair("f", gguf.Float32, u32(0xbfc00000)), pair("yes", gguf.Bool, []byte{1}), pair("no", gguf.Bool, []byte{0}),
		array("texts", gguf.String, 3, str("a"), str(""), str("é")), array("floats", gguf.Float32, 2, u32(0x3f000000), u32(0xc0000000)),
		array("ints", gguf.Int32, 2, u32(math.MaxUint32), u32(7)), array("none", gguf.String, 0),
	}, list{info("w", bf16, 0, 3, 2), info("q", q8, 32, 64), info("none", f32, 128, 0, 4), info("s", f32, 128)}, nil)
	tensors := []tensor.Tensor{
		{Name: "w", DType: "BF16", Shape: []int64{2, 3}}, {Name: "q", DType: "Q8_0", Shape: []int64{64}},
		{Name: "none", DType: "F32", Shape: []int64{4, 0}}, {Name: "s", DType: "F32"},
	}
	head, offsets, size, err := gguf.Header(every(), tensors)
	require.NoError(t, err)
	require.Equal(t, want, head)
	begin := int64(len(head))
	require.Zero(t, begin%32)
	require.Equal(t, []int64{begin, begin + 32, begin + 128, begin + 128}, offsets)
	require.Equal(t, begin+128+32, size)

	f := mustRead(t, append(head, make([]byte, size-begin)...))
	require.Equal(t, []string{"w BF16[2 3]@0", "q Q8_0[64]@32", "none F32[4 0]@128", "s F32[]@128"}, summary(f))
	require.Equal(t, "é", f.Values["texts"].Text(2))
}

func TestValuesRoundTrip(t *testing.T) {
	for _, p := range every() {
		v := p.Value
		again := mustRead(t, write(t, []gguf.Pair{p}, nil)).Values[p.Key]
		require.Equal(t, []any{v.Type, v.List, v.Len}, []any{again.Type, again.List, again.Len}, p.Key)
		for i := range v.Len + 1 {
			n, okN := v.Int(i)
			n2, okN2 := again.Int(i)
			f, okF := v.Float(i)
			f2, okF2 := again.Float(i)
			require.Equal(t, []any{n, okN, f, okF, v.Text(i)}, []any{n2, okN2, f2, okF2, again.Text(i)}, "%s %d", p.Key, i)
		}
	}
}

func TestHeaderAligns(t *testing.T) {
	tensors := []tensor.Tensor{{Name: "a", DType: "F16", Shape: []int64{3}}, {Name: "b", DType: "F16", Shape: []int64{3}}}
	for _, alignment := range []int64{1, 2, 8, 32, 64, 4096, 65536} {
		head, offsets, size, err := gguf.Header([]gguf.Pair{{"general.alignment", gguf.Uint(uint32(alignment))}}, tensors)
		require.NoError(t, err)
		gap := max(6, alignment) // each tensor has 6 bytes, a multiple of 1 and 2
		require.Equal(t, []int64{int64(len(head)), int64(len(head)) + gap}, offsets)
		require.Equal(t, int64(len(head))+2*gap, size)
		require.Zero(t, int64(len(head))%alignment)
		b := append(head, make([]byte, size-int64(len(head)))...)
		require.Equal(t, alignment, mustRead(t, b).Alignment)
	}
}

func TestEmptyFile(t *testing.T) {
	head, offsets, size, err := gguf.Header(nil, nil)
	require.NoError(t, err)
	require.Empty(t, offsets)
	require.EqualValues(t, 32, size)
	require.Equal(t, cat([]byte("GGUF"), u32(3), u64(0), u64(0), make([]byte, 8)), head)
}

func TestWriteRefuses(t *testing.T) {
	malformed, unsupported := refusal.ErrMalformed, refusal.ErrUnsupported
	one := func(name string, dt dtype.Type, shape ...int64) []tensor.Tensor {
		return []tensor.Tensor{{Name: "before", DType: "F16", Shape: []int64{1 << 57}}, {Name: name, DType: dt, Shape: shape}}
	}
	keyed := func(key string, v gguf.Value) []gguf.Pair { return []gguf.Pair{{"a", gguf.Uint(1)}, {key, v}} }
	for _, test := range []struct {
		name    string
		pairs   []gguf.Pair
		tensors []tensor.Tensor
		kind    error
		tensor  string
	}{
		{"name twice", nil, one("before", "F16"), malformed, "before"},
		{"name of 64 bytes", nil, one(strings.Repeat("a", 64), "F16"), unsupported, strings.Repeat("a", 64)},
		{"name with a NUL", nil, one("a\x00", "F16"), malformed, "a\x00"},
		{"name not UTF-8", nil, one("\xff", "F16"), malformed, "\xff"},
		{"no type", nil, one("a", ""), unsupported, "a"},
		{"type of safetensors alone", nil, one("a", "U8", 4), unsupported, "a"},
		{"lower-case type", nil, one("a", "f32"), unsupported, "a"},
		{"5 dimensions", nil, one("a", "F16", 1, 1, 1, 1, 1), unsupported, "a"},
		{"negative dimension", nil, one("a", "F16", -1), malformed, "a"},
		{"part of a block", nil, one("a", "Q8_0", 2, 48), malformed, "a"},
		{"a scalar in blocks", nil, one("a", "Q8_0"), malformed, "a"},
		{"size overflows", nil, one("a", "F16", 1<<32, 1<<32), malformed, "a"},
		{"sum of sizes over 2^61", nil, one("a", "Q8_0", 1<<56, 32), malformed, "a"},
		{"key twice", keyed("a", gguf.Text("")), nil, malformed, ""},
		{"empty key", keyed("", gguf.Text("")), nil, malformed, ""},
		{"key not UTF-8", keyed("\xff", gguf.Text("")), nil, malformed, ""},
		{"key of 65,536 bytes", keyed(strings.Repeat("a", 1<<16), gguf.Text("")), nil, malformed, ""},
		{"no value", keyed("b", gguf.Value{}), nil, malformed, ""},
		{"no text", keyed("b", gguf.Value{Type: gguf.String, Len: 1}), nil, malformed, ""},
		{"array of arrays", keyed("b", gguf.Value{Type: gguf.Array, List: true}), nil, malformed, ""},
		{"no such type", keyed("b", gguf.Value{Type: 13, List: true}), nil, malformed, ""},
		{"alignment 0", keyed("general.alignment", gguf.Uint(0)), nil, malformed, ""},
		{"alignment 48", keyed("general.alignment", gguf.Uint(48)), nil, malformed, ""},
		{"alignment of another type", keyed("general.alignment", gguf.Ints([]int32{32})), nil, malformed, ""},
		{"alignment of 131,072", keyed("general.alignment", gguf.Uint(1<<17)), nil, unsupported, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			head, offsets, size, err := gguf.Header(test.pairs, test.tensors)
			require.Empty(t, head)
			require.Empty(t, offsets)
			require.Zero(t, size)
			require.Equal(t, test.tensor, refusaltest.Refused(t, err, test.kind).Tensor)
		})
	}
}

func TestWriteLargest(t *testing.T) {
	tensors := []tensor.Tensor{
		{Name: strings.Repeat("n", gguf.MaxName), DType: "BF16", Shape: []int64{1, 1, 1 << 20, 1 << 20}}, {Name: "a", DType: "Q8_0", Shape: []int64{1 << 20, 1 << 20}},
	}
	head, offsets, size, err := gguf.Header(nil, tensors)
	require.NoError(t, err)
	n := int64(len(head))
	require.Equal(t, []int64{n, n + 1<<41}, offsets)
	require.Equal(t, n+1<<41+34<<35, size)
	file := sparse{bytes.Clone(head), size}
	f, err := gguf.Read(file, size)
	require.NoError(t, err)
	require.Equal(t, offsets[1], f.Tensors[1].Offset)
}
