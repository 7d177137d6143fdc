package parquet

import (
	"encoding/binary"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal"
)

// The functions below encode Thrift's compact protocol, valid or not.

type part struct {
	id   int16
	kind byte
	data []byte
}

func uv(n uint64) []byte { return binary.AppendUvarint(nil, n) }

func zz(n int64) []byte { return uv(uint64(n<<1) ^ uint64(n>>63)) }

func i32(id int16, n int64) part { return part{id, thriftI32, zz(n)} }
func i64(id int16, n int64) part { return part{id, thriftI64, zz(n)} }
func bin(id int16, s string) part {
	return part{id, thriftBinary, append(uv(uint64(len(s))), s...)}
}
func sub(id int16, parts ...part) part { return part{id, thriftStruct, structure(parts...)} }
func list(id int16, kind byte, items ...[]byte) part {
	out := append([]byte{0xf0 | kind}, uv(uint64(len(items)))...)
	for _, item := range items {
		out = append(out, item...)
	}
	return part{id, thriftList, out}
}

func structure(parts ...part) (out []byte) {
	for _, p := range parts {
		out = append(append(append(out, p.kind), zz(int64(p.id))...), p.data...)
	}
	return append(out, 0)
}

// testFile describes a file of one column whose parts may be invalid.
type testFile struct {
	schema     [][]byte
	page       []part // of the page header
	data       []byte
	typ, codec int64
	values     int64
	rows       int64
	start      int64 // 0 means: the actual start
	size       int64 // 0 means: the actual size
	dict       int64
	more       []byte // pages after the first
	footer     func([]byte) []byte
}

// element returns a SchemaElement.
func element(name string, typ, repetition, children int64, more ...part) []byte {
	var parts []part
	if typ >= 0 {
		parts = append(parts, i32(1, typ))
	}
	parts = append(parts, i32(3, repetition), bin(4, name))
	if children > 0 {
		parts = append(parts, i32(5, children))
	}
	return structure(append(parts, more...)...)
}

func (m testFile) file() []byte {
	out := []byte(Magic)
	page := append(append(structure(m.page...), m.data...), m.more...)
	start, size := int64(len(out)), int64(len(page))
	out = append(out, page...)
	if m.start != 0 {
		start = m.start
	}
	if m.size != 0 {
		size = m.size
	}
	chunk := structure(sub(3, i32(1, m.typ), i32(4, m.codec), i64(5, m.values), i64(7, size), i64(9, start), i64(11, m.dict)))
	footer := structure(i32(1, 1), list(2, thriftStruct, m.schema...), i64(3, m.rows),
		list(4, thriftStruct, structure(list(1, thriftStruct, chunk), i64(3, m.rows))))
	if m.footer != nil {
		footer = m.footer(footer)
	}
	out = append(out, footer...)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(footer))), Magic...)
}

var oneText = [][]byte{element("schema", -1, 0, 1), element("a", typeByteArray, required, 0)}

// good returns a valid file of one required text.
func good() testFile {
	data := []byte("\x02\x00\x00\x00hi")
	return testFile{schema: oneText, typ: typeByteArray, values: 1, rows: 1, data: data,
		page: []part{i32(1, pageData), i32(2, 6), i32(3, 6), sub(5, i32(1, 1), i32(2, encPlain), i32(3, encRLE), i32(4, encRLE))}}
}

func (m testFile) with(f func(*testFile)) testFile { f(&m); return m }

// pageOf changes the page header, and ofData the page too.
func pageOf(size, packed, values, encoding int64) func(*testFile) {
	return func(m *testFile) {
		m.page = []part{i32(1, pageData), i32(2, size), i32(3, packed), sub(5, i32(1, values), i32(2, encoding))}
	}
}

func ofData(encoding int64, values int64, data string) func(*testFile) {
	return func(m *testFile) {
		pageOf(int64(len(data)), int64(len(data)), values, encoding)(m)
		m.data, m.values, m.rows = []byte(data), values, values
	}
}

var optionalText = [][]byte{element("schema", -1, 0, 1), element("a", typeByteArray, optional, 0)}

// deep returns a schema of nested groups.
func deep() [][]byte {
	list := [][]byte{element("schema", -1, 0, 1)}
	for range maxDepth + 1 {
		list = append(list, element("g", -1, 0, 1))
	}
	return append(list, oneText[1])
}

