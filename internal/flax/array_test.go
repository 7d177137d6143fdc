package flax_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

func TestBadExts(t *testing.T) {
	var rows []refusaltest.Bad
	for name, kind := range map[string]byte{
		"ext 0": 0, "complex number": 2, "numpy scalar": 3, "ext 4": 4, "ext 127": 127, "ext -128": 128, "timestamp": 255,
	} {
		e := ext(kind, list(list(), str("float32"), bin([]byte{0, 0, 0, 0})))
		short := []byte{0xd4, kind, 0}
		rows = append(rows,
			within(name, e, e, refusal.ErrUnsupported),
			within(name+" in one byte", short, short, refusal.ErrUnsupported),
			at(name+" in a map", dict(str("k"), e), e, refusal.ErrUnsupported, "k"))
	}
	inList := list(one, pair)
	rows = append(rows,
		within("array in a list", inList, inList, refusal.ErrUnsupported),
		within("array in a map in a list", list(dict(str("k"), pair)), list(dict(str("k"), pair)), refusal.ErrUnsupported),
		within("chunked array in a list", list(chunkedPair()), list(chunkedPair()), refusal.ErrUnsupported))
	refusaltest.Run(t, rows, read)
}

func TestBadArrays(t *testing.T) {
	f16, data := str("float16"), bin([]byte{1, 2, 3, 4})
	shape := list(two)
	var rows []refusaltest.Bad
	for name, body := range map[string][]byte{
		"a number": one, "nil": null, "a list of two": list(shape, f16), "a list of four": list(shape, f16, data, one), "a map": dict(shape, f16),
	} {
		rows = append(rows, bad("ext holds "+name, record(ext(1, body)), refusal.ErrMalformed, 15, "x"))
	}
	rows = append(rows, bad("empty ext", record(ext(1)), io.ErrUnexpectedEOF, 15, "x"))
	for name, where := range map[string][]byte{
		"text": str("abcd"), "a list": list(one, one, one, one), "a number": {0xce, 9, 9, 9, 9}, "nil": null, "an ext": ext(5, []byte{9}),
	} {
		rows = append(rows, within("bytes are "+name, ext(1, list(shape, f16, where)), where, refusal.ErrMalformed))
	}
	for name, where := range map[string][]byte{"a number": two, "text": str("2"), "nil": null, "a map": dict(str("0"), two), "bytes": bin(two)} {
		rows = append(rows, bad("shape is "+name, record(ext(1, list(where, f16, data))), refusal.ErrMalformed, 16, "x"))
	}
	longer, shorter := ext(1, list(shape, f16, data), one), ext(1, list(shape, f16, data))
	shorter[4]--
	rows = append(rows,
		within("more in the ext", longer, longer, refusal.ErrMalformed),
		bad("more in the array than in the ext", record(shorter), refusal.ErrMalformed, 9, "x"))
	refusaltest.Run(t, rows, read)
}

func TestBadShapes(t *testing.T) {
	var rows []refusaltest.Bad
	for _, test := range []struct {
		shape []byte
		dtype string
		data  int
	}{
		{list(two), "float16", 3}, {list(two), "float16", 5}, {list(two), "float16", 0}, {list(two), "float16", 8}, {list(), "float16", 0},
		{list(), "float16", 4}, {list([]byte{0}), "float16", 2}, {list(two, []byte{0}), "float16", 4}, {list(two, two), "float32", 4},
		{list(two, two), "bfloat16", 4}, {list(one), "int8", 2}, {list(one), "float64", 4},
		{list(number(1<<32), number(1<<32)), "float16", 0}, {list(two, number(1<<63-1)), "float16", 0},
		{list(number(1<<32), number(1<<32), []byte{0}), "float16", 0}, {list(number(1 << 62)), "float32", 0}, {list(number(1<<63 - 1)), "uint8", 4},
	} {
		data := bytes.Repeat([]byte{9}, test.data)
		rows = append(rows, within("shape and bytes", array(test.shape, test.dtype, data...), bin(data), refusal.ErrMalformed))
	}
	for name, dim := range map[string][]byte{
		"-1": {0xff}, "-32": {0xe0}, "-100": {0xd0, 0x9c}, "-2^63": {0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0}, "nil": null, "true": truth,
		"a float": {0xcb, 0x40, 0, 0, 0, 0, 0, 0, 0}, "text": str("2"), "bytes": bin(two), "a list": list(two),
	} {
		rows = append(rows, within("dimension is "+name, array(list(dim), "float16", 1, 2, 3, 4), dim, refusal.ErrMalformed))
		rows = append(rows, within("last dimension is "+name, array(list(two, dim), "float16", 1, 2, 3, 4), dim, refusal.ErrMalformed))
	}
	over := append([]byte{0xcf}, bytes.Repeat([]byte{0xff}, 8)...)
	rank := cat([]byte{0xdc, 0, 33}, bytes.Repeat(one, 33))
	rows = append(rows,
		within("dimension is 2^64-1", array(list(over), "float16"), over[1:], refusal.ErrMalformed),
		within("33 dimensions", array(rank, "uint8", 9), rank, refusal.ErrMalformed))
	refusaltest.Run(t, rows, read)
}

