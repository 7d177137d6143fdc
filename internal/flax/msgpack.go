package flax

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/refusal"
)

type kind uint8

const (
	kindNil kind = iota
	kindBool
	kindInt
	kindFloat
	kindString // n is the number of bytes that follow
	kindBin    // n is the number of bytes that follow
	kindExt    // n is the number of bytes that follow, ext their type
	kindArray  // n is the number of values that follow
	kindMap    // n is the number of pairs that follow
)

var kindNames = [...]string{"nil", "a boolean", "the number", "a float", "a string of", "bytes of length", "an ext of length", "a list of", "a map of"}

// token is the head of a msgpack value: all of the value except the contents of
// strings, byte strings, exts, lists and maps.
type token struct {
	at   int64 // file offset
	kind kind
	ext  int8
	n    int64 // a length, or the value of kindInt
}

func (t token) String() string {
	switch t.kind {
	case kindNil, kindBool, kindFloat:
		return kindNames[t.kind]
	}
	return fmt.Sprintf("%s %d", kindNames[t.kind], t.n)
}

// token reads the head of a value. It checks a length against the number of
// bytes left, since each value of a list takes at least one byte and each pair
// two.
func (p *parser) token() (token, error) {
	at := p.Offset()
	c, err := p.Byte()
	if err != nil {
		return token{}, err
	}
	t, err := p.head(c)
	t.at = at
	if err != nil {
		return t, err
	}
	need := t.n
	switch t.kind {
	case kindNil, kindBool, kindInt, kindFloat:
		return t, nil
	case kindMap:
		need *= 2
	}
	if need > p.Left() {
		return t, refusal.Truncated(at, "", "%v is announced, but only %d bytes are left", t, p.Left())
	}
	return t, nil
}

// head decodes the head that begins with byte c. The cases are in the order of
// the msgpack specification.
func (p *parser) head(c byte) (token, error) {
	switch {
	case c <= 0x7f:
		return token{kind: kindInt, n: int64(c)}, nil
	case c <= 0x8f:
		return token{kind: kindMap, n: int64(c & 0x0f)}, nil
	case c <= 0x9f:
		return token{kind: kindArray, n: int64(c & 0x0f)}, nil
	case c <= 0xbf:
		return token{kind: kindString, n: int64(c & 0x1f)}, nil
	case c == 0xc0:
		return token{kind: kindNil}, nil
	case c == 0xc1:
		return token{}, refusal.Malformed(p.Offset()-1, "", "the byte 0xc1 is not valid in msgpack")
	case c <= 0xc3:
		return token{kind: kindBool, n: int64(c & 1)}, nil
	case c <= 0xc6:
		return p.sized(kindBin, 1<<(c-0xc4))
	case c <= 0xc9:
		return p.extHead(1 << (c - 0xc7))
	case c <= 0xcb:
		return token{kind: kindFloat}, p.Skip(4 << (c - 0xca))
	case c <= 0xcf:
		return p.sized(kindInt, 1<<(c-0xcc))
	case c <= 0xd3:
		return p.signed(1 << (c - 0xd0))
	case c <= 0xd8:
		ext, err := p.Byte()
		return token{kind: kindExt, ext: int8(ext), n: 1 << (c - 0xd4)}, err
	case c <= 0xdb:
		return p.sized(kindString, 1<<(c-0xd9))
	case c <= 0xdd:
		return p.sized(kindArray, 2<<(c-0xdc))
	case c <= 0xdf:
		return p.sized(kindMap, 2<<(c-0xde))
	}
	return token{kind: kindInt, n: int64(int8(c))}, nil
}

// sized reads an unsigned integer of size bytes: a length, or the value itself.
func (p *parser) sized(k kind, size int64) (token, error) {
	at := p.Offset()
	n, err := p.BigEndian(size)
	if err == nil && n > math.MaxInt64 {
		err = refusal.Malformed(at, "", "the number %d is out of range", n)
	}
	return token{kind: k, n: int64(n)}, err
}

func (p *parser) extHead(size int64) (token, error) {
	t, err := p.sized(kindExt, size)
	if err != nil {
		return t, err
	}
	ext, err := p.Byte()
	t.ext = int8(ext)
	return t, err
}

func (p *parser) signed(size int64) (token, error) {
	n, err := p.BigEndian(size)
	shift := 64 - 8*size
	return token{kind: kindInt, n: int64(n) << shift >> shift}, err
}

// text reads the contents of a string.
func (p *parser) text(t token) (string, error) {
	b, err := p.Bytes(t.n)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", refusal.Malformed(t.at, "", "the string is not UTF-8")
	}
	return string(b), nil
}
