package torchfile

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
)

// The values of the machine, beside string, int64, bool, *dict, *pickledTensor and
// *storage. Lists are not kept: nothing in them has a name.
type (
	tuple []any
	list  struct{}
	mark  struct{}
	none  struct{}

	// other is a value that no tensor is made of: a float, bytes, a number
	// of more than 64 bits.
	other struct{}

	// global is one of the functions and classes that are known. The class of
	// the storages of a type is the dtype.Type itself.
	global string
)

// dict is a dictionary: its entries in order, and which keys it has.
type dict struct {
	ordered bool // an OrderedDict
	at      int64
	entries []entry
	keys    map[any]struct{}
}

type entry struct{ key, value any }

// The machine's bounds. Picklers put at most 1,000 entries of a dictionary on
// the stack at once.
const (
	maxStack  = 8 << 10
	memoChunk = 256
)

// What values cost of the budget: about the bytes that they take, with what
// growing slices and maps leave behind.
const (
	costBoxed  = 16
	costDict   = 64
	costKeys   = 256 // of a dictionary's first entry
	costEntry  = 256
	costTensor = 384
	costRank   = 48
)

// machine follows the opcodes of one pickle. It never calls anything.
type machine struct {
	text   string
	base   int64 // file offset of text[0]
	pos    int   // of the next byte
	op     int   // position of the opcode in hand
	stack  []any
	memo   [][]any // chunks of memoChunk; nil for what was not stored
	stored int
	budget int64

	tensors  []*pickledTensor
	storages []*storage
	byKey    map[string]*storage
}

func newMachine(text string, base, budget int64) *machine {
	return &machine{text: text, base: base, budget: budget, byKey: map[string]*storage{}}
}

func (p *machine) malformed(format string, args ...any) error {
	return refusal.Malformed(p.at(), "", format, args...)
}

func (p *machine) unsupported(format string, args ...any) error {
	return refusal.Unsupported(p.at(), "", format, args...)
}

// at is the file offset of the opcode in hand.
func (p *machine) at() int64 { return p.base + int64(p.op) }

// spend takes from the budget what a value costs.
func (p *machine) spend(n int) error {
	if p.budget -= int64(n); p.budget < 0 {
		return p.malformed("pickle builds far more than a file of this size can")
	}
	return nil
}

// The opcodes that the machine itself looks for.
const (
	opProto = 0x80
	opStop  = '.'
)

// run follows the pickle up to its end and returns the object it builds.
func (p *machine) run() (any, error) {
	if len(p.text) < 2 || p.text[0] != opProto {
		return nil, p.malformed("pickle does not begin with its protocol")
	}
	if v := p.text[1]; v < 2 || v > 5 {
		return nil, p.unsupported("pickle is of protocol %d, not 2 to 5", v)
	}
	for p.pos = 2; p.pos < len(p.text); {
		p.op = p.pos
		p.pos++
		code := p.text[p.op]
		if code == opStop {
			return p.end()
		}
		if err := p.step(code); err != nil {
			return nil, err
		}
	}
	return nil, refusal.Truncated(p.base+int64(len(p.text)), "", "pickle ends without a STOP")
}

func (p *machine) step(code byte) error {
	if f := actions[code]; f != nil {
		return f(p)
	}
	if name := refused[code]; name != "" {
		return p.unsupported("pickle uses %s, which no dictionary of tensors needs", name)
	}
	return p.malformed("pickle has the unknown opcode %#02x", code)
}

func (p *machine) end() (any, error) {
	root, err := p.pop()
	if err != nil {
		return nil, err
	}
	if len(p.stack) > 0 {
		return nil, p.malformed("pickle ends with %d values left over", len(p.stack))
	}
	if p.pos < len(p.text) {
		p.op = p.pos
		return nil, p.malformed("%d bytes follow the pickle's end", len(p.text)-p.pos)
	}
	return root, nil
}

func (p *machine) push(v any) error {
	if len(p.stack) == maxStack {
		return p.malformed("pickle has more than %d values on its stack", maxStack)
	}
	if len(p.stack) == cap(p.stack) {
		p.stack = append(make([]any, 0, max(64, 2*len(p.stack))), p.stack...)
	}
	p.stack = append(p.stack, v)
	return nil
}

// top is the last value; a mark is none.
func (p *machine) top() (any, error) {
	if len(p.stack) > 0 {
		if v := p.stack[len(p.stack)-1]; v != (mark{}) {
			return v, nil
		}
	}
	return nil, p.malformed("pickle takes a value from an empty stack")
}

func (p *machine) pop() (any, error) {
	v, err := p.top()
	if err == nil {
		p.stack = p.stack[:len(p.stack)-1]
	}
	return v, err
}