// badFiles maps names to changes of a valid file that make it invalid, and the
// expected errors.
var badFiles = map[string]struct {
	change func(*testFile)
	kind   error
	text   string
}{
	"rows more than there are":   {func(m *testFile) { m.rows = 2 }, refusal.ErrMalformed, "different number of rows"},
	"rows less than there are":   {func(m *testFile) { m.rows = 0; m.values = 0 }, nil, ""},
	"values more than there are": {func(m *testFile) { m.values = 2; m.rows = 2 }, io.ErrUnexpectedEOF, "1 values of the column are missing"},
	"2^62 rows":                  {func(m *testFile) { m.rows = 1 << 62 }, refusal.ErrMalformed, "row group"},
	"2^40 rows and values":       {func(m *testFile) { m.rows = 1 << 40; m.values = 1 << 40 }, io.ErrUnexpectedEOF, "missing"},
	"negative rows":              {func(m *testFile) { m.rows = -1 }, refusal.ErrMalformed, "negative"},
	"a page of 2 GiB":            {pageOf(math.MaxInt32, 6, 1, encPlain), refusal.ErrMalformed, "at most"},
	"a page of 128 MiB":          {pageOf(maxPage, 6, 1, encPlain), refusal.ErrMalformed, "6 bytes, but 134217728 were announced"},
	"packed of 2 GiB":            {pageOf(6, math.MaxInt32, 1, encPlain), io.ErrUnexpectedEOF, "2147483647"},
	"negative page":              {pageOf(-1, 6, 1, encPlain), refusal.ErrMalformed, "-1"},
	"values of a page":           {pageOf(6, 6, math.MaxInt32, encPlain), refusal.ErrMalformed, "2147483647 values"},
	"invalid gzip":               {func(m *testFile) { m.codec = codecGzip }, refusal.ErrMalformed, "damaged"},
	"invalid zstd":               {func(m *testFile) { m.codec = codecZstd }, refusal.ErrMalformed, "damaged"},
	"invalid snappy":             {func(m *testFile) { m.codec = codecSnappy }, refusal.ErrMalformed, "snappy"},
	"snappy of 128 MiB": {func(m *testFile) {
		ofData(encPlain, 1, "\x80\x80\x80\x40xx")(m)
		m.page[1] = i32(2, maxPage)
		m.codec = codecSnappy
	}, refusal.ErrMalformed, "snappy"},
	"zstd of 128 MiB": {func(m *testFile) {
		ofData(encPlain, 1, "\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x08\x01\x00\x00")(m)
		m.page[1] = i32(2, maxPage)
		m.codec = codecZstd
	}, refusal.ErrMalformed, ""},
	"an unknown codec":          {func(m *testFile) { m.codec = 77 }, refusal.ErrUnsupported, "unknown"},
	"Brotli":                    {func(m *testFile) { m.codec = 4 }, refusal.ErrUnsupported, "Brotli"},
	"no codec":                  {func(m *testFile) { m.codec = -1 }, refusal.ErrMalformed, "-1"},
	"column past the end":       {func(m *testFile) { m.start = 1 << 40 }, refusal.ErrMalformed, "exceed the file of"},
	"column of 2^62 bytes":      {func(m *testFile) { m.size = 1 << 62 }, refusal.ErrMalformed, "exceed the file of"},
	"column into the footer":    {func(m *testFile) { m.size = 100; m.values = 9; m.rows = 9 }, refusal.ErrMalformed, "type 9, want 5"},
	"another type":              {func(m *testFile) { m.typ = typeInt64 }, refusal.ErrMalformed, "type"},
	"a text longer than a page": {ofData(encPlain, 1, "\xff\xff\xff\xffhi"), io.ErrUnexpectedEOF, "4294967295"},
	"half a length":             {ofData(encPlain, 1, "\x01\x00"), io.ErrUnexpectedEOF, "fewer values"},
	"no dictionary":             {ofData(encRLEDictionary, 1, "\x01\x02\x00"), refusal.ErrMalformed, "no dictionary page"},
	"a wide dictionary":         {func(m *testFile) { ofData(encRLEDictionary, 1, "\x28\x02\x00")(m); m.values = 1 }, refusal.ErrMalformed, "dictionary"},
	"an unknown encoding":       {ofData(99, 1, "x"), refusal.ErrUnsupported, "encoding 99"},
	"deltas of text":            {ofData(encDeltaBinary, 1, "x"), refusal.ErrUnsupported, "encoding 5"},
	"delta blocks of 2^60":      {ofData(encDeltaLength, 1, "\x80\x80\x80\x80\x80\x80\x80\x80\x10\x01\x01\x00"), refusal.ErrMalformed, "blocks"},
	"delta lengths of 2^60":     {ofData(encDeltaLength, 1, "\x80\x01\x04\x80\x80\x80\x80\x80\x80\x80\x80\x10\x00"), refusal.ErrMalformed, "lengths"},
	"delta of no block":         {ofData(encDeltaLength, 1, "\x00\x01\x01\x00"), refusal.ErrMalformed, "blocks"},
	"delta text too long":       {ofData(encDeltaLength, 1, "\x80\x01\x04\x01\x10x"), io.ErrUnexpectedEOF, "8 bytes"},
	"delta prefix":              {ofData(encDeltaBytes, 1, "\x80\x01\x04\x01\x02\x80\x01\x04\x01\x02x"), refusal.ErrMalformed, "shares 1 bytes with a text of 0 bytes"},
	"levels longer than a page": {func(m *testFile) {
		ofData(encPlain, 1, "\xff\xff\x00\x00x")(m)
		m.schema = optionalText
	}, io.ErrUnexpectedEOF, "left in the page"},
	"a level too high": {func(m *testFile) {
		data := "\x02\x00\x00\x00\x02\x03"
		ofData(encPlain, 1, data)(m)
		m.schema = optionalText
	}, refusal.ErrMalformed, "the level 3"},
	"no levels": {func(m *testFile) {
		ofData(encPlain, 1, "\x00\x00\x00\x00")(m)
		m.schema = optionalText
	}, io.ErrUnexpectedEOF, "fewer"},
	"no schema":        {func(m *testFile) { m.schema = nil }, refusal.ErrMalformed, "schema"},
	"schema too short": {func(m *testFile) { m.schema = [][]byte{element("s", -1, 0, 2), oneText[1]} }, refusal.ErrMalformed, "too early"},
	"schema too long":  {func(m *testFile) { m.schema = append(oneText[:2:2], oneText[1]) }, refusal.ErrMalformed, "in no group"},
	"schema too deep":  {func(m *testFile) { m.schema = deep() }, refusal.ErrMalformed, "deep"},
	"2^31 children":    {func(m *testFile) { m.schema = [][]byte{element("s", -1, 0, math.MaxInt32), oneText[1]} }, refusal.ErrMalformed, "too early"},
	"two of a name":    {func(m *testFile) { m.schema = [][]byte{element("s", -1, 0, 2), oneText[1], oneText[1]} }, refusal.ErrMalformed, "two columns"},
	"an empty group":   {func(m *testFile) { m.schema = [][]byte{element("s", -1, 0, 1), element("g", -1, 0, 0)} }, refusal.ErrMalformed, "empty"},
	"a list of nothing": {func(m *testFile) {
		m.schema = [][]byte{element("s", -1, 0, 1), element("g", -1, 0, 1, i32(6, 3)), oneText[1]}
	}, refusal.ErrMalformed, "one child"},
	"a repetition": {func(m *testFile) { m.schema = [][]byte{oneText[0], element("a", typeByteArray, 3, 0)} }, refusal.ErrMalformed, "repetition 3"},
	"a type":       {func(m *testFile) { m.schema, m.typ = [][]byte{oneText[0], element("a", 9, 0, 0)}, 9 }, refusal.ErrUnsupported, "neither text"},
	"INT96":        {func(m *testFile) { m.schema, m.typ = [][]byte{oneText[0], element("a", typeInt96, 0, 0)}, typeInt96 }, refusal.ErrUnsupported, "neither text"},
	"a column more": {func(m *testFile) {
		m.schema = [][]byte{element("s", -1, 0, 2), oneText[1], element("b", typeByteArray, required, 0)}
	}, refusal.ErrMalformed, "1 columns, but the schema has 2"},
	"a name": {func(m *testFile) { m.schema = [][]byte{oneText[0], element("\xff", typeByteArray, required, 0)} }, refusal.ErrMalformed, "UTF-8"},
	"footer: 2^60 elements": {func(m *testFile) {
		m.footer = func([]byte) []byte { return append([]byte{thriftList, 4, 0xfc}, uv(1<<60)...) }
	}, io.ErrUnexpectedEOF, "announced"},
	"footer: nested lists": {func(m *testFile) {
		m.footer = func([]byte) []byte {
			out := []byte{thriftList, 20}
			for range 100000 {
				out = append(out, 0x19)
			}
			return out
		}
	}, refusal.ErrMalformed, "deep"},
	"footer: nested structs": {func(m *testFile) {
		m.footer = func([]byte) []byte {
			out := []byte{thriftStruct, 20}
			for range 100000 {
				out = append(out, 0x1c)
			}
			return out
		}
	}, refusal.ErrMalformed, "deep"},
	"footer: a long number": {func(m *testFile) {
		m.footer = func([]byte) []byte { return []byte("\x05\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") }
	}, refusal.ErrMalformed, "64 bits"},
	"footer: empty":      {func(m *testFile) { m.footer = func([]byte) []byte { return nil } }, io.ErrUnexpectedEOF, ""},
	"footer: one column": {func(m *testFile) { m.footer = func(b []byte) []byte { return b[:len(b)-2] } }, io.ErrUnexpectedEOF, ""},
	"a wrong checksum": {func(m *testFile) {
		m.page = append(m.page[:3:3], i32(4, 7), m.page[3])
	}, refusal.ErrMalformed, "checksum"},
	"a page header of nothing": {func(m *testFile) { m.page = nil }, refusal.ErrMalformed, "kind -1"},
}

