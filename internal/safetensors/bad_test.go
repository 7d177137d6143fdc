package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/safetensors"
)

// file returns a file with the given header and data bytes of data.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for i := range data {
		b = append(b, byte(i))
	}
	return b
}

// length returns a file that consists of a header length and rest.
func length(n uint64, rest string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, n), rest...)
}

// entryOf returns one entry of a header.
func entryOf(name, dt, shape string, begin, end int) string {
	return fmt.Sprintf(`"%s":{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, name, dt, shape, begin, end)
}

func read(b []byte) error {
	_, err := safetensors.Read(bytes.NewReader(b), int64(len(b)))
	return err
}

// mark marks the offset of the expected error in a header.
const mark = "¦"

// row returns a row for a header that contains a mark.
func row(name, header string, data int, kind error, tensor string) refusaltest.Bad {
	at := strings.Index(header, mark)
	return refusaltest.Bad{
		Name: name, Bytes: file(strings.Replace(header, mark, "", 1), data),
		Kind: kind, Offset: 8 + int64(at), Tensor: tensor,
	}
}

// in returns a row for a header with a single entry, of tensor "a", and four
// bytes of data.
func in(name, entry string) refusaltest.Bad {
	return row(name, `{"a":`+entry+`}`, 4, refusal.ErrMalformed, "a")
}

// raw returns a row for the bytes of a file.
func raw(name string, b []byte, kind error, offset int64) refusaltest.Bad {
	return refusaltest.Bad{Name: name, Bytes: b, Kind: kind, Offset: offset}
}

func TestBadLength(t *testing.T) {
	refusaltest.Run(t, []refusaltest.Bad{
		raw("empty", nil, io.ErrUnexpectedEOF, 0),
		raw("7 bytes", make([]byte, 7), io.ErrUnexpectedEOF, 7),
		raw("length 0", length(0, ""), refusal.ErrMalformed, 8),
		raw("length 0 before a header", length(0, "{}"), refusal.ErrMalformed, 8),
		raw("length over the file", length(3, "{}"), io.ErrUnexpectedEOF, 0),
		raw("length 100,000,000 over the file", length(100_000_000, "{}"), io.ErrUnexpectedEOF, 0),
		raw("length 100,000,001", length(100_000_001, "{}"), refusal.ErrMalformed, 0),
		raw("length 2^63", length(1<<63, "{}"), refusal.ErrMalformed, 0),
		raw("length 2^64-1", length(1<<64-1, "{}"), refusal.ErrMalformed, 0),
		raw("length 2^64-8", length(1<<64-8, "{}"), refusal.ErrMalformed, 0),
	}, read)
}

func TestBadText(t *testing.T) {
	a := entryOf("a", "F32", "[1]", 0, 4)
	bad := func(name, header string) refusaltest.Bad { return row(name, header, 4, refusal.ErrMalformed, "") }
	refusaltest.Run(t, []refusaltest.Bad{
		bad("name not UTF-8", "{\"¦a\xff\":1}"),
		bad("name not UTF-8 after an escape", "{\"¦\\n\xff\":1}"),
		bad("bytes not UTF-8 outside strings", "{¦\xff}"),
		bad("a surrogate in UTF-8", "{\"¦\xed\xa0\x80\":1}"),
		bad("metadata not UTF-8", "{\"__metadata__\":{\"a\":\"¦\xc3\"},"+a+"}"),
		in("dtype not UTF-8", "{\"dtype\":\"¦\xff\"}"),
		bad("byte order mark", "¦\ufeff{"+a+"}"),
		bad("UTF-16", "¦\xff\xfe{\x00}\x00"),
		bad("leading space", "¦ {"+a+"}"),
		bad("cut after the brace", "{¦"),
		bad("cut in a name", `{"ab¦`),
		bad("cut after a name", `{"a"¦`),
		bad("cut after an entry", `{`+a+`¦`),
		bad("cut after a comma", `{`+a+`,¦`),
		row("cut in an entry", `{"a":{"dtype":"F32"¦`, 4, refusal.ErrMalformed, "a"),
		bad("root is a list", `¦[]`),
		bad("root is null", `¦null`),
		bad("root is a string", `¦"{}"`),
		bad("root is a number", `¦1`),
		bad("NUL padding", "{"+a+"}¦\x00\x00"),
		bad("a second text", `{`+a+`}¦{}`),
		bad("text and a comma", `{`+a+`}¦,`),
		bad("comma before the brace", `{`+a+`,¦}`),
		bad("comment after the text", `{`+a+`}¦// x`),
		bad("comment in the text", `{¦/* x */`+a+`}`),
		bad("lone high surrogate", `{"¦\ud800":1}`),
		bad("lone low surrogate", `{"a¦\udc00":1}`),
		bad("two high surrogates", `{"¦\ud800\ud800":1}`),
		bad("lone surrogate in metadata", `{"__metadata__":{"a":"¦\ud83dx"}}`),
		bad("raw control character", "{\"a¦\x01\":1}"),
		bad("raw newline after an escape", "{\"\\ta¦\n\":1}"),
		bad("unquoted name", `{¦a:1}`),
	}, read)
}

