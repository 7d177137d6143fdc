package gguf

import (
	"io"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
)

// Metadata is the part of a file before the descriptions of the tensors.
type Metadata struct {
	Version   uint32            // 2 or 3
	Count     uint64            // the number of tensors in the file
	Alignment int64             // the alignment of the tensors' data in bytes
	Keys      []string          // in the order of the file
	Values    map[string]*Value // by key
	End       int64             // the file offset of the descriptions of the tensors
}

// Pairs returns the metadata in the order of the file, for Header.
func (m *Metadata) Pairs() []Pair {
	pairs := make([]Pair, len(m.Keys))
	for i, key := range m.Keys {
		pairs[i] = Pair{key, *m.Values[key]}
	}
	return pairs
}

// Limits that bound memory.
const (
	minPair   = 8 + 4 + 1     // size of the shortest key-value pair in bytes
	minTensor = 8 + 4 + 4 + 8 // size of the shortest description
	maxKey    = 1<<16 - 1     // greatest length of a key

	// MaxHead is the greatest size in bytes of the metadata and the
	// descriptions, which are kept in memory. Without this limit a file of many
	// gigabytes could consist of them.
	MaxHead = 1 << 28
)

// defaultAlignment applies to files without the key alignmentKey. maxAlignment
// bounds the work of checking padding, which is at most one alignment per
// tensor.
const (
	defaultAlignment = 32
	alignmentKey     = "general.alignment"
	maxAlignment     = 1 << 16
)

// ReadMetadata reads the metadata of a file of size bytes.
func ReadMetadata(r io.ReaderAt, size int64) (*Metadata, error) {
	return reader{bounded.NewCursor(r, 0, size)}.metadata()
}

func (c reader) metadata() (*Metadata, error) {
	m := &Metadata{Values: map[string]*Value{}}
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
	if m.Alignment, err = alignment(m.Values[alignmentKey]); err != nil {
		return nil, err
	}
	return m, nil
}

// alignment returns the value of general.alignment. v is nil if the file has no
// such key.
func alignment(v *Value) (int64, error) {
	if v == nil {
		return defaultAlignment, nil
	}
	n, ok := v.Int(0)
	if !ok || v.List || v.Type != Uint32 || n == 0 || n&(n-1) != 0 {
		return 0, refusal.Malformed(v.Offset, "", "%s is not a power of two of type uint32", alignmentKey)
	}
	if n > maxAlignment {
		return 0, refusal.Unsupported(v.Offset, "", "the alignment of %d bytes exceeds the limit of %d", n, maxAlignment)
	}
	return n, nil
}

// reader is a Cursor that reads little-endian integers.
type reader struct{ *bounded.Cursor }

// take reads n bytes of the metadata or the descriptions.
func (c reader) take(n int64) ([]byte, error) {
	if n <= c.Left() && n > MaxHead-c.Offset() {
		return nil, refusal.Unsupported(c.Offset(), "", "metadata and descriptions exceed the limit of %d bytes", MaxHead)
	}
	return c.Bytes(n)
}

func (c reader) number(size int64) (uint64, error) {
	b, err := c.take(size)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return le.Uint64(full[:]), nil
}

// header reads the file up to the first pair and returns the number of pairs.
func (c reader) header(m *Metadata) (uint64, error) {
	magic, err := c.take(4)
	if err != nil {
		return 0, err
	}
	if string(magic) != "GGUF" {
		return 0, refusal.Malformed(0, "", "the file does not begin with the magic GGUF")
	}
	version, err := c.number(4)
	if err != nil {
		return 0, err
	}
	switch {
	case version > 1<<16:
		return 0, refusal.Unsupported(4, "", "big-endian files are not supported")
	case version != 2 && version != 3:
		return 0, refusal.Unsupported(4, "", "unknown GGUF version %d, want 2 or 3", version)
	}
	m.Version = uint32(version)
	at := c.Offset()
	if m.Count, err = c.number(8); err != nil {
		return 0, err
	}
	pairs, err := c.number(8)
	if err != nil {
		return 0, err
	}
	left := uint64(c.Left())
	if m.Count > left/minTensor {
		return 0, refusal.Truncated(at, "", "%d tensors are announced, but only %d bytes are left", m.Count, left)
	}
	if pairs > left/minPair {
		return 0, refusal.Truncated(at+8, "", "%d pairs are announced, but only %d bytes are left", pairs, left)
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
	if !validKey(key) {
		return refusal.Malformed(at, "", "the key is empty, too long or not UTF-8")
	}
	if m.Values[key] != nil {
		return refusal.Malformed(at, "", "duplicate key %.100q", key)
	}
	v, err := c.value()
	if err != nil {
		return err
	}
	m.Keys, m.Values[key] = append(m.Keys, key), v
	return nil
}

func validKey(key string) bool {
	return key != "" && len(key) <= maxKey && utf8.ValidString(key)
}

// text reads a string, which may contain any bytes, after its length.
func (c reader) text() (string, error) {
	at := c.Offset()
	n, err := c.number(8)
	if err != nil {
		return "", err
	}
	if n > uint64(c.Left()) {
		return "", refusal.Truncated(at, "", "a string of %d bytes is announced, but only %d are left", n, c.Left())
	}
	b, err := c.take(int64(n))
	return string(b), err
}

// kind reads the type of a value.
func (c reader) kind() (Type, error) {
	at := c.Offset()
	n, err := c.number(4)
	if err == nil && n >= uint64(len(sizes)) {
		err = refusal.Malformed(at, "", "unknown type %d of a value", n)
	}
	return Type(n), err
}

// value reads a type and a value of it.
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

// list reads the head of an array. It checks that the file is large enough for
// the items.
func (c reader) list(v *Value) (err error) {
	v.List = true
	if v.Type, err = c.kind(); err != nil {
		return err
	}
	if v.Type == Array {
		return refusal.Unsupported(v.Offset, "", "arrays of arrays are not supported")
	}
	at := c.Offset()
	n, err := c.number(8)
	if err != nil {
		return err
	}
	least := uint64(sizes[v.Type])
	if v.Type == String {
		least = 8
	}
	switch left := uint64(c.Left()); {
	case n > left/least:
		return refusal.Truncated(at, "", "an array of %d items is announced, but only %d bytes are left", n, left)
	case n > MaxHead/least:
		return refusal.Unsupported(at, "", "an array of %d items exceeds the limit of %d bytes", n, MaxHead)
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
	b, err := c.take(int64(v.Len) * sizes[v.Type])
	if err != nil {
		return err
	}
	v.raw = append(make([]byte, 0, len(b)), b...)
	if v.Type != Bool {
		return nil
	}
	for i, b := range v.raw {
		if b > 1 {
			return refusal.Malformed(at+int64(i), "", "the boolean has the value %d, want 0 or 1", b)
		}
	}
	return nil
}
