package flax_test

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
)

// summary describes the tensors of a file.
func summary(f *flax.File) []string {
	list := []string{}
	for _, x := range f.Tensors {
		list = append(list, fmt.Sprintf("%s %s%v", x.Name, x.DType, x.Shape))
	}
	return list
}

func TestKnownGood(t *testing.T) {
	a, b := str("a"), str("b")
	long := cat([]byte{0xd9, 40}, bytes.Repeat([]byte("k"), 40))
	for _, test := range []struct {
		name   string
		input  []byte
		stream bool
		want   []string
	}{
		{"a record", record(pair), true, []string{"x F16[2]"}},
		{"two records", cat(record(pair), keyed("y", array(list(), "float32", 1, 2, 3, 4))), true, []string{"x F16[2]", "y F32[]"}},
		{"a key path", list(strs("a", "b", "c"), bin(pair)), true, []string{"a/b/c F16[2]"}},
		{"an empty key path", list(list(), bin(pair)), true, []string{" F16[2]"}},
		{"an empty key", list(strs(""), bin(pair)), true, []string{" F16[2]"}},
		{"a map in a record", record(dict(a, pair, b, dict(a, pair))), true, []string{"x/a F16[2]", "x/b/a F16[2]"}},
		{"a number in a record", cat(record(one), keyed("y", pair)), true, []string{"y F16[2]"}},
		{"an empty map", dict(), false, []string{}},
		{"a map", dict(a, dict(b, pair), b, pair), false, []string{"a/b F16[2]", "b F16[2]"}},
		{"map16 and str8", cat([]byte{0xde, 0, 1}, long, pair), false, []string{string(long[2:]) + " F16[2]"}},
		{"an empty array", dict(a, array(list([]byte{3}, []byte{0}), "bfloat16")), false, []string{"a BF16[3 0]"}},
		{"zero times the greatest", dict(a, array(list([]byte{0}, number(1<<63-1)), "int8")), false, []string{"a I8[0 9223372036854775807]"}},
		{"signed dimensions", dict(a, array(list([]byte{0xd0, 2}, []byte{0xd3, 0, 0, 0, 0, 0, 0, 0, 1}), "float16", 1, 2, 3, 4)), false, []string{"a F16[2 1]"}},
		{"32 dimensions", dict(a, array(cat([]byte{0xdc, 0, 32}, bytes.Repeat(one, 32)), "int8", 9)), false, []string{"a I8[1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1]"}},
		{"a chunked array", dict(a, chunkedPair()), false, []string{"a F16[2]"}},
		{"a chunked array in a record", record(chunkedPair()), true, []string{"x F16[2]"}},
		{"a chunked array with empty chunks", record(chunked(truth, dict(), dict(str("0"), flat(), str("1"), flat(1, 2), str("2"), flat()))), true, []string{"x F16[]"}},
		{"a chunked root", chunkedPair(), false, []string{" F16[2]"}},
		{"nested 64 deep", record(cat(bytes.Repeat([]byte{0x91}, 64), one)), true, []string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := mustRead(t, test.input)
			require.Equal(t, test.stream, f.Stream)
			require.Equal(t, test.want, summary(f))
			for i := range f.Tensors {
				refusaltest.DataOf(t, &f.Tensors[i])
			}
		})
	}
}

// TestOtherValues checks that every kind of value except arrays is skipped, and
// that Read continues after it.
func TestOtherValues(t *testing.T) {
	text := func(n int) []byte { return bytes.Repeat([]byte("t"), n) }
	for name, value := range map[string][]byte{
		"nil": null, "false": {0xc2}, "true": truth, "fixint": {0x7f}, "negative fixint": {0xe0}, "float32": {0xca, 1, 2, 3, 4}, "float64": {0xcb, 1, 2, 3, 4, 5, 6, 7, 8},
		"uint8": {0xcc, 1}, "uint16": {0xcd, 1, 2}, "uint32": {0xce, 1, 2, 3, 4}, "uint64": {0xcf, 1, 2, 3, 4, 5, 6, 7, 8}, "int8": {0xd0, 0x80}, "int16": {0xd1, 0x80, 2},
		"int32": {0xd2, 0x80, 2, 3, 4}, "int64": {0xd3, 0x80, 2, 3, 4, 5, 6, 7, 8}, "empty text": str(""), "fixstr": str("text"), "str8": cat([]byte{0xd9, 200}, text(200)),
		"str16": cat([]byte{0xda, 1, 0}, text(256)), "str32": cat([]byte{0xdb, 0, 1, 0, 0}, text(65536)), "bin8": cat([]byte{0xc4, 2}, []byte{0xff, 0xc1}),
		"bin16": cat([]byte{0xc5, 1, 0}, text(256)), "bin32": bin(text(70000)), "list": list(one, list(null), dict(str("k"), one)), "empty list": list(),
		"array16": cat([]byte{0xdc, 0, 2}, one, two), "array32": cat([]byte{0xdd, 0, 0, 0, 2}, one, two), "empty map": dict(), "map16": cat([]byte{0xde, 0, 1}, str("k"), one),
		"map32": cat([]byte{0xdf, 0, 0, 0, 1}, str("k"), one),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []string{"z F16[2]"}, summary(mustRead(t, dict(str("v"), value, str("z"), pair))))
			require.Equal(t, []string{"z F16[2]"}, summary(mustRead(t, cat(record(value), keyed("z", pair)))))
		})
	}
}