// popMark takes all values above the last mark, and the mark. They are valid
// until the next push.
func (p *machine) popMark() ([]any, error) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if p.stack[i] == (mark{}) {
			items := p.stack[i+1:]
			p.stack = p.stack[:i]
			return items, nil
		}
	}
	return nil, p.malformed("pickle takes values up to a mark that is not there")
}

// bytes reads the n bytes that belong to the opcode.
func (p *machine) bytes(n uint64) (string, error) {
	if n > uint64(len(p.text)-p.pos) {
		return "", refusal.Truncated(p.at(), "", "pickle announces %d bytes, %d are left", n, len(p.text)-p.pos)
	}
	s := p.text[p.pos:][:n]
	p.pos += int(n)
	return s, nil
}

// number reads an unsigned little-endian number of n bytes.
func (p *machine) number(n uint64) (uint64, error) {
	s, err := p.bytes(n)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], s)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// sized reads bytes after their length of n bytes.
func (p *machine) sized(n uint64) (string, error) {
	length, err := p.number(n)
	if err != nil {
		return "", err
	}
	return p.bytes(length)
}

// line reads up to a newline.
func (p *machine) line() (string, error) {
	n := strings.IndexByte(p.text[p.pos:], '\n')
	if n < 0 {
		return "", refusal.Truncated(p.at(), "", "pickle ends within a line")
	}
	s := p.text[p.pos:][:n]
	p.pos += n + 1
	return s, nil
}

// pushText pushes a string after its length of n bytes.
func (p *machine) pushText(n uint64) error {
	s, err := p.sized(n)
	if err != nil {
		return err
	}
	if !utf8.ValidString(s) {
		return p.malformed("pickle has a string that is not UTF-8")
	}
	if err := p.spend(costBoxed); err != nil {
		return err
	}
	return p.push(s)
}

// store keeps the last value under a number. Picklers count them up, so that
// a number over the place in the pickle is none of theirs.
func (p *machine) store(i uint64) error {
	v, err := p.top()
	if err != nil {
		return err
	}
	if i > uint64(p.pos) {
		return p.malformed("pickle stores a value as number %d after %d bytes", i, p.pos)
	}
	chunk := int(i / memoChunk)
	for len(p.memo) <= chunk {
		p.memo = append(p.memo, nil)
	}
	if p.memo[chunk] == nil {
		if err := p.spend(costBoxed * memoChunk); err != nil {
			return err
		}
		p.memo[chunk] = make([]any, memoChunk)
	}
	if p.memo[chunk][i%memoChunk] != nil {
		return p.malformed("pickle stores a second value as number %d", i)
	}
	p.memo[chunk][i%memoChunk] = v
	p.stored++
	return nil
}

// fetch pushes the value that was stored under a number.
func (p *machine) fetch(i uint64) error {
	if chunk := i / memoChunk; chunk < uint64(len(p.memo)) && p.memo[chunk] != nil {
		if v := p.memo[chunk][i%memoChunk]; v != nil {
			return p.push(v)
		}
	}
	return p.malformed("pickle asks for value number %d, which was not stored", i)
}

// set puts keys and values into a dictionary.
func (p *machine) set(target any, items []any) error {
	d, ok := target.(*dict)
	if !ok {
		return p.malformed("pickle sets an item of %s, which is no dictionary", describe(target))
	}
	if len(items)%2 != 0 {
		return p.malformed("pickle sets a key without a value")
	}
	for ; len(items) > 0; items = items[2:] {
		if err := p.setOne(d, items[0], items[1]); err != nil {
			return err
		}
	}
	return nil
}

func (p *machine) setOne(d *dict, key, value any) error {
	cost := costEntry
	switch k := key.(type) {
	case string:
		cost += len(k)
	case int64:
	default:
		return p.unsupported("pickle has a dictionary whose key is %s, not a string or a whole number", describe(key))
	}
	if d.keys == nil {
		d.keys = map[any]struct{}{}
		cost += costKeys
	}
	if err := p.spend(cost); err != nil {
		return err
	}
	if _, dup := d.keys[key]; dup {
		return p.malformed("pickle has a dictionary with the key %s twice", describe(key))
	}
	d.keys[key] = struct{}{}
	d.entries = append(d.entries, entry{key, value})
	return nil
}

// describe names a value in an error.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%.100q", v)
	case int64:
		return fmt.Sprint(v)
	case bool:
		return "a truth value"
	case tuple:
		return "a tuple"
	case list:
		return "a list"
	case none:
		return "None"
	case *dict:
		return "a dictionary"
	case *pickledTensor:
		return "a tensor"
	case *storage:
		return "a storage"
	case global:
		return string(v)
	case dtype.Type:
		return "the class of " + string(v) + " storages"
	}
	return "another value"
}
