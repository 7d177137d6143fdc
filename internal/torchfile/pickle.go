package torchfile

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
)

// The types of the values on the stack, in addition to string, int64, bool,
// *dict, *pickledTensor and *storage. The contents of lists are not kept,
// because tensors in lists have no name.
type (
	tuple []any
	list  struct{}
	mark  struct{}
	none  struct{}

	// other is a value that no tensor is built from: a float, bytes, or an
	// integer of more than 64 bits.
	other struct{}

	// global is a known function or class. A class of storages is represented
	// by its dtype.Type instead.
	global string
)

// dict is a dictionary.
type dict struct {
	ordered bool             // whether it is an OrderedDict
	at      int64            // file offset of the opcode that built it
	entries []entry          // in the order of insertion
	keys    map[any]struct{} // of the entries
}

type entry struct{ key, value any }

// The limits of the machine. Picklers push at most 1,000 entries of a
// dictionary at once, 2,000 values.
const (
	maxStack  = 8 << 10
	memoChunk = 256
)

// The costs of values, deducted from the budget: roughly the bytes that they
// occupy, including what growing slices and maps leave for the garbage
// collector.
const (
	costBoxed  = 16
	costDict   = 64
	costKeys   = 256 // extra cost of the first entry of a dictionary
	costEntry  = 256
	costTensor = 384
	costRank   = 48
)

// machine interprets a pickle. It never calls code.
type machine struct {
	text   string
	base   int64 // file offset of text
	pos    int   // index of the next byte
	op     int   // index of the current opcode
	stack  []any
	memo   [][]any // chunks of memoChunk values; nil where no value is stored
	stored int     // number of values in memo
	budget int64   // what values may still cost

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

// at returns the file offset of the current opcode.
func (p *machine) at() int64 { return p.base + int64(p.op) }

// spend deducts the cost of a value from the budget.
func (p *machine) spend(n int) error {
	if p.budget -= int64(n); p.budget < 0 {
		return p.malformed("the pickle builds far more values than a file of this size needs")
	}
	return nil
}

// The opcodes that run itself handles.
const (
	opProto = 0x80
	opStop  = '.'
)

// run interprets the pickle and returns the object that it builds.
func (p *machine) run() (any, error) {
	if len(p.text) < 2 || p.text[0] != opProto {
		return nil, p.malformed("the pickle does not begin with a PROTO opcode")
	}
	if v := p.text[1]; v < 2 || v > 5 {
		return nil, p.unsupported("the pickle has protocol %d, want 2 to 5", v)
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
	return nil, refusal.Truncated(p.base+int64(len(p.text)), "", "the pickle ends without a STOP opcode")
}

func (p *machine) step(code byte) error {
	if f := actions[code]; f != nil {
		return f(p)
	}
	if name := refused[code]; name != "" {
		return p.unsupported("the pickle uses the opcode %s, which no dictionary of tensors needs", name)
	}
	return p.malformed("the pickle has the unknown opcode %#02x", code)
}

func (p *machine) end() (any, error) {
	root, err := p.pop()
	if err != nil {
		return nil, err
	}
	if len(p.stack) > 0 {
		return nil, p.malformed("the pickle leaves %d values on the stack", len(p.stack))
	}
	if p.pos < len(p.text) {
		p.op = p.pos
		return nil, p.malformed("%d unexpected bytes follow the pickle", len(p.text)-p.pos)
	}
	return root, nil
}

func (p *machine) push(v any) error {
	if len(p.stack) == maxStack {
		return p.malformed("the pickle pushes more than %d values", maxStack)
	}
	if len(p.stack) == cap(p.stack) {
		p.stack = append(make([]any, 0, max(64, 2*len(p.stack))), p.stack...)
	}
	p.stack = append(p.stack, v)
	return nil
}

// top returns the last value of the stack, which must not be a mark.
func (p *machine) top() (any, error) {
	if len(p.stack) > 0 {
		if v := p.stack[len(p.stack)-1]; v != (mark{}) {
			return v, nil
		}
	}
	return nil, p.malformed("the pickle takes a value from an empty stack")
}

func (p *machine) pop() (any, error) {
	v, err := p.top()
	if err == nil {
		p.stack = p.stack[:len(p.stack)-1]
	}
	return v, err
}

// popMark pops all values above the last mark, and the mark. The result is
// valid until the next push.
func (p *machine) popMark() ([]any, error) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if p.stack[i] == (mark{}) {
			items := p.stack[i+1:]
			p.stack = p.stack[:i]
			return items, nil
		}
	}
	return nil, p.malformed("the pickle takes values up to a mark, but the stack has no mark")
}

