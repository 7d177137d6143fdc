// Package parquet reads the rows of Parquet files as JSON objects. It supports
// the part of the format that public data sets use.
//
// Open reads the structure of a file, and File.Rows returns a reader of its
// rows.
//
// Columns hold texts, numbers and booleans, and lists and groups of these,
// nested to any depth. Pages have version 1 or 2, and plain, dictionary or delta
// encoding. They are uncompressed or compressed with snappy, gzip or zstd. Other
// features give refusal.ErrUnsupported.
//
// Rows are read in order. At any time at most one page and one dictionary per
// column are in memory. Each size in a file is compared with the bytes present
// before it is used.
//
// Sources: parquet.thrift, Encodings.md and LogicalTypes.md of
// apache/parquet-format.
package parquet

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
)

// Magic is the first and the last four bytes of a file.
const Magic = "PAR1"

// Error is an error and its position in a file.
type Error struct {
	Group  int    // the row group, counted from 1, or 0 if the error concerns the whole file
	Column string // the column's path joined by dots, or "" if the error concerns no single column
	Err    error  // the reason, which matches a kind of package refusal, or the reader's error
}

// Error returns the reason followed by the position.
func (e *Error) Error() string {
	switch {
	case e.Column != "":
		return fmt.Sprintf("%v: row group %d, column %q", e.Err, e.Group, e.Column)
	case e.Group != 0:
		return fmt.Sprintf("%v: row group %d", e.Err, e.Group)
	}
	return e.Err.Error()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// File is the structure of a Parquet file. It is immutable.
type File struct {
	Groups []Group // in the order of the file

	r      io.ReaderAt
	size   int64   // in bytes
	root   *node   // of the schema
	leaves []*node // the columns, in the order of the schema
}

// Group is a row group.
type Group struct {
	Rows   int64   // the number of rows
	Bytes  int64   // the size of the columns in the file
	chunks []chunk // by column
}

// chunk is the part of a column that belongs to a row group.
type chunk struct {
	codec  int32
	values int64 // number of values
	start  int64 // file offset of the first page
	size   int64 // size of all pages in the file
}

// tail is the size of the end of a file: the length of the footer and the magic.
const tail = 8

// Open reads the structure of a file of size bytes. Errors are *Error values.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size}
	footer, err := f.footer()
	if err == nil {
		err = f.metadata(footer)
	}
	if _, ok := err.(*Error); err != nil && !ok {
		err = &Error{Err: err}
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// footer reads the footer, which holds the structure.
func (f *File) footer() ([]byte, error) {
	var end [tail]byte
	if f.size < int64(len(Magic))+tail {
		return nil, refusal.Reason(io.ErrUnexpectedEOF, "the file of %d bytes is too short for a Parquet file", f.size)
	}
	if err := bounded.ReadFull(f.r, end[:], f.size-tail); err != nil {
		return nil, err
	}
	switch string(end[4:]) {
	case Magic:
	case "PARE":
		return nil, refusal.Reason(refusal.ErrUnsupported, "the Parquet file is encrypted")
	default:
		return nil, refusal.Reason(io.ErrUnexpectedEOF, "the file does not end with the magic %q: it is truncated or not a Parquet file", Magic)
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if n > f.size-tail-int64(len(Magic)) {
		return nil, refusal.Reason(refusal.ErrMalformed, "the footer of %d bytes exceeds the file of %d bytes", n, f.size)
	}
	data := make([]byte, n)
	return data, bounded.ReadFull(f.r, data, f.size-tail-n)
}

// metadata reads a FileMetaData.
func (f *File) metadata(footer []byte) error {
	t := &thrift{data: footer}
	var rows, sum int64
	t.structure(
		field{2, thriftList, func(byte) { f.schema(t) }},
		t.int64(3, &rows),
		t.structs(4, func() { f.group(t) }),
		t.unsupported(8, "the Parquet file is encrypted"),
	)
	for i := range f.Groups {
		sum += f.Groups[i].Rows
	}
	switch {
	case t.err != nil:
		return t.err
	case f.root == nil:
		return refusal.Reason(refusal.ErrMalformed, "the footer has no schema")
	case sum != rows:
		return refusal.Reason(refusal.ErrMalformed, "the file announces %d rows, but its row groups have %d", rows, sum)
	}
	return nil
}

// maxRows is the greatest number of rows of a row group. It keeps sums from
// overflowing.
const maxRows = 1 << 40

// group reads a RowGroup.
func (f *File) group(t *thrift) {
	g := Group{Rows: -1}
	number := len(f.Groups) + 1
	t.structure(
		t.structs(1, func() { f.chunk(t, &g) }),
		t.int64(3, &g.Rows),
	)
	if g.Rows < 0 || g.Rows > maxRows || len(g.chunks) != len(f.leaves) {
		t.malformed("a row group of %d rows has %d columns, but the schema has %d", g.Rows, len(g.chunks), len(f.leaves))
	}
	if t.err != nil {
		if _, ok := t.err.(*Error); !ok {
			t.err = &Error{Group: number, Err: t.err}
		}
		return
	}
	f.Groups = append(f.Groups, g)
}

// chunk reads a ColumnChunk.
func (f *File) chunk(t *thrift, g *Group) {
	if len(g.chunks) >= len(f.leaves) {
		t.malformed("a row group has more columns than the schema, which has %d", len(f.leaves))
		return
	}
	leaf := f.leaves[len(g.chunks)]
	found := false
	t.structure(
		t.unsupported(1, "the column is in another file"),
		field{3, thriftStruct, func(byte) {
			found = true
			f.column(t, g, leaf)
		}},
		t.unsupported(8, "the column is encrypted"),
	)
	if !found {
		t.malformed("the column has no metadata")
	}
	if _, ok := t.err.(*Error); t.err != nil && !ok {
		t.err = &Error{len(f.Groups) + 1, leaf.path(), t.err}
	}
}

// column reads a ColumnMetaData.
func (f *File) column(t *thrift, g *Group, leaf *node) {
	c := chunk{codec: -1, values: -1, start: -1, size: -1}
	typ, dict := int32(-1), int64(0)
	t.structure(
		t.int32(1, &typ),
		t.int32(4, &c.codec),
		t.int64(5, &c.values),
		t.int64(7, &c.size),
		t.int64(9, &c.start),
		t.int64(11, &dict),
	)
	// The dictionary page precedes the data pages. Some writers leave its offset
	// at zero in the absence of a dictionary.
	if dict > 0 && dict < c.start {
		c.start = dict
	}
	switch {
	case typ != leaf.typ:
		t.malformed("the column has type %d, but the schema says type %d", typ, leaf.typ)
	case c.codec < 0 || c.values < 0:
		t.malformed("the column lacks its codec or its number of values")
	case c.start < 0 || c.size < 0 || c.start > f.size || c.size > f.size-c.start:
		t.malformed("the column's bytes %d to %d exceed the file of %d bytes", c.start, c.start+c.size, f.size)
	}
	g.Bytes += c.size
	g.chunks = append(g.chunks, c)
}
