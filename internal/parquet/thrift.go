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

// maxDepth bounds the nesting of what is read, here and in schemas.
const maxDepth = 32

// thrift reads Thrift's compact protocol. The first error stays, and from then
// on everything is zero. No length is believed that is more than what is left.
// Source: thrift-compact-protocol.md.
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
		t.err = refusal.Reason(io.ErrUnexpectedEOF, "%d bytes announced, %d left", n, len(t.data))
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
		t.malformed("a number of more than 64 bits")
		return 0
	case n == 0:
		t.err = refusal.Reason(io.ErrUnexpectedEOF, "a number is cut short")
		return 0
	}
	t.data = t.data[n:]
	return u
}

func (t *thrift) varint() int64 { return zigzag(t.uvarint()) }

func zigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// i32 is a number that must fit an int32 and not be negative.
func (t *thrift) i32() int32 {
	n := t.varint()
	if n < 0 || n > 1<<31-1 {
		t.malformed("%d is not from 0 to 2^31-1", n)
		return 0
	}
	return int32(n)
}

// i64 is a number that must not be negative.
func (t *thrift) i64() int64 {
	n := t.varint()
	if n < 0 {
		t.malformed("%d is negative", n)
	}
	return max(0, n)
}

func (t *thrift) binary() []byte { return t.take(t.uvarint()) }

// fields calls field for each field of a struct; what field does not read, it
// must skip.
func (t *thrift) fields(field func(id int16, kind byte)) {
	if t.depth++; t.depth > maxDepth {
		t.malformed("structures nested more than %d deep", maxDepth)
	}
	defer func() { t.depth-- }()
	id := int16(0)
	for t.err == nil {
		head := t.byte()
		kind := head & 15
		if head == 0 || t.err != nil {
			return
		}
		if delta := int16(head >> 4); delta > 0 {
			id += delta
		} else {
			id = int16(t.varint())
		}
		field(id, kind)
	}
}

// list calls item for each element of a list or set, each of which has at
// least a byte.
func (t *thrift) list(item func(kind byte)) {
	head := t.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n = t.uvarint()
	}
	if n > uint64(len(t.data)) {
		t.take(n) // says so
	}
	for ; n > 0 && t.err == nil; n-- {
		item(head & 15)
	}
}

// is checks the type of a field before it is read.
func (t *thrift) is(kind, want byte) bool {
	if kind != want {
		t.malformed("a field of type %d where %d is due", kind, want)
	}
	return t.err == nil
}

// skip passes over a value. Booleans of a struct are in their field's head.
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
		t.nested(func() { t.list(t.skipItem) })
	case thriftMap:
		t.nested(t.skipMap)
	case thriftStruct:
		t.fields(func(_ int16, kind byte) { t.skip(kind) })
	default:
		t.malformed("no type has the number %d", kind)
	}
}

func (t *thrift) nested(f func()) {
	if t.depth++; t.depth > maxDepth {
		t.malformed("lists nested more than %d deep", maxDepth)
		return
	}
	f()
	t.depth--
}

// skipItem passes over an element, for which booleans have a byte.
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
		t.take(n) // says so
	}
	for ; n > 0 && t.err == nil; n-- {
		t.skipItem(kinds >> 4)
		t.skipItem(kinds & 15)
	}
}