// TestBad checks the kind and the text of each error.
func TestBad(t *testing.T) {
	one, err := rows(t, good().file(), RowOptions{}, 0)
	require.NoError(t, err)
	require.Equal(t, []string{`{"a": "hi"}`}, one)
	for name, c := range badFiles {
		list, err := rows(t, good().with(c.change).file(), RowOptions{}, 0)
		if c.kind == nil {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, c.kind, "%s: %v %v", name, err, list)
		require.ErrorContains(t, err, c.text, name)
	}
}

// TestEnds reads files that consist of little more than the magic.
func TestEnds(t *testing.T) {
	for text, kind := range map[string]error{
		"": io.ErrUnexpectedEOF, "PAR1": io.ErrUnexpectedEOF, "PAR1PAR1": io.ErrUnexpectedEOF, "PAR1\x00\x00\x00\x00PARE": refusal.ErrUnsupported,
		"PAR1\xff\xff\xff\xffPAR1": refusal.ErrMalformed, "PAR1\x01\x00\x00\x00PAR1": refusal.ErrMalformed, "PAR1\x01\x00\x00\x00RAP1": io.ErrUnexpectedEOF,
	} {
		_, err := rows(t, []byte(text), RowOptions{}, 0)
		require.ErrorIs(t, err, kind, "%q", text)
	}
}

// TestBadValues checks that rows after an invalid value can be read.
func TestBadValues(t *testing.T) {
	m := good()
	m.data = []byte("\x02\x00\x00\x00\xffx\x02\x00\x00\x00hi")
	m.values, m.rows = 2, 2
	m.page = []part{i32(1, pageData), i32(2, 12), i32(3, 12), sub(5, i32(1, 2), i32(2, encPlain))}
	first, second := readTwo(t, m)
	require.ErrorContains(t, first, "not UTF-8")
	require.NoError(t, second)
	m.schema, m.typ = [][]byte{oneText[0], element("a", typeFloat, required, 0)}, typeFloat
	m.data = []byte("\x00\x00\xc0\x7f\x00\x00\x80\x3f1234")
	first, second = readTwo(t, m)
	require.ErrorContains(t, first, "NaN")
	require.NoError(t, second)
}

func readTwo(t *testing.T, m testFile) (first, second error) {
	t.Helper()
	f, err := Open(reader(m.file()))
	require.NoError(t, err)
	r, err := f.Rows(RowOptions{})
	require.NoError(t, err)
	_, first, err = r.Next(nil)
	require.NoError(t, err)
	_, second, err = r.Next(nil)
	require.NoError(t, err)
	return first, second
}
