// Package flax reads and writes the msgpack checkpoints of flax in both of
// their forms: EasyLM's stream of [key path, bytes] records, and flax's single
// nested map.
//
// Read returns the tensors of a checkpoint, and AppendRecord writes the head of
// a record. The name of a tensor joins its keys with "/".
//
// An array is a msgpack ext of type 1 that holds (shape, numpy dtype name, raw
// little-endian row-major data). An array of more than 2^30 bytes is a map of
// chunks. Train states hold other values too, such as step counters and empty
// states, which are skipped. Complex numbers and numpy scalars (ext types 2 and
// 3) are refused.
//
// The reference implementation accepts a stream that is truncated anywhere,
// keeps the last of two equal keys, and broadcasts wrong shapes. Here a stream
// must end with a complete record, keys must be unique, and shapes exact.
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
	// maxNesting is the greatest depth of maps and lists. Train states need
	// about 10.
	maxNesting = 64
	// maxRank is numpy's limit on the number of dimensions.
	maxRank = 32
	// nameCost approximates the memory for a name beyond its own bytes.
	nameCost = 96
)

// The ext types that flax.serialization defines.
const (
	extArray   = 1
	extComplex = 2
	extScalar  = 3
)

// File is the contents of a checkpoint.
type File struct {
	Stream  bool            // Stream reports whether the file is EasyLM's stream rather than a single map.
	Tensors []tensor.Tensor // in the order of the file
}

// Read reads the structure of a checkpoint of size bytes. It does not read the
// data of arrays.
func Read(r io.ReaderAt, size int64) (*File, error) {
	p := parser{Cursor: bounded.NewCursor(r, 0, size), r: r, names: make(map[string]struct{})}
	p.nameBudget = 1<<19 + 16*size
	first, err := p.peek()
	if err != nil {
		return nil, err
	}
	// A record of a stream is a list, and a flax file is a single map.
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
		return nil, refusal.Malformed(p.Offset(), "", "%d unexpected bytes follow the map of the checkpoint", p.Left())
	}
	return &File{Stream: stream, Tensors: p.tensors.all()}, nil
}

type parser struct {
	*bounded.Cursor
	r       io.ReaderAt
	tensors tensorList
	names   map[string]struct{} // of records and of arrays

	// nameBudget bounds the memory for names. Nested maps repeat the keys above
	// them in every name, far beyond the size of the file.
	nameBudget int64
}

// tensorList is a list that grows in blocks. Growing a single slice with append
// allocates five times its size.
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

// peek reads the first token of the file without consuming it.
func (p *parser) peek() (token, error) {
	if p.Left() == 0 {
		return token{}, refusal.Truncated(0, "", "the file is empty")
	}
	ahead := parser{Cursor: bounded.NewCursor(p.r, 0, p.Left())}
	return ahead.token()
}

// record reads one [key path, bytes] record of a stream.
func (p *parser) record() error {
	if err := p.expect(kindArray, 2, "a record of two items"); err != nil {
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
		return refusal.Malformed(t.at, name, "the record holds %v, want bytes", t)
	}
	return refusal.Named(p.Within(t.n, func() error { return p.value(name, 0) }), name)
}