func TestBadObjects(t *testing.T) {
	a := entryOf("a", "U8", "[4]", 0, 4)
	bad := func(name, header string, data int) refusaltest.Bad {
		return row(name, header, data, refusal.ErrMalformed, "")
	}
	refusaltest.Run(t, []refusaltest.Bad{
		in("dtype twice", `{"dtype":"U8",¦"dtype":"U8","shape":[4],"data_offsets":[0,4]}`),
		in("shape twice", `{"dtype":"U8","shape":[4],¦"shape":[4],"data_offsets":[0,4]}`),
		in("data_offsets twice", `{"dtype":"U8","shape":[4],"data_offsets":[0,4],¦"data_offsets":[0,4]}`),
		in("field twice by escape", `{"dtype":"U8","shape":[4],¦"\u0073hape":[4],"data_offsets":[0,4]}`),
		bad("__metadata__ twice", `{"__metadata__":{},`+a+`,¦"__metadata__":{}}`, 4),
		bad("name twice", `{`+a+`,¦`+entryOf("a", "U8", "[4]", 4, 8)+`}`, 8),
		bad("name twice, same range", `{`+a+`,¦`+a+`}`, 4),
		bad("name twice by escape", `{`+a+`,¦`+entryOf(`\u0061`, "U8", "[4]", 4, 8)+`}`, 8),
		bad("name twice, far apart", `{`+a+`,`+zeroSized(20)+`,¦`+a+`}`, 4),
		bad("name twice among many", `{`+a+`,`+zeroSized(20)+`,¦`+entryOf("z7", "U8", "[0]", 4, 4)+`}`, 4),
		bad("metadata is null", `{"__metadata__":¦null,`+a+`}`, 4),
		bad("metadata is a list", `{"__metadata__":¦[],`+a+`}`, 4),
		bad("metadata is a string", `{"__metadata__":¦"pt",`+a+`}`, 4),
		bad("metadata value is a number", `{"__metadata__":{"a":¦1},`+a+`}`, 4),
		bad("metadata value is null", `{"__metadata__":{"a":¦null},`+a+`}`, 4),
		bad("metadata value is an object", `{"__metadata__":{"a":¦{}},`+a+`}`, 4),
		bad("metadata name twice", `{"__metadata__":{"a":"1",¦"a":"1"},`+a+`}`, 4),
		bad("metadata nested 100,000 deep", `{"__metadata__":{"a":¦`+strings.Repeat("[", 100_000)+`}}`, 0),
		in("nested 100,000 deep", `{"shape":[¦`+strings.Repeat("[", 100_000)+`]}`),
		in("objects nested 100,000 deep", strings.Replace(strings.Repeat(`{"a":`, 100_000), `{"a":`, `{"a":¦`, 1)),
		in("entry is null", `¦null`),
		in("entry is a list", `¦[]`),
		in("entry is a string", `¦"U8"`),
		row("second entry is a number", `{`+a+`,"b":¦1}`, 4, refusal.ErrMalformed, "b"),
		in("empty entry", `¦{}`),
		in("no dtype", `¦{"shape":[4],"data_offsets":[0,4]}`),
		in("no shape", `¦{"dtype":"U8","data_offsets":[0,4]}`),
		in("no data_offsets", `¦{"dtype":"U8","shape":[4]}`),
		in("unknown field", `{"dtype":"U8","shape":[4],"data_offsets":[0,4],"extra":¦1}`),
		in("unknown field alone", `{"extra":¦1}`),
		in(`"DTYPE"`, `{"DTYPE":¦"U8","shape":[4],"data_offsets":[0,4]}`),
		in(`"Shape"`, `{"dtype":"U8","Shape":¦[4],"data_offsets":[0,4]}`),
		in("dtype is null", `{"dtype":¦null,"shape":[4],"data_offsets":[0,4]}`),
		in("dtype is a number", `{"dtype":¦8,"shape":[4],"data_offsets":[0,4]}`),
		in("dtype is a list", `{"dtype":¦["U8"],"shape":[4],"data_offsets":[0,4]}`),
		row("second entry is refused", `{`+a+`,"b":¦{}}`, 4, refusal.ErrMalformed, "b"),
	}, read)
}

