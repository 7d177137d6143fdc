// Package flax reads and writes flax's msgpack checkpoints in both of their
// forms: EasyLM's stream, which is one [key path, bytes] record after the
// other, and flax's single nested map. Keys are joined with "/".
//
// An array is msgpack ext type 1 around (shape, numpy dtype name, raw
// little-endian row-major bytes); one of more than 2^30 bytes is a map of
// chunks. Train states hold other things too (step counters, empty states):
// they are read past. Complex numbers and numpy scalars (ext 2 and 3) are
// refused by name.
//
// The reference accepts a stream that stops anywhere, lets the last of two
// equal keys win, and broadcasts wrong shapes. Here a stream ends at a
// record's end, a key stands once, and shapes are exact.
package flax

import (
	"io"
	"slices"
	"strconv"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

const (
	// maxNesting bounds the depth of maps and lists; train states need about 10.
	maxNesting = 64
	// maxRank is numpy's bound on dimensions.
	maxRank = 32
	// nameCost is about what remembering a name takes beyond its bytes.
	nameCost = 96
)

// The ext types that flax.serialization defines.
const (
	extArray   = 1
	extComplex = 2
	extScalar  = 3
)

// File is what a checkpoint holds.
type File struct {
	Stream  bool // EasyLM's stream, or else one map
	Tensors []tensor.Tensor
}

// Read indexes the checkpoint of size bytes in r; arrays' bytes are passed
// over, not read.
func Read(r io.ReaderAt, size int64) (*File, error) {
	p := parser{Cursor: bounded.NewCursor(r, 0, size), r: r, names: make(map[string]struct{})}
	p.nameBudget = 1<<19 + 16*size
	first, err := p.peek()
	if err != nil {
		return nil, err
	}
	stream := first.kind == kindArray
	for more := true; more; more = stream && p.Left() > 0 {
		if stream {
			err = p.record()
		} else {
			err = p.root(first)
		}
		if err != nil {
			return nil, err
		}
	}
	if p.Left() > 0 {
		return nil, refusal.Malformed(p.Offset(), "", "%d bytes follow the checkpoint's map", p.Left())
	}
	return &File{Stream: stream, Tensors: p.tensors.all()}, nil
}

type parser struct {
	*bounded.Cursor
	r       io.ReaderAt
	tensors tensorList
	names   map[string]struct{} // of records and of arrays

	// nameBudget bounds the memory of names, which nested maps would
	// otherwise multiply far beyond the bytes given.
	nameBudget int64
}

// tensorList grows by blocks: in growing one slice, append would allocate
// five times its size.
type tensorList struct {
	blocks [][]tensor.Tensor
	n      int
}

func (l *tensorList) add(a tensor.Tensor) {
	last := len(l.blocks) - 1
	if last < 0 || len(l.blocks[last]) == cap(l.blocks[last]) {
		l.blocks = append(l.blocks, make([]tensor.Tensor, 0, min(max(l.n, 16), 1024)))
		last++
	}
	l.blocks[last] = append(l.blocks[last], a)
	l.n++
}

func (l *tensorList) all() []tensor.Tensor { return slices.Concat(l.blocks...) }

// peek reads the first token of the file without moving on.
func (p *parser) peek() (token, error) {
	if p.Left() == 0 {
		return token{}, refusal.Truncated(0, "", "file is empty")
	}
	ahead := parser{Cursor: bounded.NewCursor(p.r, 0, p.Left())}
	return ahead.token()
}

// record reads one [key path, bin] of a stream.
func (p *parser) record() error {
	if err := p.expect(kindArray, 2, "a record of two"); err != nil {
		return err
	}
	at := p.Offset()
	name, err := p.keyPath()
	if err != nil {
		return err
	}
	if err := p.claim(at, name); err != nil {
		return err
	}
	t, err := p.token()
	if err != nil {
		return refusal.Named(err, name)
	}
	if t.kind != kindBin {
		return refusal.Malformed(t.at, name, "record holds %v, not bytes", t)
	}
	return refusal.Named(p.Within(t.n, func() error { return p.value(name, 0) }), name)
}

// keyPath reads a list of strings.
func (p *parser) keyPath() (string, error) {
	t, err := p.token()
	if err != nil {
		return "", err
	}
	if t.kind != kindArray {
		return "", refusal.Malformed(t.at, "", "key path is %v, not a list", t)
	}
	var name []byte
	for i := range t.n {
		key, err := p.key()
		if err != nil {
			return "", err
		}
		if i > 0 {
			name = append(name, '/')
		}
		name = append(name, key...)
	}
	return string(name), nil
}

// claim makes sure that a name stands once.
func (p *parser) claim(at int64, name string) error {
	if _, dup := p.names[name]; dup {
		return refusal.Malformed(at, name, "key stands twice")
	}
	if p.nameBudget -= int64(len(name)) + nameCost; p.nameBudget < 0 {
		return refusal.Malformed(at, "", "keys are longer than any checkpoint's")
	}
	p.names[name] = struct{}{}
	return nil
}

// root reads the map of a flax file.
func (p *parser) root(first token) error {
	if first.kind != kindMap {
		return refusal.Malformed(0, "", "file begins with %v: neither a stream's record nor a map", first)
	}
	return p.value("", 0)
}

// value reads whatever msgpack allows at this place; arrays are kept under
// the name, other leaves are passed over.
func (p *parser) value(name string, depth int) error {
	t, err := p.token()
	if err != nil {
		return refusal.Named(err, name)
	}
	if depth > maxNesting {
		return refusal.Malformed(t.at, name, "nested deeper than %d", maxNesting)
	}
	switch t.kind {
	case kindMap:
		return p.mapping(t, name, depth)
	case kindArray:
		return p.list(t, name, depth)
	case kindExt:
		return p.ext(t, name)
	case kindString:
		_, err := p.text(t)
		return refusal.Named(err, name)
	case kindBin:
		return p.Skip(t.n)
	}
	return nil
}

// list reads past a list; flax keeps no arrays in lists, so that one would
// have no name.
func (p *parser) list(t token, name string, depth int) error {
	before := p.tensors.n
	for range t.n {
		if err := p.value(name, depth+1); err != nil {
			return err
		}
	}
	if p.tensors.n > before {
		return refusal.Unsupported(t.at, name, "an array inside a list has no name")
	}
	return nil
}

func (p *parser) ext(t token, name string) error {
	switch t.ext {
	case extArray:
		a, err := p.array(t, name)
		if err == nil {
			p.tensors.add(a)
		}
		return err
	case extComplex:
		return refusal.Unsupported(t.at, name, "a complex number (ext type 2) is no weight")
	case extScalar:
		return refusal.Unsupported(t.at, name, "a numpy scalar (ext type 3) is no weight")
	}
	return refusal.Unsupported(t.at, name, "msgpack ext type %d is not flax's", t.ext)
}

// mapping reads a map: of named values, or of an array's chunks.
func (p *parser) mapping(t token, name string, depth int) error {
	for i := range t.n {
		at := p.Offset()
		key, err := p.key()
		if err != nil {
			return refusal.Named(err, name)
		}
		if key == chunkedMark {
			if i > 0 {
				return refusal.Malformed(at, name, "chunked array's mark is not its first key")
			}
			return p.chunked(t, name)
		}
		child := key
		if name != "" {
			child = name + "/" + key
		}
		if err := p.claim(at, child); err != nil {
			return err
		}
		if err := p.value(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// array reads what lies in an ext of type 1: (shape, dtype name, bytes).
func (p *parser) array(t token, name string) (tensor.Tensor, error) {
	end := p.Offset() + t.n
	if err := p.expect(kindArray, 3, "an array's shape, dtype and bytes"); err != nil {
		return tensor.Tensor{}, refusal.Named(err, name)
	}
	shape, err := p.shape()
	if err != nil {
		return tensor.Tensor{}, refusal.Named(err, name)
	}
	at := p.Offset()
	numpy, err := p.key()
	if err != nil {
		return tensor.Tensor{}, refusal.Named(err, name)
	}
	dt, ok := fromNumpy[numpy]
	if !ok {
		return tensor.Tensor{}, refusal.Unsupported(at, name, "numpy dtype %.40q is not a plain number type", numpy)
	}
	data, err := p.token()
	if err != nil {
		return tensor.Tensor{}, refusal.Named(err, name)
	}
	want, ok := dt.Bytes(shape)
	switch {
	case data.kind != kindBin:
		return tensor.Tensor{}, refusal.Malformed(data.at, name, "array holds %v where its bytes are due", data)
	case !ok || want != data.n:
		return tensor.Tensor{}, refusal.Malformed(data.at, name, "shape %v of %s does not take the %d bytes given", shape, numpy, data.n)
	case p.Offset()+data.n != end:
		return tensor.Tensor{}, refusal.Malformed(t.at, name, "array's parts do not fill its ext of %d bytes", t.n)
	}
	a := tensor.Tensor{Name: name, DType: dt, Shape: shape, Offset: p.Offset()}
	a.Data = io.NewSectionReader(p.r, a.Offset, data.n)
	return a, refusal.Named(p.Skip(data.n), name)
}

// shape reads a list of dimensions.
func (p *parser) shape() ([]int64, error) {
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	if t.kind != kindArray || t.n > maxRank {
		return nil, refusal.Malformed(t.at, "", "shape is %v, not a list of at most %d", t, maxRank)
	}
	shape := make([]int64, t.n)
	for i := range shape {
		if shape[i], err = p.dimension(); err != nil {
			return nil, err
		}
	}
	return shape, nil
}

func (p *parser) dimension() (int64, error) {
	t, err := p.token()
	if err == nil && (t.kind != kindInt || t.n < 0) {
		err = refusal.Malformed(t.at, "", "dimension is %v", t)
	}
	return t.n, err
}

// key reads a string.
func (p *parser) key() (string, error) {
	t, err := p.token()
	if err != nil {
		return "", err
	}
	if t.kind != kindString {
		return "", refusal.Malformed(t.at, "", "key is %v, not a string", t)
	}
	return p.text(t)
}

// expect reads a token of the kind and length.
func (p *parser) expect(k kind, n int64, what string) error {
	t, err := p.token()
	if err == nil && (t.kind != k || t.n != n) {
		err = refusal.Malformed(t.at, "", "%v where %s is due", t, what)
	}
	return err
}

// fromNumpy maps numpy's dtype names to ours. Flax wrote dtype.str ("<f2")
// until October 2020; bfloat16 had no such string of its own.
var fromNumpy = map[string]dtype.Type{
	"float16": "F16", "<f2": "F16", "bfloat16": "BF16", "float32": "F32", "<f4": "F32", "float64": "F64", "<f8": "F64",
	"int8": "I8", "|i1": "I8", "int16": "I16", "<i2": "I16", "int32": "I32", "<i4": "I32", "int64": "I64", "<i8": "I64",
	"uint8": "U8", "|u1": "U8", "uint16": "U16", "<u2": "U16", "uint32": "U32", "<u4": "U32", "uint64": "U64", "<u8": "U64",
	"bool": "BOOL", "|b1": "BOOL",
}

// index is the text of a chunk's or a dimension's number in a map of such.
func index(i int64) string { return strconv.FormatInt(i, 10) }
