package gguf

import (
	"io"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
)

// Metadata is what stands before the tensors' descriptions.
type Metadata struct {
	Version   uint32
	Count     uint64 // number of tensors, as announced
	Alignment int64  // of the tensors' data
	Keys      []string
	Values    map[string]*Value
	End       int64 // offset of the tensors' descriptions
}

// Pairs lists the metadata in the file's order, as Header takes it.
func (m *Metadata) Pairs() []Pair {
	pairs := make([]Pair, len(m.Keys))
	for i, key := range m.Keys {
		pairs[i] = Pair{key, *m.Values[key]}
	}
	return pairs
}

// Limits of what is believed.
const (
	minPair   = 8 + 4 + 1 // bytes of the shortest key-value pair
	minTensor = 8 + 4 + 4 + 8
	maxKey    = 1<<16 - 1

	// MaxHead is how many bytes of metadata and descriptions are read, which
	// are kept in memory: a file of many gigabytes could consist of them.
	MaxHead = 1 << 28
)

// The alignment of data that is in force where a file names none, the key
// that names one, and the greatest that is read: checking the padding costs as
// many bytes for each tensor.
const (
	defaultAlignment = 32
	alignmentKey     = "general.alignment"
	maxAlignment     = 1 << 16
)

// ReadMetadata reads the metadata of a file of a size.
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

// alignment is what general.alignment asks for; v is nil where it is absent.
func alignment(v *Value) (int64, error) {
	if v == nil {
		return defaultAlignment, nil
	}
	n, ok := v.Int(0)
	if !ok || v.List || v.Type != Uint32 || n == 0 || n&(n-1) != 0 {
		return 0, refusal.Malformed(v.Offset, "", "%s is no power of two of type uint32", alignmentKey)
	}
	if n > maxAlignment {
		return 0, refusal.Unsupported(v.Offset, "", "an alignment of %d bytes, over %d", n, maxAlignment)
	}
	return n, nil
}

// reader reads little-endian numbers.
type reader struct{ *bounded.Cursor }

// take reads n bytes of the head.
func (c reader) take(n int64) ([]byte, error) {
	if n <= c.Left() && n > MaxHead-c.Offset() {
		return nil, refusal.Unsupported(c.Offset(), "", "metadata and descriptions of more than %d bytes", MaxHead)
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

// header reads up to the first pair and returns the number of pairs.
func (c reader) header(m *Metadata) (uint64, error) {
	magic, err := c.take(4)
	if err != nil {
		return 0, err
	}
	if string(magic) != "GGUF" {
		return 0, refusal.Malformed(0, "", "the file does not begin with GGUF")
	}
	version, err := c.number(4)
	if err != nil {
		return 0, err
	}
	switch {
	case version > 1<<16:
		return 0, refusal.Unsupported(4, "", "a big-endian GGUF")
	case version != 2 && version != 3:
		return 0, refusal.Unsupported(4, "", "GGUF version %d instead of 2 or 3", version)
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
		return 0, refusal.Truncated(at, "", "%d tensors announced, %d bytes left", m.Count, left)
	}
	if pairs > left/minPair {
		return 0, refusal.Truncated(at+8, "", "%d pairs announced, %d bytes left", pairs, left)
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
		return refusal.Malformed(at, "", "a key is empty, too long or not UTF-8")
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

// text reads a string: its length and its bytes, which may be of any kind.
func (c reader) text() (string, error) {
	at := c.Offset()
	n, err := c.number(8)
	if err != nil {
		return "", err
	}
	if n > uint64(c.Left()) {
		return "", refusal.Truncated(at, "", "a string of %d bytes, %d left", n, c.Left())
	}
	b, err := c.take(int64(n))
	return string(b), err
}

// kind reads a type.
func (c reader) kind() (Type, error) {
	at := c.Offset()
	n, err := c.number(4)
	if err == nil && n >= uint64(len(sizes)) {
		err = refusal.Malformed(at, "", "unknown type %d", n)
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
		return refusal.Unsupported(v.Offset, "", "an array of arrays")
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
		return refusal.Truncated(at, "", "an array of %d items, %d bytes left", n, left)
	case n > MaxHead/least:
		return refusal.Unsupported(at, "", "an array of %d items, over %d bytes", n, MaxHead)
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
	for i, truth := range v.raw {
		if truth > 1 {
			return refusal.Malformed(at+int64(i), "", "a truth value of %d", truth)
		}
	}
	return nil
}