// TestChunksInPieces reads an array of chunks of many sizes from every offset.
func TestChunksInPieces(t *testing.T) {
	var data []byte
	chunks := []byte{0xde, 0, 9}
	for i, n := range []int{0, 2, 0, 0, 254, 600, 2, 100, 0} {
		part := bytes.Repeat([]byte{byte(i + 1)}, n)
		data = append(data, part...)
		chunks = cat(chunks, str(strconv.Itoa(i)), array(list([]byte{0xcd, byte(n / 2 >> 8), byte(n / 2)}), "float16", part...))
	}
	f := mustRead(t, record(chunked(truth, dict(str("0"), number(uint64(len(data)/2))), chunks)))
	require.Len(t, f.Tensors, 1)
	require.Equal(t, data, refusaltest.DataOf(t, &f.Tensors[0]))
	requirePieces(t, data, f.Tensors[0].Data)
}

// TestLargeFile checks that reading the structure of a checkpoint of 26 GB
// reads few bytes.
func TestLargeFile(t *testing.T) {
	const n, side = 120, 1 << 14
	r := &sparse{heads: map[int64][]byte{}}
	for i := range n {
		x := tensor.Tensor{Name: fmt.Sprint("layer/", i), DType: "F16", Shape: []int64{side, side >> 1}}
		head, err := flax.AppendRecord(nil, &x)
		require.NoError(t, err)
		r.heads[r.size] = head
		r.size += int64(len(head)) + x.Bytes()
	}
	var f *flax.File
	require.Less(t, refusaltest.Allocated(func() {
		var err error
		f, err = flax.Read(r, r.size)
		require.NoError(t, err)
	}), uint64(1<<20))
	require.Len(t, f.Tensors, n)
	require.Greater(t, r.size, int64(26e9))
	require.LessOrEqual(t, r.read, 4096*(n+1))
}

// sparse is a file of zeros with a few heads in it.
type sparse struct {
	heads map[int64][]byte
	size  int64
	read  int
}

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	s.read += len(p)
	clear(p)
	copy(p, s.heads[off])
	return len(p), nil
}

// TestAllocation reads the files that need the most memory: the smallest arrays
// and chunks, and many or long names.
func TestAllocation(t *testing.T) {
	scalar, key := []byte("\xc7\x09\x01\x93\x90\xa3|i1\xc4\x01\x00"), func(i int) []byte { return str(strconv.FormatInt(int64(i), 36)) }
	for _, n := range []int{1000, 5000, 20_000, 30_000, 100_000, 120_000} {
		arrays, chunks, records, names := head(0xdf, n), head(0xdf, n), []byte{}, head(0xdf, n)
		for i := range n {
			arrays = cat2(arrays, key(i), scalar)
			chunks = cat2(chunks, str(strconv.Itoa(i)), []byte("\xc7\x09\x01\x93\x91\x00\xa3|i1\xc4\x00"))
			records = cat2(append(records, 0x92, 0x91), key(i), append([]byte{0xc4, byte(len(scalar))}, scalar...))
			names = cat2(names, key(i), one)
		}
		long := cat(head(0xdb, n), bytes.Repeat([]byte("k"), n))
		require.Len(t, mustRead(t, arrays).Tensors, n)
		require.Len(t, mustRead(t, records).Tensors, n)
		require.Len(t, mustRead(t, dict(str("x"), chunked(truth, dict(str("0"), []byte{0}), chunks))).Tensors, 1)
		for name, b := range map[string][]byte{
			"names": names, "long name above": dict(long, names), "long names nested": append(bytes.Repeat(cat([]byte{0x81}, long), 20), 1),
			"long key path": list(cat(head(0xdd, n), bytes.Repeat(str("ab"), n)), bin(one)), "long text": dict(str("k"), cat(head(0xdb, n), bytes.Repeat([]byte("k"), n))),
		} {
			err := refusaltest.Lawful(t, len(b), func() error { return read(b) })
			if err != nil { // the budget of names is exceeded
				require.Equal(t, refusal.ErrMalformed, refusaltest.Kind(t, err), name)
			}
		}
	}
}

func cat2(dst []byte, parts ...[]byte) []byte {
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}