// number returns the widest encoding of an unsigned integer.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{0xcf}, n) }

func TestBadDTypes(t *testing.T) {
	var rows []refusaltest.Bad
	for _, dt := range []string{
		"object", "O", "|O", "", "complex64", "<c8", ">f2", "=f2", "f2", "<f3", "V2", "|V2", "Float16", "float128", "str", "<U1",
		"datetime64[ns]", "int4", "float8_e4m3fn", "F16", "half", "bfloat16 ",
	} {
		rows = append(rows, within(dt, array(list(), dt, 1, 2), str(dt), refusal.ErrUnsupported))
	}
	refusaltest.Run(t, rows, read)
}

func TestEveryDType(t *testing.T) {
	for dt, names := range map[dtype.Type][]string{
		"F16": {"float16", "<f2"}, "BF16": {"bfloat16"}, "F32": {"float32", "<f4"}, "F64": {"float64", "<f8"}, "BOOL": {"bool", "|b1"},
		"I8": {"int8", "|i1"}, "I16": {"int16", "<i2"}, "I32": {"int32", "<i4"}, "I64": {"int64", "<i8"},
		"U8": {"uint8", "|u1"}, "U16": {"uint16", "<u2"}, "U32": {"uint32", "<u4"}, "U64": {"uint64", "<u8"},
	} {
		for _, name := range names {
			data := bytes.Repeat([]byte{7}, 3*int(dt.Size()))
			f := mustRead(t, record(array(list([]byte{3}), name, data...)))
			require.Len(t, f.Tensors, 1)
			require.Equal(t, dt, f.Tensors[0].DType)
			require.Equal(t, data, refusaltest.DataOf(t, &f.Tensors[0]))
		}
	}
}

// chunked returns the map that flax writes for a large array.
func chunked(mark, shape, chunks []byte) []byte {
	return dict(str("__msgpack_chunked_array__"), mark, str("shape"), shape, str("chunks"), chunks)
}

// chunkedPair returns the array of pair in two chunks.
func chunkedPair() []byte {
	return chunked(truth, dict(str("0"), two), dict(str("0"), flat(1, 2), str("1"), flat(3, 4)))
}

// flat returns a chunk of fp16 elements.
func flat(data ...byte) []byte { return array(list([]byte{byte(len(data) / 2)}), "float16", data...) }

