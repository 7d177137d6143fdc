package flax_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

// The functions below are a msgpack encoder. It uses the widest lengths, except
// for short lists, maps and strings.

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
func list(items ...[]byte) []byte {
	return cat(append([][]byte{{0x90 | byte(len(items))}}, items...)...)
}
func dict(pairs ...[]byte) []byte {
	return cat(append([][]byte{{0x80 | byte(len(pairs)/2)}}, pairs...)...)
}
func str(s string) []byte        { return cat([]byte{0xa0 | byte(len(s))}, []byte(s)) }
func bin(parts ...[]byte) []byte { return cat(head(0xc6, len(cat(parts...))), cat(parts...)) }
func ext(t byte, body ...[]byte) []byte {
	return cat(head(0xc9, len(cat(body...))), []byte{t}, cat(body...))
}

func head(mark byte, n int) []byte {
	return binary.BigEndian.AppendUint32([]byte{mark}, uint32(n))
}

// greatest returns a head with the length 2^32-1.
func greatest(mark byte) []byte { return []byte{mark, 0xff, 0xff, 0xff, 0xff} }

// strs returns a list of strings.
func strs(s ...string) []byte {
	items := make([][]byte, len(s))
	for i := range s {
		items[i] = str(s[i])
	}
	return list(items...)
}

// array returns an ext of type 1. shape is an encoded list.
func array(shape []byte, dt string, data ...byte) []byte {
	return ext(1, list(shape, str(dt), bin(data)))
}

// record returns a record of a stream with the key "x".
func record(value ...[]byte) []byte { return keyed("x", value...) }

func keyed(key string, value ...[]byte) []byte { return list(strs(key), bin(value...)) }

var (
	one   = []byte{1}
	two   = []byte{2}
	truth = []byte{0xc3}
	null  = []byte{0xc0}
	pair  = array(list(two), "float16", 1, 2, 3, 4)
)

func read(b []byte) error {
	_, err := flax.Read(bytes.NewReader(b), int64(len(b)))
	return err
}

// bad returns a row.
func bad(name string, input []byte, kind error, offset int, tensor string) refusaltest.Bad {
	return refusaltest.Bad{Name: name, Bytes: input, Kind: kind, Offset: int64(offset), Tensor: tensor}
}

// at returns a row for an input whose error has the offset of where in it.
func at(name string, input, where []byte, kind error, tensor string) refusaltest.Bad {
	return bad(name, input, kind, bytes.Index(input, where), tensor)
}

// within returns a row for the value of a record.
func within(name string, value, where []byte, kind error) refusaltest.Bad {
	return at(name, record(value), where, kind, "x")
}

func TestBadLengths(t *testing.T) {
	var rows []refusaltest.Bad
	for mark, name := range map[byte]string{0xdd: "array32", 0xdf: "map32", 0xdb: "str32", 0xc6: "bin32", 0xc9: "ext32"} {
		huge := greatest(mark)
		first := at(name, huge, huge, io.ErrUnexpectedEOF, "")
		inside := within(name+" in a record", huge, huge, io.ErrUnexpectedEOF)
		if mark == 0xc9 { // the type of the ext is missing too
			first.Offset += 5
			inside.Offset += 5
			huge = append(huge, 1)
			rows = append(rows, at(name+" with a type", huge, huge, io.ErrUnexpectedEOF, ""))
			rows = append(rows, within(name+" with a type in a record", huge, huge, io.ErrUnexpectedEOF))
		}
		rows = append(rows, first, inside,
			at(name+" in a map", dict(str("a"), dict(str("k"), huge)), huge, io.ErrUnexpectedEOF, "a/k"),
			at(name+" as a key", dict(huge, one), huge, io.ErrUnexpectedEOF, ""),
			at(name+" as a record", cat(record(pair), huge), huge, io.ErrUnexpectedEOF, ""))
	}
	for _, cut := range []struct {
		name  string
		bytes []byte
		at    int
	}{
		{"array16", []byte{0xdc, 0xff, 0xff}, 0}, {"map16", []byte{0xde, 0xff, 0xff}, 0}, {"map16 of half the bytes", []byte{0xde, 0, 2, 0, 0, 0}, 0},
		{"bin8", []byte{0xc4, 1}, 0}, {"bin16", []byte{0xc5, 0, 1}, 0}, {"str8", []byte{0xd9, 1}, 0}, {"str16", []byte{0xda, 0, 1}, 0},
		{"fixstr", []byte{0xa1}, 0}, {"fixarray", []byte{0x91}, 0}, {"fixmap", []byte{0x81, 0}, 0},
		{"ext8", []byte{0xc7, 1, 1}, 0}, {"ext16", []byte{0xc8, 0, 1, 1}, 0}, {"fixext1", []byte{0xd4, 1}, 0}, {"fixext16", []byte{0xd8, 1, 0}, 0},
		{"array32 without its length", []byte{0xdd, 0, 0}, 1}, {"ext8 without a type", []byte{0xc7, 0}, 2}, {"fixext without a type", []byte{0xd4}, 1},
		{"float32", []byte{0xca, 0, 0, 0}, 1}, {"float64", []byte{0xcb, 0}, 1}, {"uint64", []byte{0xcf, 0}, 1}, {"int8", []byte{0xd0}, 1},
	} {
		rows = append(rows,
			bad(cut.name, cut.bytes, io.ErrUnexpectedEOF, cut.at, ""),
			bad(cut.name+" in a record", record(cut.bytes), io.ErrUnexpectedEOF, 9+cut.at, "x"))
	}
	refusaltest.Run(t, rows, read)
}