// bytes reads n bytes of the opcode's argument.
func (p *machine) bytes(n uint64) (string, error) {
	if n > uint64(len(p.text)-p.pos) {
		return "", refusal.Truncated(p.at(), "", "the pickle announces %d bytes, but only %d are left", n, len(p.text)-p.pos)
	}
	s := p.text[p.pos:][:n]
	p.pos += int(n)
	return s, nil
}

// number reads an unsigned little-endian integer of n bytes.
func (p *machine) number(n uint64) (uint64, error) {
	s, err := p.bytes(n)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], s)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// sized reads a byte string after its length, which is an integer of n bytes.
func (p *machine) sized(n uint64) (string, error) {
	length, err := p.number(n)
	if err != nil {
		return "", err
	}
	return p.bytes(length)
}

// line reads up to the next newline.
func (p *machine) line() (string, error) {
	n := strings.IndexByte(p.text[p.pos:], '\n')
	if n < 0 {
		return "", refusal.Truncated(p.at(), "", "the pickle ends within a line")
	}
	s := p.text[p.pos:][:n]
	p.pos += n + 1
	return s, nil
}

// pushText pushes a string that is preceded by its length, an integer of n
// bytes.
func (p *machine) pushText(n uint64) error {
	s, err := p.sized(n)
	if err != nil {
		return err
	}
	if !utf8.ValidString(s) {
		return p.malformed("the pickle has a string that is not UTF-8")
	}
	if err := p.spend(costBoxed); err != nil {
		return err
	}
	return p.push(s)
}

// store keeps the last value in the memo under index i. Picklers use
// consecutive indexes, so an index greater than the position in the pickle is
// an error. This bounds the size of the memo.
func (p *machine) store(i uint64) error {
	v, err := p.top()
	if err != nil {
		return err
	}
	if i > uint64(p.pos) {
		return p.malformed("the pickle stores a value under index %d after %d bytes", i, p.pos)
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
		return p.malformed("the pickle stores a second value under index %d", i)
	}
	p.memo[chunk][i%memoChunk] = v
	p.stored++
	return nil
}

// fetch pushes the value that is stored under index i.
func (p *machine) fetch(i uint64) error {
	if chunk := i / memoChunk; chunk < uint64(len(p.memo)) && p.memo[chunk] != nil {
		if v := p.memo[chunk][i%memoChunk]; v != nil {
			return p.push(v)
		}
	}
	return p.malformed("the pickle fetches the value with index %d, which was not stored", i)
}

// set adds alternating keys and values to a dictionary.
func (p *machine) set(target any, items []any) error {
	d, ok := target.(*dict)
	if !ok {
		return p.malformed("the pickle sets an item of %s, want a dictionary", describe(target))
	}
	if len(items)%2 != 0 {
		return p.malformed("the pickle sets a key without a value")
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
		return p.unsupported("the pickle has a dictionary with the key %s, want a string or an integer", describe(key))
	}
	if d.keys == nil {
		d.keys = map[any]struct{}{}
		cost += costKeys
	}
	if err := p.spend(cost); err != nil {
		return err
	}
	if _, dup := d.keys[key]; dup {
		return p.malformed("the pickle has a dictionary with the duplicate key %s", describe(key))
	}
	d.keys[key] = struct{}{}
	d.entries = append(d.entries, entry{key, value})
	return nil
}

// describe names a value in an error text.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%.100q", v)
	case int64:
		return fmt.Sprint(v)
	case bool:
		return "a boolean"
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
