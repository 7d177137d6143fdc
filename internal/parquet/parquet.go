// Package parquet reads the rows of Parquet files as JSON objects: what public
// data sets are released in, and no more. It needs no other module.
//
// Columns are texts, numbers and booleans, and lists and groups of these, to
// any depth; pages of either version, plain, with a dictionary or as deltas;
// uncompressed, snappy, gzip or zstd. Anything else is ErrUnsupported. Rows
// come in order, and of each column no more than a page and a dictionary is in
// memory. Nothing that a file claims about its sizes is believed before it is
// compared with what is there.
//
// Source: parquet.thrift, Encodings.md, LogicalTypes.md of apache/parquet-format.
package parquet

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
)

// Magic begins and ends a file.
const Magic = "PAR1"

// Error says what is wrong and where in a file.
type Error struct {
	Group  int    // row group, from 1; 0 when it is about the whole file
	Column string // its name, with dots between those of nested ones; "" when it is about none
	Err    error  // of a kind of package wire, or the reader's error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%v: row group %d, column %q", e.Err, e.Group, e.Column)
}

func (e *Error) Unwrap() error { return e.Err }

// File is the structure of a Parquet file. It never changes.
type File struct {
	Groups []Group
	r      io.ReaderAt
	size   int64
	root   *node
	leaves []*node
}

// Group is a row group.
type Group struct {
	Rows   int64
	Bytes  int64 // of its columns in the file
	chunks []chunk
}

// chunk is a column of a row group.
type chunk struct {
	codec  int32
	values int64
	start  int64 // of its first page
	size   int64 // of all its pages in the file
}

// tail is what ends a file: the footer's length and the magic.
const tail = 8

// Open reads the structure of a file of size bytes.
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

// footer reads the bytes that hold the structure.
func (f *File) footer() ([]byte, error) {
	var end [tail]byte
	if f.size < int64(len(Magic))+tail {
		return nil, refusal.Reason(io.ErrUnexpectedEOF, "%d bytes are no Parquet file", f.size)
	}
	if err := bounded.ReadFull(f.r, end[:], f.size-tail); err != nil {
		return nil, err
	}
	switch string(end[4:]) {
	case Magic:
	case "PARE":
		return nil, refusal.Reason(refusal.ErrUnsupported, "the Parquet file is encrypted")
	default:
		return nil, refusal.Reason(io.ErrUnexpectedEOF, "the Parquet file does not end as one")
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if n > f.size-tail-int64(len(Magic)) {
		return nil, refusal.Reason(refusal.ErrMalformed, "a footer of %d bytes in a file of %d", n, f.size)
	}
	data := make([]byte, n)
	return data, bounded.ReadFull(f.r, data, f.size-tail-n)
}

// metadata reads a FileMetaData.
func (f *File) metadata(footer []byte) error {
	t := &thrift{data: footer}
	var rows, sum int64
	t.fields(func(id int16, kind byte) {
		switch {
		case id == 2 && t.is(kind, thriftList):
			f.schema(t)
		case id == 3 && t.is(kind, thriftI64):
			rows = t.i64()
		case id == 4 && t.is(kind, thriftList):
			t.list(func(kind byte) {
				if t.is(kind, thriftStruct) {
					f.group(t)
				}
			})
		case id == 8:
			t.err = refusal.Reason(refusal.ErrUnsupported, "the Parquet file is encrypted")
		case t.err == nil:
			t.skip(kind)
		}
	})
	for i := range f.Groups {
		sum += f.Groups[i].Rows
	}
	switch {
	case t.err != nil:
		return t.err
	case f.root == nil:
		return refusal.Reason(refusal.ErrMalformed, "the footer has no schema")
	case sum != rows:
		return refusal.Reason(refusal.ErrMalformed, "%d rows announced, %d in the row groups", rows, sum)
	}
	return nil
}

// maxRows bounds the rows of a group, so that sums do not overflow.
const maxRows = 1 << 40

// group reads a RowGroup.
func (f *File) group(t *thrift) {
	g := Group{Rows: -1}
	number := len(f.Groups) + 1
	t.fields(func(id int16, kind byte) {
		switch {
		case id == 1 && t.is(kind, thriftList):
			t.list(func(kind byte) {
				if t.is(kind, thriftStruct) {
					f.chunk(t, &g)
				}
			})
		case id == 3 && t.is(kind, thriftI64):
			g.Rows = t.i64()
		case t.err == nil:
			t.skip(kind)
		}
	})
	if g.Rows < 0 || g.Rows > maxRows || len(g.chunks) != len(f.leaves) {
		t.malformed("a row group of %d rows has %d columns where the schema has %d", g.Rows, len(g.chunks), len(f.leaves))
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
		t.malformed("a row group has more columns than the schema, %d", len(f.leaves))
		return
	}
	leaf := f.leaves[len(g.chunks)]
	found := false
	t.fields(func(id int16, kind byte) {
		switch {
		case id == 1:
			t.err = refusal.Reason(refusal.ErrUnsupported, "the column is in another file")
		case id == 3 && t.is(kind, thriftStruct):
			found = true
			f.column(t, g, leaf)
		case id == 8:
			t.err = refusal.Reason(refusal.ErrUnsupported, "the column is encrypted")
		case t.err == nil:
			t.skip(kind)
		}
	})
	if !found {
		t.malformed("nothing says where the column is")
	}
	if _, ok := t.err.(*Error); t.err != nil && !ok {
		t.err = &Error{len(f.Groups) + 1, leaf.path(), t.err}
	}
}

// column reads a ColumnMetaData.
func (f *File) column(t *thrift, g *Group, leaf *node) {
	c := chunk{codec: -1, values: -1, start: -1, size: -1}
	typ, dict := int32(-1), int64(0)
	t.fields(func(id int16, kind byte) {
		switch {
		case id == 1 && t.is(kind, thriftI32):
			typ = t.i32()
		case id == 4 && t.is(kind, thriftI32):
			c.codec = t.i32()
		case id == 5 && t.is(kind, thriftI64):
			c.values = t.i64()
		case id == 7 && t.is(kind, thriftI64):
			c.size = t.i64()
		case id == 9 && t.is(kind, thriftI64):
			c.start = t.i64()
		case id == 11 && t.is(kind, thriftI64):
			dict = t.i64()
		case t.err == nil:
			t.skip(kind)
		}
	})
	if dict > 0 && dict < c.start {
		c.start = dict
	}
	switch {
	case typ != leaf.typ:
		t.malformed("a column of type %d where the schema has %d", typ, leaf.typ)
	case c.codec < 0 || c.values < 0:
		t.malformed("the column's codec or its number of values is missing")
	case c.start < 0 || c.size < 0 || c.start > f.size || c.size > f.size-c.start:
		t.malformed("bytes %d to %d of a file of %d", c.start, c.start+c.size, f.size)
	}
	g.Bytes += c.size
	g.chunks = append(g.chunks, c)
}
