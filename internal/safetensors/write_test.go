package safetensors_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/tensor"
)

// write returns a file in which each byte of the i-th tensor's data is i+1.
func write(t testing.TB, tensors []tensor.Tensor, metadata map[string]string) []byte {
	t.Helper()
	header, offsets, size, err := safetensors.Header(tensors, metadata)
	require.NoError(t, err)
	require.Zero(t, len(header)%8)
	require.Len(t, offsets, len(tensors))
	b := append(header, make([]byte, size-int64(len(header)))...)
	for i := range tensors {
		for k := range tensors[i].Bytes() {
			b[offsets[i]+k] = byte(i + 1)
		}
	}
	return b
}

// requireRoundTrip writes tensors and reads them back.
func requireRoundTrip(t testing.TB, tensors []tensor.Tensor, metadata map[string]string) *safetensors.File {
	t.Helper()
	f := mustRead(t, write(t, tensors, metadata))
	require.Len(t, f.Tensors, len(tensors))
	for _, got := range f.Tensors {
		i := slices.IndexFunc(tensors, func(x tensor.Tensor) bool { return x.Name == got.Name })
		require.GreaterOrEqual(t, i, 0, got.Name)
		require.Equal(t, tensors[i].DType, got.DType)
		require.Equal(t, append([]int64{}, tensors[i].Shape...), append([]int64{}, got.Shape...))
		for _, c := range refusaltest.DataOf(t, &got) {
			require.Equal(t, byte(i+1), c, "data of %q", got.Name)
		}
	}
	if len(metadata) > 0 {
		require.Equal(t, metadata, f.Metadata)
	}
	return f
}

func TestWriteRoundTrips(t *testing.T) {
	every := []tensor.Tensor{}
	for dt := range dtypes {
		every = append(every, tensor.Tensor{Name: string(dt), DType: dt, Shape: []int64{2, 4}})
	}
	odd := []tensor.Tensor{}
	for _, name := range []string{
		"", " ", "a.b/c", `quote"`, `back\slash`, "line\nfeed\r\t\b\f", "\x00\x01\x1f\x7f", "é€😀\u2028", "\ufffd", strings.Repeat("long", 1000),
	} {
		odd = append(odd, tensor.Tensor{Name: name, DType: "U8", Shape: []int64{3}})
	}
	shapes := []tensor.Tensor{
		{Name: "a", DType: "F16", Shape: []int64{0}}, {Name: "b", DType: "F16", Shape: []int64{3, 0, 5}}, {Name: "c", DType: "F16"},
		{Name: "d", DType: "F16", Shape: []int64{1, 1, 1}}, {Name: "e", DType: "U8", Shape: []int64{1, 300}}, {Name: "f", DType: "F64"},
	}
	metadata := map[string]string{"format": "pt", "": "", "a\"\\\n": "é\x00", "__metadata__": "x"}
	for name, tensors := range map[string][]tensor.Tensor{"none": nil, "every dtype": every, "odd names": odd, "shapes": shapes} {
		t.Run(name, func(t *testing.T) {
			requireRoundTrip(t, tensors, nil)
			requireRoundTrip(t, tensors, metadata)
		})
	}
}

// referenceOrder is the order in which safetensors 0.8.0 lays out one tensor of
// each dtype. Its Python package writes no F6 dtypes. Their order is that of
// the Rust enumeration.
var referenceOrder = []dtype.Type{
	"U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16",
	"F8_E5M2FNUZ", "F8_E4M3FNUZ", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8", "U8", "F6_E3M2", "F6_E2M3", "F4", "BOOL",
}