func TestBadNesting(t *testing.T) {
	const deep = 100_000
	lists, maps := bytes.Repeat([]byte{0x91}, deep), bytes.Repeat(cat([]byte{0x81}, str("a")), deep)
	names := "a" + string(bytes.Repeat([]byte("/a"), 64))
	begin := 9 // the offset of the value of a record
	refusaltest.Run(t, []refusaltest.Bad{
		bad("lists", lists, refusal.ErrMalformed, 0, ""),
		bad("pairs", bytes.Repeat([]byte{0x92}, deep), refusal.ErrMalformed, 2, ""),
		bad("lists in a record", record(lists), refusal.ErrMalformed, begin+65, "x"),
		bad("maps", maps, refusal.ErrMalformed, 3*65, names),
		bad("maps in a record", record(maps), refusal.ErrMalformed, begin+3*65, "x/"+names),
		bad("lists in a map", cat(dict(str("k"), nil), lists), refusal.ErrMalformed, 3+64, "k"),
		bad("lists in a key", dict(lists, one), refusal.ErrMalformed, 1, ""),
		bad("lists in an array", record(ext(1, lists)), refusal.ErrMalformed, begin+6, "x"),
		bad("lists in a shape", record(ext(1, cat([]byte{0x93}, lists))), refusal.ErrMalformed, begin+8, "x"),
	}, read)
}

func TestBadTokens(t *testing.T) {
	never, invalid := []byte{0xc1}, []byte{0xa2, 'a', 0xff}
	refusaltest.Run(t, []refusaltest.Bad{
		at("empty file", nil, nil, io.ErrUnexpectedEOF, ""),
		at("0xc1", never, never, refusal.ErrMalformed, ""),
		at("0xc1 as a key path", list(never, bin(pair)), never, refusal.ErrMalformed, ""),
		at("0xc1 in a key path", list(list(never), bin(pair)), never, refusal.ErrMalformed, ""),
		at("0xc1 as a record's bytes", list(strs("x"), never), never, refusal.ErrMalformed, "x"),
		within("0xc1 as a value", never, never, refusal.ErrMalformed),
		within("0xc1 in a list", list(one, never), never, refusal.ErrMalformed),
		at("0xc1 as a map's key", dict(never, one), never, refusal.ErrMalformed, ""),
		at("0xc1 as a map's value", dict(str("k"), never), never, refusal.ErrMalformed, "k"),
		within("0xc1 as a shape", ext(1, list(never, str("float16"), bin())), never, refusal.ErrMalformed),
		within("0xc1 as a dimension", array(list(never), "float16"), never, refusal.ErrMalformed),
		within("0xc1 as a dtype", ext(1, list(list(), never, bin())), never, refusal.ErrMalformed),
		within("0xc1 as an array's bytes", ext(1, list(list(), str("float16"), never)), never, refusal.ErrMalformed),
		at("key path not UTF-8", list(list(invalid), bin(pair)), invalid, refusal.ErrMalformed, ""),
		at("map's key not UTF-8", dict(invalid, one), invalid, refusal.ErrMalformed, ""),
		at("inner map's key not UTF-8", dict(str("k"), dict(invalid, one)), invalid, refusal.ErrMalformed, "k"),
		at("text not UTF-8", dict(str("k"), invalid), invalid, refusal.ErrMalformed, "k"),
		within("text not UTF-8 in a record", invalid, invalid, refusal.ErrMalformed),
		within("dtype not UTF-8", ext(1, list(list(), invalid, bin())), invalid, refusal.ErrMalformed),
		at("root is a number", one, one, refusal.ErrMalformed, ""),
		at("root is nil", null, null, refusal.ErrMalformed, ""),
		at("root is text", str("x"), str("x"), refusal.ErrMalformed, ""),
		at("root is bytes", bin(pair), bin(pair), refusal.ErrMalformed, ""),
		at("root is an array", pair, pair, refusal.ErrMalformed, ""),
	}, read)
}

