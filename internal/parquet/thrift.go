package parquet

import (
	"encoding/binary"
	"io"

	"github.com/koala-go/sdk/internal/refusal"
)

// The types of Thrift's compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

// maxDepth is the greatest depth of nested values, and of schemas.
const maxDepth = 32

// thrift reads Thrift's compact protocol. After the first error, which it keeps,
// all methods return zero values. Each length is compared with the number of
// bytes left. Source: thrift-compact-protocol.md.
type thrift struct {
	data  []byte
	depth int
	err   error
}

func (t *thrift) malformed(format string, args ...any) {
	if t.err == nil {
		t.err = refusal.Reason(refusal.ErrMalformed, format, args...)
	}
}

func (t *thrift) take(n uint64) []byte {
	if t.err == nil && n > uint64(len(t.data)) {
		t.err = refusal.Reason(io.ErrUnexpectedEOF, "%d bytes are announced, but only %d are left", n, len(t.data))
	}
	if t.err != nil {
		return nil
	}
	b := t.data[:n]
	t.data = t.data[n:]
	return b
}

func (t *thrift) byte() byte {
	if b := t.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (t *thrift) uvarint() uint64 {
	u, n := binary.Uvarint(t.data)
	switch {
	case t.err != nil:
		return 0
	case n < 0:
		t.malformed("a number has more than 64 bits")
		return 0
	case n == 0:
		t.err = refusal.Reason(io.ErrUnexpectedEOF, "a number is truncated")
		return 0
	}
	t.data = t.data[n:]
	return u
}

func (t *thrift) varint() int64 { return zigzag(t.uvarint()) }

func zigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// i32 reads an integer that must be from 0 to 2^31-1.
func (t *thrift) i32() int32 {
	n := t.varint()
	if n < 0 || n > 1<<31-1 {
		t.malformed("the number %d is not from 0 to 2^31-1", n)
		return 0
	}
	return int32(n)
}

// i64 reads an integer that must not be negative.
func (t *thrift) i64() int64 {
	n := t.varint()
	if n < 0 {
		t.malformed("the number %d is negative", n)
	}
	return max(0, n)
}

func (t *thrift) binary() []byte { return t.take(t.uvarint()) }

// field describes a field of a struct to read.
type field struct {
	id   int16
	kind byte // the type that the field must have; 0 allows any type
	read func(kind byte)
}

// structure reads a struct. It calls read for each field that is in the list,
// and skips all others.
func (t *thrift) structure(list ...field) {
	t.fields(func(id int16, kind byte) {
		for _, f := range list {
			if f.id != id {
				continue
			}
			if f.kind == 0 || t.is(kind, f.kind) {
				f.read(kind)
			}
			return
		}
		t.skip(kind)
	})
}

// int32 is a field that is read into dst.
func (t *thrift) int32(id int16, dst *int32) field {
	return field{id, thriftI32, func(byte) { *dst = t.i32() }}
}

// int64 is a field that is read into dst.
func (t *thrift) int64(id int16, dst *int64) field {
	return field{id, thriftI64, func(byte) { *dst = t.i64() }}
}

// nested is a field that holds a struct.
func (t *thrift) nested(id int16, list ...field) field {
	return field{id, thriftStruct, func(byte) { t.structure(list...) }}
}

// structs is a field that holds a list of structs. It calls read for each.
func (t *thrift) structs(id int16, read func()) field {
	return field{id, thriftList, func(byte) {
		t.list(func(kind byte) {
			if t.is(kind, thriftStruct) {
				read()
			}
		})
	}}
}

// unsupported is a field that must be absent.
func (t *thrift) unsupported(id int16, reason string) field {
	return field{id, 0, func(byte) { t.err = refusal.Reason(refusal.ErrUnsupported, "%s", reason) }}
}

// fields calls field for each field of a struct. field must read or skip the
// value.
func (t *thrift) fields(field func(id int16, kind byte)) {
	if t.depth++; t.depth > maxDepth {
		t.malformed("structures are nested deeper than %d", maxDepth)
	}
	defer func() { t.depth-- }()
	id := int16(0)
	for t.err == nil {
		head := t.byte()
		kind := head & 15
		if head == 0 || t.err != nil {
			return
		}
		// The upper four bits are the difference to the previous id. If they are
		// zero, the id follows.
		if delta := int16(head >> 4); delta > 0 {
			id += delta
		} else {
			id = int16(t.varint())
		}
		if t.err == nil {
			field(id, kind)
		}
	}
}

// list calls item for each element of a list or set. An element has at least
// one byte, which bounds the number of elements.
func (t *thrift) list(item func(kind byte)) {
	head := t.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n = t.uvarint()
	}
	if n > uint64(len(t.data)) {
		t.take(n) // sets the error
	}
	for ; n > 0 && t.err == nil; n-- {
		item(head & 15)
	}
}

// is reports whether a field has the wanted type. If not, it sets the error.
func (t *thrift) is(kind, want byte) bool {
	if kind != want {
		t.malformed("a field has type %d, want %d", kind, want)
	}
	return t.err == nil
}

// skip discards a value. A boolean field of a struct has its value in its type.
func (t *thrift) skip(kind byte) {
	switch kind {
	case thriftTrue, thriftFalse:
	case thriftByte:
		t.byte()
	case thriftI16, thriftI32, thriftI64:
		t.uvarint()
	case thriftDouble:
		t.take(8)
	case thriftBinary:
		t.binary()
	case thriftList, thriftSet:
		t.deeper(func() { t.list(t.skipItem) })
	case thriftMap:
		t.deeper(t.skipMap)
	case thriftStruct:
		t.fields(func(_ int16, kind byte) { t.skip(kind) })
	default:
		t.malformed("unknown type %d of a value", kind)
	}
}

// deeper calls f one level of nesting deeper.
func (t *thrift) deeper(f func()) {
	if t.depth++; t.depth > maxDepth {
		t.malformed("lists are nested deeper than %d", maxDepth)
		return
	}
	f()
	t.depth--
}

// skipItem discards an element of a list or map. Here a boolean takes one byte.
func (t *thrift) skipItem(kind byte) {
	if kind == thriftTrue || kind == thriftFalse {
		kind = thriftByte
	}
	t.skip(kind)
}

func (t *thrift) skipMap() {
	n := t.uvarint()
	if n == 0 {
		return
	}
	kinds := t.byte()
	if n > uint64(len(t.data)) {
		t.take(n) // sets the error
	}
	for ; n > 0 && t.err == nil; n-- {
		t.skipItem(kinds >> 4)
		t.skipItem(kinds & 15)
	}
}