// blame puts a mark at the start of a tensor's entry.
func blame(entry string) string { return strings.Replace(entry, ":{", ":"+mark+"{", 1) }

// zeroSized returns n entries of tensors without elements, named from "z0", at
// the start of the data.
func zeroSized(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = entryOf(fmt.Sprint("z", i), "U8", "[0]", 0, 0)
	}
	return strings.Join(list, ",")
}

func TestBadDTypes(t *testing.T) {
	var rows []refusaltest.Bad
	for _, dt := range []string{"", "f32", "u8", "bf16", "F128", "F8", "float16", "U8 ", "BOOLEAN", "I4"} {
		header := "{" + blame(entryOf("a", dt, "[4]", 0, 4)) + "}"
		rows = append(rows, row("dtype "+dt, header, 4, refusal.ErrUnsupported, "a"))
	}
	refusaltest.Run(t, rows, read)
}

func TestBadNumbers(t *testing.T) {
	var rows []refusaltest.Bad
	for _, dim := range []string{
		"¦-4", "¦-0", "4¦.0", "4¦e0", "4¦E0", `¦"4"`, "¦null", "¦true", "¦[4]", "¦04", "¦+4",
		"¦18446744073709551616", "¦18446744073709551615", "¦9223372036854775808", "4 ¦4", "4,¦", "¦,4",
	} {
		rows = append(rows,
			in("dimension "+dim, `{"dtype":"U8","shape":[`+dim+`],"data_offsets":[0,4]}`),
			in("begin "+dim, `{"dtype":"U8","shape":[4],"data_offsets":[`+dim+`,4]}`),
			in("end "+dim, `{"dtype":"U8","shape":[4],"data_offsets":[0,`+dim+`]}`))
	}
	for _, shape := range []string{"¦4", `¦"4"`, "¦{}", "¦null"} {
		rows = append(rows, in("shape "+shape, `{"dtype":"U8","shape":`+shape+`,"data_offsets":[0,4]}`))
	}
	for _, offsets := range []string{"¦[]", "¦[4]", "¦[0,4,4]", "¦[0,4,8]", "¦[4,0]", "¦[9223372036854775807,0]", "¦4", "¦{}", "¦null"} {
		rows = append(rows, in("offsets "+offsets, `{"dtype":"U8","shape":[4],"data_offsets":`+offsets+`}`))
	}
	refusaltest.Run(t, rows, read)
}

func TestBadSizes(t *testing.T) {
	var rows []refusaltest.Bad
	for _, r := range []struct {
		dtype, shape string
		end          int
	}{
		{"U8", "[3]", 4}, {"U8", "[5]", 4}, {"F32", "[2]", 4}, {"F32", "[]", 8}, {"F32", "[0]", 4}, {"U8", "[4]", 0},
		{"U8", "[4,0]", 4}, {"F4", "[4]", 4}, {"C64", "[1]", 4},
		{"F4", "[1]", 1}, {"F4", "[1]", 0}, {"F6_E2M3", "[3]", 2}, {"F6_E3M2", "[2]", 2},
		{"U8", "[4294967296,4294967296]", 0}, {"U8", "[2,9223372036854775807]", 0},
		{"U8", "[4294967296,4294967296,0]", 0}, {"F64", "[2305843009213693952]", 0}, {"U8", "[4611686018427387904,4]", 4},
		{"U8", "[9223372036854775807]", 4}, {"F4", "[9223372036854775807]", 4},
	} {
		header := "{" + blame(entryOf("a", r.dtype, r.shape, 0, r.end)) + "}"
		rows = append(rows, row(fmt.Sprint(r), header, r.end, refusal.ErrMalformed, "a"))
	}
	refusaltest.Run(t, rows, read)
}

