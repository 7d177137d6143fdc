package torchfile

import (
	"encoding/binary"
)

// actions maps each opcode that the machine supports to its method: the opcodes
// that picklers of protocols 2 to 5 use for dictionaries, tuples, strings and
// numbers. The codes are those of Python's pickletools.
var actions = [256]func(*machine) error{
	// values
	'N':  push(none{}),
	0x88: push(true),
	0x89: push(false),
	'K':  (*machine).binint1,
	'M':  (*machine).binint2,
	'J':  (*machine).binint,
	0x8a: func(p *machine) error { return p.long(1) },
	0x8b: func(p *machine) error { return p.long(4) },
	'G':  func(p *machine) error { return p.skipped(p.bytes(8)) },
	'X':  func(p *machine) error { return p.pushText(4) },
	0x8c: func(p *machine) error { return p.pushText(1) },
	0x8d: func(p *machine) error { return p.pushText(8) },
	'B':  func(p *machine) error { return p.skipped(p.sized(4)) },
	'C':  func(p *machine) error { return p.skipped(p.sized(1)) },
	0x8e: func(p *machine) error { return p.skipped(p.sized(8)) },
	0x96: func(p *machine) error { return p.skipped(p.sized(8)) },

	// collections
	')':  push(tuple{}),
	0x85: func(p *machine) error { return p.tupleOf(1) },
	0x86: func(p *machine) error { return p.tupleOf(2) },
	0x87: func(p *machine) error { return p.tupleOf(3) },
	't':  (*machine).tuple,
	']':  push(list{}),
	'a':  (*machine).append,
	'e':  (*machine).appends,
	'}':  func(p *machine) error { return p.pushDict(false) },
	's':  (*machine).setitem,
	'u':  (*machine).setitems,

	// objects that the allowlist permits
	'c':  (*machine).global,
	0x93: (*machine).stackGlobal,
	'i':  (*machine).inst,
	'R':  (*machine).reduce,
	'b':  (*machine).build,
	'Q':  (*machine).persid,

	// the machine's own state
	'(':  push(mark{}),
	'q':  func(p *machine) error { return p.storeAs(1) },
	'r':  func(p *machine) error { return p.storeAs(4) },
	0x94: func(p *machine) error { return p.store(uint64(p.stored)) },
	'h':  func(p *machine) error { return p.fetchFrom(1) },
	'j':  func(p *machine) error { return p.fetchFrom(4) },
	0x95: (*machine).frame,
}

// refused names the remaining opcodes.
var refused = [256]string{
	'0': "POP", '1': "POP_MARK", '2': "DUP", 'F': "FLOAT", 'I': "INT", 'L': "LONG", 'S': "STRING", 'T': "BINSTRING",
	'U': "SHORT_BINSTRING", 'V': "UNICODE", 'P': "PERSID", 'd': "DICT", 'l': "LIST", 'g': "GET", 'p': "PUT", 'o': "OBJ",
	0x80: "a second PROTO", 0x81: "NEWOBJ", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x8f: "EMPTY_SET",
	0x90: "ADDITEMS", 0x91: "FROZENSET", 0x92: "NEWOBJ_EX", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
}

// push returns the action of an opcode that pushes a constant.
func push(v any) func(*machine) error {
	return func(p *machine) error { return p.push(v) }
}

func (p *machine) pushInt(n int64) error {
	if err := p.spend(costBoxed); err != nil {
		return err
	}
	return p.push(n)
}

func (p *machine) binint1() error {
	n, err := p.number(1)
	if err != nil {
		return err
	}
	return p.pushInt(int64(n))
}

func (p *machine) binint2() error {
	n, err := p.number(2)
	if err != nil {
		return err
	}
	return p.pushInt(int64(n))
}

func (p *machine) binint() error {
	n, err := p.number(4)
	if err != nil {
		return err
	}
	return p.pushInt(int64(int32(n)))
}

// long pushes an integer in two's complement that is preceded by its length, an
// integer of n bytes.
func (p *machine) long(n uint64) error {
	s, err := p.sized(n)
	if err != nil || len(s) > 8 {
		return p.skipped(s, err)
	}
	var full [8]byte
	copy(full[:], s)
	unused := 8 * (8 - len(s))
	return p.pushInt(int64(binary.LittleEndian.Uint64(full[:])) << unused >> unused)
}

// skipped pushes a placeholder for a value that no tensor needs.
func (p *machine) skipped(_ string, err error) error {
	if err != nil {
		return err
	}
	return p.push(other{})
}

func (p *machine) storeAs(n uint64) error {
	i, err := p.number(n)
	if err != nil {
		return err
	}
	return p.store(i)
}

func (p *machine) fetchFrom(n uint64) error {
	i, err := p.number(n)
	if err != nil {
		return err
	}
	return p.fetch(i)
}

// frame checks a frame's length. Only readers with a buffer need frames: the
// opcodes in the frame are read one by one.
func (p *machine) frame() error {
	n, err := p.number(8)
	if err != nil {
		return err
	}
	at := p.pos
	_, err = p.bytes(n)
	p.pos = at
	return err
}

func (p *machine) pushTuple(items []any) error {
	if err := p.spend(costBoxed * (2 + len(items))); err != nil {
		return err
	}
	return p.push(append(make(tuple, 0, len(items)), items...))
}

// tupleOf pushes a tuple of the last n values.
func (p *machine) tupleOf(n int) error {
	var items [3]any
	for i := n - 1; i >= 0; i-- {
		v, err := p.pop()
		if err != nil {
			return err
		}
		items[i] = v
	}
	return p.pushTuple(items[:n])
}

func (p *machine) tuple() error {
	items, err := p.popMark()
	if err != nil {
		return err
	}
	return p.pushTuple(items)
}

// isList checks that the last value is a list.
func (p *machine) isList() error {
	v, err := p.top()
	if err != nil {
		return err
	}
	if _, ok := v.(list); !ok {
		return p.malformed("the pickle appends to %s, want a list", describe(v))
	}
	return nil
}

func (p *machine) append() error {
	if _, err := p.pop(); err != nil {
		return err
	}
	return p.isList()
}

func (p *machine) appends() error {
	if _, err := p.popMark(); err != nil {
		return err
	}
	return p.isList()
}

func (p *machine) pushDict(ordered bool) error {
	if err := p.spend(costDict); err != nil {
		return err
	}
	return p.push(&dict{ordered: ordered, at: p.at()})
}

func (p *machine) setitem() error {
	value, err := p.pop()
	if err != nil {
		return err
	}
	key, err := p.pop()
	if err != nil {
		return err
	}
	target, err := p.top()
	if err != nil {
		return err
	}
	return p.set(target, []any{key, value})
}

func (p *machine) setitems() error {
	items, err := p.popMark()
	if err != nil {
		return err
	}
	target, err := p.top()
	if err != nil {
		return err
	}
	return p.set(target, items)
}