func TestBadKeys(t *testing.T) {
	var rows []refusaltest.Bad
	for name, key := range map[string][]byte{
		"number": {7}, "negative": {0xff}, "nil": {0xc0}, "true": {0xc3}, "float": {0xca, 0, 0, 0, 0}, "bytes": bin([]byte("k")), "list": list(str("k")),
		"map": dict(str("k"), one), "ext": ext(1, str("k")),
	} {
		rows = append(rows,
			at(name+" in a map", dict(key, one), key, refusal.ErrMalformed, ""),
			at(name+" in an inner map", dict(str("a"), dict(key, one)), key, refusal.ErrMalformed, "a"),
			at(name+" in a key path", list(list(key), bin(pair)), key, refusal.ErrMalformed, ""),
			at(name+" second in a key path", list(list(str("a"), key), bin(pair)), key, refusal.ErrMalformed, ""),
			within(name+" as a dtype", ext(1, list(list(), key, bin())), key, refusal.ErrMalformed))
	}
	a, b := str("a"), str("b")
	second := func(name string, input []byte, offset int, tensor string) refusaltest.Bad {
		return bad(name, input, refusal.ErrMalformed, offset, tensor)
	}
	size := len(record(pair))
	rows = append(rows,
		second("twice in a stream", cat(record(pair), record(pair)), size+1, "x"),
		second("twice in a stream, far apart", cat(record(pair), keyed("y", pair), record(one)), 2*size+1, "x"),
		second("twice in a stream, as a path", cat(list(strs("a", "b"), bin(one)), keyed("a/b", one)), len(list(strs("a", "b"), bin(one)))+1, "a/b"),
		second("twice in a stream, in a record's map", cat(list(strs("a", "b"), bin(one)), keyed("a", dict(b, one))), len(list(strs("a", "b"), bin(one)))+10, "a/b"),
		second("twice in a map", dict(a, one, a, two), 4, "a"),
		second("twice in an inner map", dict(b, dict(a, one, a, two)), 7, "b/a"),
		second("twice by a slash", dict(str("a/b"), one, a, dict(b, one)), 9, "a/b"),
	)
	refusaltest.Run(t, rows, read)
	require.NoError(t, read(dict(a, dict(b, one), b, dict(b, two))), "two maps may have the same key")
}