func TestBadRanges(t *testing.T) {
	type list = []string
	var rows []refusaltest.Bad
	for _, r := range []struct {
		name    string
		data    int
		entries list
		tensor  string
	}{
		{"first is not at 0", 6, list{blame(entryOf("a", "U8", "[4]", 2, 6))}, "a"},
		{"zero-sized is not at 0", 0, list{blame(entryOf("a", "U8", "[0]", 5, 5))}, "a"},
		{"far beyond the file", 4, list{entryOf("a", "U8", "[4]", 0, 4), blame(entryOf("b", "U8", "[4]", 1<<30, 1<<30+4))}, "b"},
		{"hole", 10, list{entryOf("a", "U8", "[4]", 0, 4), blame(entryOf("b", "U8", "[4]", 6, 10))}, "b"},
		{"hole, data in another order", 10, list{blame(entryOf("a", "U8", "[4]", 6, 10)), entryOf("b", "U8", "[4]", 0, 4)}, "a"},
		{"overlap", 7, list{entryOf("a", "U8", "[4]", 0, 4), blame(entryOf("b", "U8", "[4]", 3, 7))}, "b"},
		{"inside another", 4, list{entryOf("a", "U8", "[4]", 0, 4), blame(entryOf("b", "U8", "[2]", 1, 3))}, "b"},
		{"beginning of another", 4, list{blame(entryOf("a", "U8", "[4]", 0, 4)), entryOf("b", "U8", "[2]", 0, 2)}, "a"},
		{"alias", 4, list{entryOf("a", "U8", "[4]", 0, 4), blame(entryOf("b", "U8", "[4]", 0, 4))}, "b"},
		{"zero-sized inside another", 4, list{entryOf("a", "U8", "[4]", 0, 4), blame(entryOf("b", "U8", "[0]", 2, 2))}, "b"},
		{"zero-sized after the data", 4, list{entryOf("a", "U8", "[4]", 0, 4), blame(entryOf("b", "U8", "[0]", 5, 5))}, "b"},
	} {
		rows = append(rows, row(r.name, "{"+strings.Join(r.entries, ",")+"}", r.data, refusal.ErrMalformed, r.tensor))
	}
	a := "{" + entryOf("a", "U8", "[4]", 0, 4) + "}"
	end := int64(8 + len(a))
	huge := file(`{"a":{"dtype":"U8","shape":[576460752303423488],"data_offsets":[0,576460752303423488]}}`, 4)
	rows = append(rows,
		raw("one byte follows", file(a, 5), refusal.ErrMalformed, end+4),
		raw("many bytes follow", file(a, 5000), refusal.ErrMalformed, end+4),
		raw("bytes follow no tensors", file("{}", 1), refusal.ErrMalformed, 10),
		raw("one byte short", file(a, 3), io.ErrUnexpectedEOF, end+3),
		raw("no data", file(a, 0), io.ErrUnexpectedEOF, end),
		raw("2^59 bytes short", huge, io.ErrUnexpectedEOF, int64(len(huge))),
	)
	refusaltest.Run(t, rows, read)
}

// small returns a file with metadata and tensors of several kinds.
func small() []byte {
	return file(`{"__metadata__":{"a\n":"\u00e9"},`+entryOf("w", "F16", "[2,3]", 0, 12)+","+
		entryOf("e", "F32", "[0,5]", 12, 12)+","+entryOf("s", "U8", "[]", 12, 13)+"}  ", 13)
}

func TestEveryPrefixIsRefused(t *testing.T) {
	whole := small()
	require.NoError(t, read(whole))
	for n := range whole {
		refusaltest.Refused(t, read(whole[:n]), io.ErrUnexpectedEOF)
	}
}

func TestEveryTrailingByteIsRefused(t *testing.T) {
	whole := small()
	for c := range 256 {
		e := refusaltest.Refused(t, read(append(whole, byte(c))), refusal.ErrMalformed)
		require.EqualValues(t, len(whole), e.Offset)
	}
}

// TestFileShrinks reads files that are shorter than the size given, such as a
// file that is truncated while it is read.
func TestFileShrinks(t *testing.T) {
	whole := small()
	header := len(whole) - 13
	for n := range header {
		_, err := safetensors.Read(bytes.NewReader(whole[:n]), int64(len(whole)))
		refusaltest.Refused(t, err, io.ErrUnexpectedEOF)
	}
}