func TestWritingOrder(t *testing.T) {
	require.Len(t, referenceOrder, len(dtypes))
	var want []string
	var tensors []tensor.Tensor
	for _, dt := range referenceOrder {
		for _, name := range []string{"A", "a", "a.10", "a.2", "é"} {
			want = append(want, name+" "+string(dt))
			tensors = append(tensors, tensor.Tensor{Name: name + " " + string(dt), DType: dt, Shape: []int64{4}})
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	rng.Shuffle(len(tensors), func(i, j int) { tensors[i], tensors[j] = tensors[j], tensors[i] })
	var got []string
	for _, x := range requireRoundTrip(t, tensors, nil).Tensors {
		got = append(got, x.Name)
	}
	require.Equal(t, want, got)
}

// TestEscapesAsTheReference compares with the header that safetensors 0.8.0
// writes for this name.
func TestEscapesAsTheReference(t *testing.T) {
	const want = `{"a\"\\/\n` + "\x7f\u2028é" + `\u0001\b\f😀":{"dtype":"U8","shape":[],"data_offsets":[0,1]}} `
	header, offsets, size, err := safetensors.Header([]tensor.Tensor{{Name: "a\"\\/\n\x7f\u2028é\x01\b\f😀", DType: "U8"}}, nil)
	require.NoError(t, err)
	require.Equal(t, want, string(header[8:]))
	require.EqualValues(t, len(want), binary.LittleEndian.Uint64(header))
	require.Equal(t, []int64{int64(len(header))}, offsets)
	require.EqualValues(t, len(header)+1, size)
	require.True(t, json.Valid(header[8:]))
}

func TestWriteRefuses(t *testing.T) {
	one := func(name string, dt dtype.Type, shape ...int64) []tensor.Tensor {
		return []tensor.Tensor{{Name: "before", DType: "U8", Shape: []int64{1 << 58}}, {Name: name, DType: dt, Shape: shape}}
	}
	for _, test := range []struct {
		name     string
		tensors  []tensor.Tensor
		metadata map[string]string
		tensor   string
	}{
		{"name twice", append(one("a", "U8"), one("a", "U8")[1]), nil, "a"},
		{"name twice, other dtype", append(one("z", "U8"), one("z", "F32")[1]), nil, "z"},
		{"unknown dtype", one("a", "F128"), nil, "a"},
		{"lower-case dtype", one("a", "f32"), nil, "a"},
		{"no dtype", one("a", ""), nil, "a"},
		{"negative dimension", one("a", "U8", -1), nil, "a"},
		{"half a byte", one("a", "F4", 3), nil, "a"},
		{"size overflows", one("a", "F16", 1<<32, 1<<32), nil, "a"},
		{"size overflows before a zero", one("a", "F16", 1<<32, 1<<32, 0), nil, "a"},
		{"reserved name", one("__metadata__", "U8"), nil, "__metadata__"},
		{"name not UTF-8", one("a\xff", "U8"), nil, "a\xff"},
		{"metadata name not UTF-8", nil, map[string]string{"\xff": ""}, ""},
		{"metadata value not UTF-8", nil, map[string]string{"a": "\xff"}, ""},
		{"header over 100,000,000 bytes", one(strings.Repeat("a", 100_000_000), "U8"), nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			header, offsets, _, err := safetensors.Header(test.tensors, test.metadata)
			require.Empty(t, header)
			require.Empty(t, offsets)
			require.Equal(t, test.tensor, refusaltest.Refused(t, err, refusal.ErrMalformed).Tensor)
		})
	}
}

// TestWriteSumOverflow checks that a sum of sizes beyond 2^63 does not wrap
// around.
func TestWriteSumOverflow(t *testing.T) {
	const eighth = math.MaxInt64 / 8 // the largest size in bytes whose number of bits fits an int64
	var tensors []tensor.Tensor
	for i := range 40 {
		tensors = append(tensors, tensor.Tensor{Name: strings.Repeat("a", i), DType: "U8", Shape: []int64{eighth}})
		_, _, size, err := safetensors.Header(tensors, nil)
		if i < 2 {
			require.NoError(t, err)
			require.Greater(t, size, int64(eighth))
		} else {
			require.Error(t, err, "%d tensors", i+1)
		}
	}
}

func TestWriteLargest(t *testing.T) {
	tensors := []tensor.Tensor{{Name: "b", DType: "F16", Shape: []int64{1 << 20, 1 << 20}}, {Name: "a", DType: "F16", Shape: []int64{1 << 20, 1 << 20}}}
	header, offsets, size, err := safetensors.Header(tensors, nil)
	require.NoError(t, err)
	n := int64(len(header))
	require.Equal(t, []int64{n + 1<<41, n}, offsets)
	require.Equal(t, n+1<<42, size)
}