func TestBadRecords(t *testing.T) {
	x, value := strs("x"), bin(pair)
	good := record(pair)
	end := len(good)
	first := func(name string, b []byte) refusaltest.Bad { return at(name, b, b, refusal.ErrMalformed, "") }
	refusaltest.Run(t, []refusaltest.Bad{
		first("no items", list()),
		first("one item", list(x)),
		first("three items", list(x, value, value)),
		at("key path is text", list(str("x"), value), str("x"), refusal.ErrMalformed, ""),
		at("key path is a map", list(dict(str("x"), one), value), dict(str("x"), one), refusal.ErrMalformed, ""),
		at("key path is nil", list(null, value), null, refusal.ErrMalformed, ""),
		at("value is an array", list(x, pair), pair, refusal.ErrMalformed, "x"),
		at("value is text", list(x, str("v")), str("v"), refusal.ErrMalformed, "x"),
		at("value is a map", list(x, dict(str("v"), one)), dict(str("v"), one), refusal.ErrMalformed, "x"),
		at("value is nil", list(x, null), null, refusal.ErrMalformed, "x"),
		at("value and key path exchanged", list(value, x), value, refusal.ErrMalformed, ""),
		bad("no value in the bytes", record(), io.ErrUnexpectedEOF, 9, "x"),
		bad("bytes after the value", record(pair, one), refusal.ErrMalformed, end, "x"),
		bad("two values", record(one, two), refusal.ErrMalformed, 10, "x"),
		bad("a number follows", cat(good, one), refusal.ErrMalformed, end, ""),
		bad("NUL follows", cat(good, []byte{0}), refusal.ErrMalformed, end, ""),
		bad("a map follows", cat(good, dict()), refusal.ErrMalformed, end, ""),
		bad("a list of three follows", cat(good, list(one, one, one)), refusal.ErrMalformed, end, ""),
		bad("0x92 follows", cat(good, []byte{0x92}), io.ErrUnexpectedEOF, end, ""),
		bad("half a record follows", cat(good, list(strs("y"), head(0xc6, 1))), io.ErrUnexpectedEOF, end+4, "y"),
		bad("bytes follow a map", cat(dict(str("x"), pair), one), refusal.ErrMalformed, len(pair)+3, ""),
		bad("a record follows a map", cat(dict(), good), refusal.ErrMalformed, 1, ""),
		bad("a map follows a map", cat(dict(), dict()), refusal.ErrMalformed, 1, ""),
	}, read)
}

// stream returns n records of several kilobytes in total, and the offsets of
// their ends.
func stream(n int) (whole []byte, ends map[int]int) {
	ends = map[int]int{}
	for i := range n {
		data := bytes.Repeat([]byte{byte(i)}, 100*i)
		shape := cat([]byte{0x91, 0xcd}, binary.BigEndian.AppendUint16(nil, uint16(50*i)))
		whole = append(whole, keyed(fmt.Sprint("layer", i), array(shape, "float16", data...))...)
		ends[len(whole)] = i + 1
	}
	return whole, ends
}

func TestEveryPrefixOfAStream(t *testing.T) {
	whole, ends := stream(6)
	for n := range len(whole) + 1 {
		f, err := flax.Read(bytes.NewReader(whole[:n]), int64(n))
		if records, boundary := ends[n]; boundary {
			require.NoError(t, err, "%d bytes", n)
			require.True(t, f.Stream)
			require.Len(t, f.Tensors, records)
			continue
		}
		e := refusaltest.Refused(t, err, io.ErrUnexpectedEOF)
		require.LessOrEqual(t, e.Offset, int64(n))
	}
}

func TestEveryPrefixOfAMap(t *testing.T) {
	whole := dict(str("params"), dict(str("x"), pair, str("y"), chunkedPair()), str("step"), []byte{0xcd, 1, 0}, str("empty"), dict())
	require.NoError(t, read(whole))
	for n := range whole {
		refusaltest.Refused(t, read(whole[:n]), io.ErrUnexpectedEOF)
	}
	for c := range 256 {
		e := refusaltest.Refused(t, read(append(whole, byte(c))), refusal.ErrMalformed)
		require.EqualValues(t, len(whole), e.Offset)
	}
}

func TestCut(t *testing.T) {
	whole, _ := stream(6)
	last := int64(bytes.Index(whole, []byte("layer5")))
	for _, n := range []int{1, 500} {
		e := refusaltest.Refused(t, read(whole[:len(whole)-n]), io.ErrUnexpectedEOF)
		require.Equal(t, last+6, e.Offset, "the record announces its bytes at this offset")
		require.Equal(t, "layer5", e.Tensor)
	}
	e := refusaltest.Refused(t, read(whole[:len(whole)-1013]), io.ErrUnexpectedEOF)
	require.Equal(t, "layer3", e.Tensor)

	single := dict(str("a"), whole[last+11:])
	require.NoError(t, read(single))
	for _, n := range []int{1, 500} {
		refusaltest.Refused(t, read(single[:len(single)-n]), io.ErrUnexpectedEOF)
	}
}
