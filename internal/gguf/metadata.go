// Package gguf reads the metadata of GGUF files, versions 2 and 3,
// little-endian, as docs/gguf.md of ggml-org/ggml describes them: the magic
// GGUF, a version, the numbers of tensors and of key-value pairs, the pairs.
//
// Files are untrusted: no length is believed before it is compared with what
// is left. Errors are *wire.Error values.
package gguf

import (
	"encoding/binary"
	"io"
	"math"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/wire"
)

// Type is the type of a value, numbered as in the file.
type Type uint32

// The types of values.
const (
	Uint8 Type = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
)

// sizes is the length in bytes of each type, 0 for those of no fixed one.
var sizes = [...]int64{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

// Value is one value: a number, a text, or an array of either.
type Value struct {
	Type   Type  // of the value, or of the items of an array
	List   bool  // whether it is an array
	Offset int64 // of its first byte in the file, behind its type
	Len    int   // number of items; 1 unless it is an array

	raw   []byte   // of numbers, little-endian
	texts []string // of strings
}

// Text is the i-th string, "" when the value has none.
func (v *Value) Text(i int) string {
	if i >= len(v.texts) {
		return ""
	}
	return v.texts[i]
}

// Int is the i-th whole number or truth value; ok is false when the value has
// none or it does not fit.
func (v *Value) Int(i int) (n int64, ok bool) {
	bits, ok := v.bits(i)
	switch v.Type {
	case Int8:
		return int64(int8(bits)), ok
	case Int16:
		return int64(int16(bits)), ok
	case Int32:
		return int64(int32(bits)), ok
	case Float32, Float64:
		return 0, false
	case Uint64:
		return int64(bits), ok && bits <= math.MaxInt64
	}
	return int64(bits), ok
}

// Float is the i-th floating-point number.
func (v *Value) Float(i int) (f float64, ok bool) {
	bits, ok := v.bits(i)
	switch v.Type {
	case Float32:
		return float64(math.Float32frombits(uint32(bits))), ok
	case Float64:
		return math.Float64frombits(bits), ok
	}
	return 0, false
}

// bits is the i-th number as it lies in the file.
func (v *Value) bits(i int) (uint64, bool) {
	if v.raw == nil || i >= v.Len {
		return 0, false
	}
	size := int(sizes[v.Type])
	var full [8]byte
	copy(full[:], v.raw[i*size:(i+1)*size])
	return binary.LittleEndian.Uint64(full[:]), true
}

// Metadata is what stands before the tensors' descriptions.
type Metadata struct {
	Version   uint32
	Tensors   uint64 // number of tensors, as announced
	Alignment int64  // of the tensors' data
	Keys      []string
	Values    map[string]*Value
	End       int64 // offset of the tensors' descriptions
}

// Limits of what is believed.
const (
	minPair   = 8 + 4 + 1 // bytes of the shortest key-value pair
	minTensor = 8 + 4 + 4 + 8
	maxKey    = 1<<16 - 1
)

// ReadMetadata reads the metadata of a file of a size.
func ReadMetadata(r io.ReaderAt, size int64) (*Metadata, error) {
	c := reader{wire.NewCursor(r, 0, size)}
	m := &Metadata{Alignment: 32, Values: map[string]*Value{}}
	pairs, err := c.header(m)
	if err != nil {
		return nil, err
	}
	for range pairs {
		if err := c.pair(m); err != nil {
			return nil, err
		}
	}
	m.End = c.Offset()
	return m, m.align()
}

// align takes over general.alignment.
func (m *Metadata) align() error {
	v := m.Values["general.alignment"]
	if v == nil {
		return nil
	}
	n, ok := v.Int(0)
	if !ok || v.List || v.Type != Uint32 || n == 0 || n&(n-1) != 0 {
		return wire.Malformed(v.Offset, "", "general.alignment is no power of two of type uint32")
	}
	m.Alignment = n
	return nil
}

// reader reads little-endian numbers.
type reader struct{ *wire.Cursor }

func (c reader) number(size int64) (uint64, error) {
	b, err := c.Bytes(size)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// header reads up to the first pair and returns the number of pairs.
func (c reader) header(m *Metadata) (uint64, error) {
	magic, err := c.Bytes(4)
	if err != nil {
		return 0, err
	}
	if string(magic) != "GGUF" {
		return 0, wire.Malformed(0, "", "the file does not begin with GGUF")
	}
	version, err := c.number(4)
	if err != nil {
		return 0, err
	}
	switch {
	case version > 1<<16:
		return 0, wire.Unsupported(4, "", "a big-endian GGUF")
	case version != 2 && version != 3:
		return 0, wire.Unsupported(4, "", "GGUF version %d instead of 2 or 3", version)
	}
	m.Version = uint32(version)
	at := c.Offset()
	if m.Tensors, err = c.number(8); err != nil {
		return 0, err
	}
	pairs, err := c.number(8)
	if err != nil {
		return 0, err
	}
	left := uint64(c.Left())
	if m.Tensors > left/minTensor {
		return 0, wire.Truncated(at, "", "%d tensors announced, %d bytes left", m.Tensors, left)
	}
	if pairs > left/minPair {
		return 0, wire.Truncated(at+8, "", "%d pairs announced, %d bytes left", pairs, left)
	}
	return pairs, nil
}

// pair reads a key and its value.
func (c reader) pair(m *Metadata) error {
	at := c.Offset()
	key, err := c.text()
	if err != nil {
		return err
	}
	if len(key) > maxKey || !utf8.ValidString(key) {
		return wire.Malformed(at, "", "a key is too long or not UTF-8")
	}
	if m.Values[key] != nil {
		return wire.Malformed(at, "", "duplicate key %q", key)
	}
	v, err := c.value()
	if err != nil {
		return err
	}
	m.Keys, m.Values[key] = append(m.Keys, key), v
	return nil
}

// text reads a string: its length and its bytes, which may be of any kind.
func (c reader) text() (string, error) {
	at := c.Offset()
	n, err := c.number(8)
	if err != nil {
		return "", err
	}
	if n > uint64(c.Left()) {
		return "", wire.Truncated(at, "", "a string of %d bytes, %d left", n, c.Left())
	}
	b, err := c.Bytes(int64(n))
	return string(b), err
}

// kind reads a type.
func (c reader) kind() (Type, error) {
	at := c.Offset()
	n, err := c.number(4)
	if err == nil && n >= uint64(len(sizes)) {
		err = wire.Malformed(at, "", "unknown type %d", n)
	}
	return Type(n), err
}

// value reads a type and what follows it.
func (c reader) value() (*Value, error) {
	t, err := c.kind()
	if err != nil {
		return nil, err
	}
	v := &Value{Type: t, Offset: c.Offset(), Len: 1}
	if t == Array {
		if err := c.list(v); err != nil {
			return nil, err
		}
	}
	if v.Type == String {
		return v, c.strings(v)
	}
	return v, c.numbers(v)
}

// list reads the head of an array and checks that its items can be there.
func (c reader) list(v *Value) (err error) {
	v.List = true
	if v.Type, err = c.kind(); err != nil {
		return err
	}
	if v.Type == Array {
		return wire.Unsupported(v.Offset, "", "an array of arrays")
	}
	at := c.Offset()
	n, err := c.number(8)
	if err != nil {
		return err
	}
	if least := max(sizes[v.Type], 1); n > uint64(c.Left()/least) || v.Type == String && n > uint64(c.Left()/8) {
		return wire.Truncated(at, "", "an array of %d items, %d bytes left", n, c.Left())
	}
	v.Len = int(n)
	return nil
}

func (c reader) strings(v *Value) error {
	v.texts = make([]string, v.Len)
	for i := range v.texts {
		text, err := c.text()
		if err != nil {
			return err
		}
		v.texts[i] = text
	}
	return nil
}

func (c reader) numbers(v *Value) error {
	at := c.Offset()
	b, err := c.Bytes(int64(v.Len) * sizes[v.Type])
	if err != nil {
		return err
	}
	v.raw = append(make([]byte, 0, len(b)), b...)
	for i := range v.raw {
		if v.Type == Bool && v.raw[i] > 1 {
			return wire.Malformed(at+int64(i), "", "a truth value of %d", v.raw[i])
		}
	}
	return nil
}
