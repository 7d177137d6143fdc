package torchfile

import (
	"strings"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
)

// The known globals other than the classes of storages.
const (
	orderedDict      = global("collections.OrderedDict")
	rebuildTensor    = global("torch._utils._rebuild_tensor_v2")
	rebuildParameter = global("torch._utils._rebuild_parameter")
)

// storageTypes maps torch's classes of storages to their dtypes.
var storageTypes = map[string]dtype.Type{
	"DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
	"LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8", "BoolStorage": "BOOL",
}

// pushGlobal pushes a global of the allowlist. No other function gives a name
// in a pickle a meaning.
func (p *machine) pushGlobal(module, name string) error {
	if dt, ok := storageTypes[name]; ok && module == "torch" {
		return p.push(dt)
	}
	for _, g := range []global{orderedDict, rebuildTensor, rebuildParameter} {
		if at := strings.LastIndexByte(string(g), '.'); module == string(g[:at]) && name == string(g[at+1:]) {
			return p.push(g)
		}
	}
	return p.unsupported("the pickle refers to %.100s.%.100s, which is not one of the allowed globals", quotable(module), quotable(name))
}

// quotable replaces the characters of a file's text that do not belong in an
// error text.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return '?'
		}
		return r
	}, s[:min(len(s), 400)])
}

// lines reads the two lines that name a global.
func (p *machine) lines() (module, name string, err error) {
	if module, err = p.line(); err != nil {
		return "", "", err
	}
	name, err = p.line()
	return module, name, err
}

func (p *machine) global() error {
	module, name, err := p.lines()
	if err != nil {
		return err
	}
	return p.pushGlobal(module, name)
}

func (p *machine) stackGlobal() error {
	name, err := p.pop()
	if err != nil {
		return err
	}
	module, err := p.pop()
	if err != nil {
		return err
	}
	m, ok1 := module.(string)
	n, ok2 := name.(string)
	if !ok1 || !ok2 {
		return p.malformed("the pickle refers to a global by %s and %s, want two strings", describe(module), describe(name))
	}
	return p.pushGlobal(m, n)
}

// inst refuses the opcode INST of old protocols, which names a class and calls
// it.
func (p *machine) inst() error {
	module, name, err := p.lines()
	if err != nil {
		return err
	}
	return p.unsupported("the pickle makes an instance of %.100s.%.100s with the opcode INST", quotable(module), quotable(name))
}

// reduce pushes the result of a call. It knows three functions.
func (p *machine) reduce() error {
	v, err := p.pop()
	if err != nil {
		return err
	}
	f, err := p.pop()
	if err != nil {
		return err
	}
	args, ok := v.(tuple)
	if !ok {
		return p.malformed("the pickle calls %s with %s, want a tuple", describe(f), describe(v))
	}
	switch f {
	case orderedDict:
		if len(args) > 0 {
			return p.unsupported("the pickle makes an OrderedDict from %d arguments, want none", len(args))
		}
		return p.pushDict(true)
	case rebuildTensor:
		return p.pushTensor(args)
	case rebuildParameter:
		return p.pushParameter(args)
	}
	return p.unsupported("the pickle calls %s, which is not an allowed function", describe(f))
}

// build sets the attributes of an object. Only an OrderedDict may have
// attributes, and only _metadata, which is dropped.
func (p *machine) build() error {
	state, err := p.pop()
	if err != nil {
		return err
	}
	target, err := p.top()
	if err != nil {
		return err
	}
	if d, ok := target.(*dict); !ok || !d.ordered {
		return p.unsupported("the pickle sets attributes of %s with the opcode BUILD", describe(target))
	}
	s, ok := state.(*dict)
	if !ok {
		return p.unsupported("the pickle sets the attributes of an OrderedDict to %s, want a dictionary", describe(state))
	}
	for _, e := range s.entries {
		if e.key != "_metadata" {
			return p.unsupported("the pickle sets the attribute %s of an OrderedDict, want _metadata", describe(e.key))
		}
	}
	return nil
}

// storage is a contiguous sequence of elements, and the member that holds it.
type storage struct {
	key   string // of the member, below data/
	dtype dtype.Type
	numel int64   // number of elements
	at    int64   // file offset of the opcode that refers to it
	found *member // set by check
}

// persid pushes the storage that a persistent id refers to. The id is the tuple
// ("storage", class, key, location, number of elements).
func (p *machine) persid() error {
	v, err := p.pop()
	if err != nil {
		return err
	}
	id, ok := v.(tuple)
	if !ok || len(id) != 5 || id[0] != "storage" {
		return p.malformed("the pickle has the persistent id %s, want that of a storage", describe(v))
	}
	dt, ok1 := id[1].(dtype.Type)
	key, ok2 := id[2].(string)
	_, ok3 := id[3].(string)
	numel, ok4 := id[4].(int64)
	if !ok1 || !ok2 || !ok3 || !ok4 || numel < 0 {
		return p.malformed("the pickle refers to a storage by (%s, %s, %s, %s), want (class, key, location, number of elements)", describe(id[1]), describe(id[2]), describe(id[3]), describe(id[4]))
	}
	if err := p.spend(len(key)); err != nil {
		return err
	}
	if s := p.byKey[key]; s != nil {
		if s.dtype != dt || s.numel != numel {
			return p.malformed("the pickle describes storage %.100q both as %d × %s and as %d × %s", key, s.numel, s.dtype, numel, dt)
		}
		return p.push(s)
	}
	return p.addStorage(&storage{key: key, dtype: dt, numel: numel, at: p.at()})
}

func (p *machine) addStorage(s *storage) error {
	if err := p.spend(costEntry); err != nil {
		return err
	}
	p.byKey[s.key] = s
	p.storages = append(p.storages, s)
	return p.push(s)
}

// itemSize returns the size of one element in bytes.
func (s *storage) itemSize() int64 { return s.dtype.Bits() / 8 }

// check returns the member of the storage. As torch.load requires, the member
// must exist and hold exactly the storage's elements.
func (s *storage) check(z *archive, name string) (*member, error) {
	if s.found != nil {
		return s.found, nil // avoids a lookup per tensor: keys may be long, and tensors many
	}
	m := z.member("data/" + s.key)
	if m == nil {
		return nil, refusal.Malformed(s.at, name, "storage %.100q is not in the zip archive", s.key)
	}
	if item := s.itemSize(); m.size%item != 0 || s.numel != m.size/item {
		return nil, refusal.Malformed(s.at, name, "storage %.100q has %d × %s, but its member has %d bytes", s.key, s.numel, s.dtype, m.size)
	}
	s.found = m
	return m, nil
}
