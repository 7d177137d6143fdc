package flax_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
)

// appendTensor appends a complete record.
func appendTensor(t testing.TB, dst []byte, x *tensor.Tensor, data []byte) []byte {
	t.Helper()
	require.EqualValues(t, x.Bytes(), len(data))
	dst, err := flax.AppendRecord(dst, x)
	require.NoError(t, err)
	return append(dst, data...)
}

// requireRecord writes a tensor between two others and reads it back.
func requireRecord(t testing.TB, x *tensor.Tensor) {
	t.Helper()
	data := make([]byte, x.Bytes())
	for i := range data {
		data[i] = byte(i*7 + i>>8)
	}
	other := &tensor.Tensor{Name: "before", DType: "F16", Shape: []int64{1}}
	b := appendTensor(t, nil, other, []byte{1, 2})
	b = appendTensor(t, b, x, data)
	other.Name = "after"
	b = appendTensor(t, b, other, []byte{3, 4})

	f := mustRead(t, b)
	require.True(t, f.Stream)
	require.Len(t, f.Tensors, 3)
	got := &f.Tensors[1]
	require.Equal(t, x.Name, got.Name)
	require.Equal(t, x.DType, got.DType)
	require.Equal(t, append([]int64{}, x.Shape...), got.Shape)
	require.True(t, bytes.Equal(data, refusaltest.DataOf(t, got)))
	require.Equal(t, data, b[got.Offset:got.Offset+got.Bytes()])
	require.Equal(t, []byte{3, 4}, refusaltest.DataOf(t, &f.Tensors[2]))
}

// TestRecordBytes compares with a record that is encoded by hand.
func TestRecordBytes(t *testing.T) {
	const want = "92" + "96" + "ab 7472616e73666f726d6572" + "a1 68" + "a1 30" + "a9 617474656e74696f6e" + "a2 7771" + "a6 6b65726e656c" +
		"c6 0200001c" + "c9 02000016 01" + "93" + "92 cd1000 cd1000" + "a8 62666c6f61743136" + "c6 02000000"
	got, err := flax.AppendRecord([]byte("dst"), &tensor.Tensor{Name: "transformer/h/0/attention/wq/kernel", DType: "BF16", Shape: []int64{4096, 4096}})
	require.NoError(t, err)
	require.Equal(t, "dst", string(got[:3]), "AppendRecord must append to dst")
	require.Equal(t, strings.ReplaceAll(want, " ", ""), hex.EncodeToString(got[3:]))
}

// TestRecordHeads compares with the heads that Python's msgpack packs for the
// same values, around the limits of each width.
func TestRecordHeads(t *testing.T) {
	for _, test := range []struct {
		dtype dtype.Type
		shape []int64
		want  string
	}{
		{"F16", []int64{0}, "c410 c70d01 93 9100 a7666c6f61743136 c400"},
		{"F16", nil, "c411 c70e01 93 90 a7666c6f61743136 c402"},
		{"F32", nil, "c412 d801 93 90 a7666c6f61743332 c404"},
		{"BF16", []int64{1}, "c412 d801 93 9101 a862666c6f61743136 c402"},
		{"F16", []int64{118}, "c4fc c7f901 93 9176 a7666c6f61743136 c4ec"},
		{"F16", []int64{119}, "c4fe c7fb01 93 9177 a7666c6f61743136 c4ee"},
		{"F16", []int64{120}, "c50100 c7fd01 93 9178 a7666c6f61743136 c4f0"},
		{"F16", []int64{121}, "c50102 c7ff01 93 9179 a7666c6f61743136 c4f2"},
		{"F16", []int64{122}, "c50105 c8010101 93 917a a7666c6f61743136 c4f4"},
		{"F16", []int64{127}, "c5010f c8010b01 93 917f a7666c6f61743136 c4fe"},
		{"F16", []int64{128}, "c50113 c8010f01 93 91cc80 a7666c6f61743136 c50100"},
		{"F16", []int64{256, 256}, "c60002001b c90002001501 93 92cd0100cd0100 a7666c6f61743136 c600020000"},
		{"F16", []int64{1 << 29}, "c64000001a c94000001401 93 91ce20000000 a7666c6f61743136 c640000000"},
		{"F16", []int64{0, 65535, 65536, 1 << 32}, "c421 c71e01 93 9400cdffffce00010000cf0000000100000000 a7666c6f61743136 c400"},
	} {
		got, err := flax.AppendRecord(nil, &tensor.Tensor{Name: "x", DType: test.dtype, Shape: test.shape})
		require.NoError(t, err)
		require.Equal(t, "9291a178"+strings.ReplaceAll(test.want, " ", ""), hex.EncodeToString(got), "%s %v", test.dtype, test.shape)
	}
}