func TestBadChunks(t *testing.T) {
	shape, good := dict(str("0"), two), dict(str("0"), flat(1, 2), str("1"), flat(3, 4))
	mark, zero := str("__msgpack_chunked_array__"), str("0")
	var rows []refusaltest.Bad
	add := func(name string, value, where []byte) {
		rows = append(rows, within(name, value, where, refusal.ErrMalformed))
	}
	whole := func(name string, value []byte) { add(name, value, value) }

	whole("mark alone", dict(mark, truth))
	whole("no chunks", dict(mark, truth, str("shape"), shape))
	whole("one key more", dict(mark, truth, str("shape"), shape, str("chunks"), good, str("z"), one))
	add("mark is false", chunked([]byte{0xc2}, shape, good), []byte{0xc2})
	add("mark is a number", chunked([]byte{0xcc, 1}, shape, good), []byte{0xcc, 1})
	add("mark is nil", chunked(null, shape, good), null)
	add("another field for shape", dict(mark, truth, str("sizes"), shape, str("chunks"), good), str("sizes"))
	add("chunks before the shape", dict(mark, truth, str("chunks"), good, str("shape"), shape), str("chunks"))
	add("another field for chunks", dict(mark, truth, str("shape"), shape, str("parts"), good), str("parts"))
	add("field is a number", dict(mark, truth, []byte{0x7e}, shape, str("chunks"), good), []byte{0x7e})
	add("mark is not first", dict(str("shape"), shape, mark, truth, str("chunks"), good), mark)
	add("mark is last", dict(str("shape"), shape, str("chunks"), dict(), mark, truth), mark)

	for name, s := range map[string][]byte{
		"a list": list(two), "nil": null, "text": str("2"), "an array": array(list(one), "int8", 2),
	} {
		add("shape is "+name, chunked(truth, s, good), s)
		add("chunks are "+name, chunked(truth, shape, s), s)
	}
	for name, key := range map[string][]byte{
		"a name": str("first"), "1": str("1"), "00": str("00"), "-1": str("-1"), "+0": str("+0"), "empty": str(""), "a number": {0x7f}, "nil": null,
	} {
		add("first dimension is "+name, chunked(truth, dict(key, two), good), key)
		add("first chunk is "+name, chunked(truth, shape, cat([]byte{0x81}, key, flat(1, 2, 3, 4))), key)
	}
	add("a chunk is missing", chunked(truth, shape, dict(zero, flat(1, 2), str("2"), flat(3, 4))), str("2"))
	add("duplicate chunk", chunked(truth, shape, dict(zero, flat(1, 2), zero, flat(3, 4))), cat(zero, flat(3, 4)))
	add("chunks in another order", chunked(truth, shape, dict(str("1"), flat(1, 2), zero, flat(3, 4))), str("1"))
	add("a dimension is missing", chunked(truth, dict(zero, one, str("2"), two), good), str("2"))
	add("a dimension is negative", chunked(truth, dict(zero, []byte{0xff}), good), []byte{0xff})
	add("a dimension is text", chunked(truth, dict(zero, str("x2")), good), str("x2"))

	matrix, float := array(list(one, one), "float16", 3, 4), array(list(one), "bfloat16", 3, 4)
	for name, c := range map[string][]byte{
		"a matrix": matrix, "a scalar": array(list(), "float16", 3, 4), "of another dtype": float, "nil": null, "a list": list(flat(3, 4)),
		"a map": dict(), "chunked itself": chunkedPair(), "bytes": bin([]byte{3, 4}), "a numpy scalar": ext(3, list(list(), str("float16"), bin([]byte{3, 4}))),
	} {
		rows = append(rows, within("chunk is "+name, chunked(truth, shape, dict(zero, flat(1, 2), str("1"), c)), c, refusal.ErrMalformed))
	}
	object := array(list(one), "object", 3, 4)
	rows = append(rows,
		within("chunk is of objects", chunked(truth, shape, dict(zero, object)), str("object"), refusal.ErrUnsupported))
	whole("no chunk at all", chunked(truth, shape, dict()))
	whole("no chunk for nothing", chunked(truth, dict(zero, []byte{0}), dict()))
	whole("too few elements", chunked(truth, shape, dict(zero, flat(1, 2))))
	whole("too many elements", chunked(truth, shape, dict(zero, flat(1, 2), str("1"), flat(3, 4, 5, 6))))
	whole("shape overflows", chunked(truth, dict(zero, number(1<<32), str("1"), number(1<<32)), good))
	whole("no shape, two elements", chunked(truth, dict(), good))
	refusaltest.Run(t, rows, read)
}

func TestBadChunkedRank(t *testing.T) {
	shape := []byte{0xde, 0, 33}
	for i := range 33 {
		shape = cat(shape, str(strconv.Itoa(i)), one)
	}
	value := chunked(truth, shape, dict(str("0"), flat(1, 2)))
	refusaltest.Run(t, []refusaltest.Bad{within("33 dimensions", value, str("shape"), refusal.ErrMalformed)}, read)
}

// mustRead reads a checkpoint and requires that it is valid.
func mustRead(t testing.TB, b []byte) *flax.File {
	t.Helper()
	f, err := refusaltest.Read(t, b, flax.Read)
	require.NoError(t, err)
	return f
}
