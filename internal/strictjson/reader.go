// Package strictjson reads JSON strictly as RFC 8259 defines it. It refuses
// byte order marks, comments, duplicate names and lone surrogates, compares
// names by exact letter case, and bounds nesting. Errors carry the byte offset.
//
// New returns a Reader, whose methods read one value each.
package strictjson

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/koala-go/sdk/internal/refusal"
)

// maxNesting is the greatest depth of the values that Skip and Value read.
const maxNesting = 64

// Reader reads one JSON text strictly: UTF-8 without a byte order mark, no
// comments, no duplicate names in an object, no lone surrogates. Unlike a
// Reader, encoding/json accepts some of these, and ignores letter case too.
type Reader struct {
	data []byte
	pos  int
	base int64 // file offset of data[0]

	python bool // skip accepts the numbers of pythonNumbers
}

// pythonNumbers are the numbers that Python's json module reads and writes,
// although they are not JSON.
var pythonNumbers = []string{"NaN", "Infinity", "-Infinity"}

// SkipPython reads one value and discards it, as Skip does. It also accepts NaN,
// Infinity and -Infinity, alone or within the value.
func (j *Reader) SkipPython() error {
	j.python = true
	defer func() { j.python = false }()
	return j.skip(maxNesting)
}

// New returns a Reader of data. The offsets in its errors are those of a file
// in which data begins at offset base.
func New(data []byte, base int64) *Reader { return &Reader{data: data, base: base} }

// Offset returns the file offset of the next byte.
func (j *Reader) Offset() int64 { return j.base + int64(j.pos) }

func (j *Reader) malformed(format string, args ...any) error {
	return refusal.Malformed(j.Offset(), "", format, args...)
}

func (j *Reader) space() {
	for j.pos < len(j.data) {
		switch j.data[j.pos] {
		case ' ', '\t', '\n', '\r':
			j.pos++
		default:
			return
		}
	}
}

// peek returns the next byte that is not white space, or 0 at the end.
func (j *Reader) peek() byte {
	if j.space(); j.pos < len(j.data) {
		return j.data[j.pos]
	}
	return 0
}

func (j *Reader) expect(c byte) error {
	if got := j.peek(); got != c || j.pos == len(j.data) {
		return j.unexpected(strconv.QuoteRune(rune(c)))
	}
	j.pos++
	return nil
}

// unexpected returns the error for a byte other than the one that must follow.
func (j *Reader) unexpected(want string) error {
	if j.space(); j.pos == len(j.data) {
		return j.malformed("JSON ends where %s must follow", want)
	}
	return j.malformed("JSON has %q where %s must follow", j.data[j.pos], want)
}

// End checks that only white space follows.
func (j *Reader) End() error {
	if j.space(); j.pos < len(j.data) {
		return j.malformed("%q follows the end of the JSON text", j.data[j.pos])
	}
	return nil
}

// Object reads an object. It calls member with each name, and member must read
// the value.
func (j *Reader) Object(member func(name string) error) error {
	var seen nameSet
	return j.members(seen.has, func(name string) error {
		seen.add(name)
		return member(name)
	})
}

// StringMap reads an object whose values are all strings.
func (j *Reader) StringMap() (map[string]string, error) {
	m := make(map[string]string)
	has := func(name string) bool { _, ok := m[name]; return ok }
	return m, j.members(has, func(name string) (err error) {
		m[name], err = j.String()
		return err
	})
}

// members reads an object. has reports whether a name occurred before, and member
// reads the value of a name.
func (j *Reader) members(has func(name string) bool, member func(name string) error) error {
	return j.list('{', '}', func() error {
		at := j.Offset()
		name, err := j.String()
		if err != nil {
			return err
		}
		if has(name) {
			return refusal.Malformed(at, "", "duplicate name %q in an object", name)
		}
		if err := j.expect(':'); err != nil {
			return err
		}
		return member(name)
	})
}

// nameSet is a set of strings. It holds the first few without a map, because a
// text may contain an object in every seven bytes and a map for each of them
// would exceed the bound on memory.
type nameSet struct {
	few  [8]string
	n    int
	many map[string]struct{}
}