func TestRecordSizes(t *testing.T) {
	lengths := []int64{}
	for n := range int64(151) {
		lengths = append(lengths, n)
	}
	for n := int64(32_740); n <= 32_775; n++ {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		for _, dt := range []dtype.Type{"F16", "BF16", "F32"} {
			requireRecord(t, &tensor.Tensor{Name: "x/kernel", DType: dt, Shape: []int64{n}})
			requireRecord(t, &tensor.Tensor{Name: "x/kernel", DType: dt, Shape: []int64{n, 1}})
		}
	}
	for n := int64(16_370); n <= 16_390; n++ {
		requireRecord(t, &tensor.Tensor{Name: "x/kernel", DType: "F32", Shape: []int64{n}})
	}
}

func TestRecordNamesAndShapes(t *testing.T) {
	parts := func(n int) string { return strings.Repeat("a/", n-1) + "b" }
	for _, name := range []string{
		"", "a", "a/b", "/", "a//b", "é€😀/\x00", strings.Repeat("n", 31), strings.Repeat("n", 32), strings.Repeat("n", 255),
		strings.Repeat("n", 256), strings.Repeat("n", 65535), strings.Repeat("n", 65536), parts(15), parts(16), parts(17), parts(32), parts(65535), parts(65536),
	} {
		requireRecord(t, &tensor.Tensor{Name: name, DType: "F16", Shape: []int64{2, 3}})
	}
	for rank := range 33 {
		shape := bytes.Repeat([]byte{1}, rank)
		x := &tensor.Tensor{Name: "x", DType: "BF16", Shape: []int64{}}
		for range shape {
			x.Shape = append(x.Shape, 1)
		}
		requireRecord(t, x)
	}
	for _, d := range []int64{127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, 1 << 58} {
		requireRecord(t, &tensor.Tensor{Name: "x", DType: "F16", Shape: []int64{d, 0}})
	}
}

func TestRecordRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		x    tensor.Tensor
		kind error
	}{
		{"integers", tensor.Tensor{DType: "I64", Shape: []int64{1}}, refusal.ErrUnsupported},
		{"F64", tensor.Tensor{DType: "F64", Shape: []int64{1}}, refusal.ErrUnsupported},
		{"unknown dtype", tensor.Tensor{DType: "F128", Shape: []int64{1}}, refusal.ErrUnsupported},
		{"numpy's name", tensor.Tensor{DType: "float16", Shape: []int64{1}}, refusal.ErrUnsupported},
		{"no dtype", tensor.Tensor{Shape: []int64{1}}, refusal.ErrUnsupported},
		{"over 2^30 bytes", tensor.Tensor{DType: "F16", Shape: []int64{1<<29 + 1}}, refusal.ErrUnsupported},
		{"negative dimension", tensor.Tensor{DType: "F16", Shape: []int64{-1}}, refusal.ErrMalformed},
		{"negative dimension times zero", tensor.Tensor{DType: "F16", Shape: []int64{0, -1}}, refusal.ErrMalformed},
		{"size overflows", tensor.Tensor{DType: "F16", Shape: []int64{1 << 32, 1 << 32}}, refusal.ErrMalformed},
		{"largest dimension twice", tensor.Tensor{DType: "F16", Shape: []int64{math.MaxInt64, math.MaxInt64}}, refusal.ErrMalformed},
		{"33 dimensions", tensor.Tensor{DType: "F16", Shape: make([]int64, 33)}, refusal.ErrUnsupported},
		{"name not UTF-8", tensor.Tensor{Name: "\xff", DType: "F16"}, refusal.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.x.Name = "x/y" + test.x.Name
			dst, err := flax.AppendRecord([]byte("dst"), &test.x)
			require.Nil(t, dst)
			require.Equal(t, test.x.Name, refusaltest.Refused(t, err, test.kind).Tensor)
		})
	}
}