// keyPath reads a list of keys and returns the name.
func (p *parser) keyPath() (string, error) {
	t, err := p.token()
	if err != nil {
		return "", err
	}
	if t.kind != kindArray {
		return "", refusal.Malformed(t.at, "", "the key path is %v, want a list", t)
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

// claim checks that a name is unique, and records it.
func (p *parser) claim(at int64, name string) error {
	if _, dup := p.names[name]; dup {
		return refusal.Malformed(at, name, "duplicate key")
	}
	if p.nameBudget -= int64(len(name)) + nameCost; p.nameBudget < 0 {
		return refusal.Malformed(at, "", "the names built from nested keys are far longer than the file needs")
	}
	p.names[name] = struct{}{}
	return nil
}

// root reads the map of a flax file.
func (p *parser) root(first token) error {
	if first.kind != kindMap {
		return refusal.Malformed(0, "", "the file begins with %v, want the record of a stream or a map", first)
	}
	return p.value("", 0)
}

// value reads any msgpack value. It keeps an array under the given name, and
// skips other leaves.
func (p *parser) value(name string, depth int) error {
	t, err := p.token()
	if err != nil {
		return refusal.Named(err, name)
	}
	if depth > maxNesting {
		return refusal.Malformed(t.at, name, "the values are nested deeper than %d", maxNesting)
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

// list skips a list. flax keeps no arrays in lists, where they would have no
// name.
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
		return refusal.Unsupported(t.at, name, "a complex number (ext type 2) cannot be a weight")
	case extScalar:
		return refusal.Unsupported(t.at, name, "a numpy scalar (ext type 3) cannot be a weight")
	}
	return refusal.Unsupported(t.at, name, "flax does not define the msgpack ext type %d", t.ext)
}

// mapping reads a map of named values, or a chunked array.
func (p *parser) mapping(t token, name string, depth int) error {
	for i := range t.n {
		at := p.Offset()
		key, err := p.key()
		if err != nil {
			return refusal.Named(err, name)
		}
		if key == chunkedMark {
			if i > 0 {
				return refusal.Malformed(at, name, "the marker of a chunked array is not its first key")
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

// array reads the body of an ext of type 1: (shape, dtype name, bytes).
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
		return tensor.Tensor{}, refusal.Unsupported(at, name, "the numpy dtype %.40q is not a plain number type", numpy)
	}
	data, err := p.token()
	if err != nil {
		return tensor.Tensor{}, refusal.Named(err, name)
	}
	want, ok := dt.Bytes(shape)
	switch {
	case data.kind != kindBin:
		return tensor.Tensor{}, refusal.Malformed(data.at, name, "the array holds %v, want its bytes", data)
	case !ok || want != data.n:
		return tensor.Tensor{}, refusal.Malformed(data.at, name, "shape %v with dtype %s does not match the %d bytes of data", shape, numpy, data.n)
	case p.Offset()+data.n != end:
		return tensor.Tensor{}, refusal.Malformed(t.at, name, "the array does not fill its ext of %d bytes", t.n)
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
		return nil, refusal.Malformed(t.at, "", "the shape is %v, want a list of at most %d", t, maxRank)
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
		err = refusal.Malformed(t.at, "", "the dimension is %v, want an integer from 0 on", t)
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
		return "", refusal.Malformed(t.at, "", "the key is %v, want a string", t)
	}
	return p.text(t)
}

// expect reads a token of the given kind and length.
func (p *parser) expect(k kind, n int64, what string) error {
	t, err := p.token()
	if err == nil && (t.kind != k || t.n != n) {
		err = refusal.Malformed(t.at, "", "the file has %v, want %s", t, what)
	}
	return err
}

// fromNumpy maps numpy's dtype names to dtypes. Until October 2020 flax wrote
// dtype.str ("<f2") instead of the name. bfloat16 has no such string.
var fromNumpy = map[string]dtype.Type{
	"float16": "F16", "<f2": "F16", "bfloat16": "BF16", "float32": "F32", "<f4": "F32", "float64": "F64", "<f8": "F64",
	"int8": "I8", "|i1": "I8", "int16": "I16", "<i2": "I16", "int32": "I32", "<i4": "I32", "int64": "I64", "<i8": "I64",
	"uint8": "U8", "|u1": "U8", "uint16": "U16", "<u2": "U16", "uint32": "U32", "<u4": "U32", "uint64": "U64", "<u8": "U64",
	"bool": "BOOL", "|b1": "BOOL",
}

// index returns the key of the i-th item in a map of numbered items.
func index(i int64) string { return strconv.FormatInt(i, 10) }