func (s *nameSet) has(name string) bool {
	_, ok := s.many[name]
	return ok || slices.Contains(s.few[:s.n], name)
}

func (s *nameSet) add(name string) {
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return
	}
	if s.many == nil {
		s.many = make(map[string]struct{})
	}
	s.many[name] = struct{}{}
}

// Array reads an array. It calls element at the start of each value, and
// element must read the value.
func (j *Reader) Array(element func() error) error { return j.list('[', ']', element) }

// list reads what objects and arrays have in common: brackets around items, and
// commas between them.
func (j *Reader) list(open, shut byte, item func() error) error {
	if err := j.expect(open); err != nil {
		return err
	}
	if j.peek() == shut {
		j.pos++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		switch j.peek() {
		case ',':
			j.pos++
			j.space()
		case shut:
			j.pos++
			return nil
		default:
			return j.unexpected("',' or " + strconv.QuoteRune(rune(shut)))
		}
	}
}

// Uint reads a whole number without a sign, written with digits only.
func (j *Reader) Uint() (int64, error) {
	j.space()
	start := j.pos
	j.digits()
	text := string(j.data[start:j.pos])
	if text == "" {
		return 0, j.unexpected("a whole number without a sign")
	}
	if j.pos < len(j.data) {
		if c := j.data[j.pos]; c == '.' || c == 'e' || c == 'E' {
			return 0, j.malformed("the number has a fraction or an exponent where a whole number must follow")
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || text[0] == '0' && len(text) > 1 {
		return 0, refusal.Malformed(j.base+int64(start), "", "the number %.40q is out of range or has a leading zero", text)
	}
	return n, nil
}

func (j *Reader) digits() {
	for j.pos < len(j.data) && '0' <= j.data[j.pos] && j.data[j.pos] <= '9' {
		j.pos++
	}
}

// Skip reads one value of any kind, nested at most 64 deep, and discards it.
func (j *Reader) Skip() error { return j.skip(maxNesting) }

func (j *Reader) skip(depth int) error {
	c := j.peek()
	if depth == 0 && (c == '{' || c == '[') {
		return j.malformed("JSON is nested deeper than %d", maxNesting)
	}
	switch c {
	case '{':
		return j.Object(func(string) error { return j.skip(depth - 1) })
	case '[':
		return j.Array(func() error { return j.skip(depth - 1) })
	case '"':
		_, err := j.String()
		return err
	case 't':
		return j.literal("true")
	case 'f':
		return j.literal("false")
	case 'n':
		return j.literal("null")
	}
	if j.python {
		for _, word := range pythonNumbers {
			if bytes.HasPrefix(j.data[j.pos:], []byte(word)) {
				j.pos += len(word)
				return nil
			}
		}
	}
	return j.number()
}

func (j *Reader) literal(word string) error {
	if end := j.pos + len(word); end <= len(j.data) && string(j.data[j.pos:end]) == word {
		j.pos = end
		return nil
	}
	return j.unexpected("a value")
}

// number reads a number of any form and discards it.
func (j *Reader) number() error {
	start := j.pos
	if j.next('-') && j.pos == len(j.data) {
		return j.unexpected("a digit")
	}
	whole := j.pos
	if j.digits(); j.pos == whole {
		j.pos = start
		return j.unexpected("a value")
	}
	if j.data[whole] == '0' && j.pos > whole+1 {
		return j.malformed("the number has a leading zero")
	}
	if j.next('.') && !j.someDigits() {
		return j.unexpected("a digit")
	}
	if j.next('e') || j.next('E') {
		if !j.next('+') {
			j.next('-')
		}
		if !j.someDigits() {
			return j.unexpected("a digit")
		}
	}
	return nil
}

func (j *Reader) next(c byte) bool {
	if j.pos < len(j.data) && j.data[j.pos] == c {
		j.pos++
		return true
	}
	return false
}

func (j *Reader) someDigits() bool {
	start := j.pos
	j.digits()
	return j.pos > start
}
