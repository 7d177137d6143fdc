// Package gguf reads and writes little-endian GGUF files of versions 2 and 3,
// as docs/gguf.md of ggml-org/ggml describes them. A file consists of the magic
// GGUF, a version, the numbers of tensors and of key-value pairs, the pairs,
// the descriptions of the tensors, and their data, each padded to an alignment.
//
// Read returns the metadata and the tensors of a file, ReadMetadata the
// metadata alone, and Header the bytes in front of the data of a new file.
//
// The rules are those of llama.cpp's reader. It requires, among other things,
// that the data is in the order of the descriptions. This package is stricter:
// the data must reach to the end of the file. Padding must be zero, and only
// the padding of the last tensor may be missing, but all of it, as in files of
// Ollama. Names and keys must be UTF-8, keys have at most 65,535 bytes, and
// names contain no NUL. An alignment is at most 65,536. A boolean is 0 or 1.
// Metadata and descriptions have at most 256 MiB. Arrays of arrays are
// unsupported.
//
// Files are untrusted: each length is compared with the number of bytes left
// before it is used. Errors are *refusal.Error values.
package gguf

import (
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// File is the contents of a file except the data of the tensors.
type File struct {
	*Metadata
	Tensors []tensor.Tensor // in the file's order
}

// The limits of llama.cpp for tensors.
const (
	MaxDims = 4  // the greatest number of dimensions
	MaxName = 63 // the greatest length of a name in bytes, without the NUL that GGML_MAX_NAME includes
)

// Read reads and checks the metadata and the descriptions of the tensors of a
// file of size bytes. It does not read the data of the tensors. Shapes have the
// outermost dimension first, unlike those in the file.
func Read(r io.ReaderAt, size int64) (*File, error) {
	c := reader{bounded.NewCursor(r, 0, size)}
	m, err := c.metadata()
	if err != nil {
		return nil, err
	}
	f := &File{Metadata: m}
	if err := c.tensors(f); err != nil {
		return nil, err
	}
	if err := c.place(f); err != nil {
		return nil, err
	}
	for i := range f.Tensors {
		t := &f.Tensors[i]
		t.Data = io.NewSectionReader(r, t.Offset, t.Bytes())
	}
	return f, nil
}

// tensors reads the descriptions. The data of each tensor must begin where the
// data of the previous one ends, after padding.
func (c reader) tensors(f *File) error {
	names := make(map[string]struct{})
	next := int64(0) // offset of the next tensor's data from the start of the data
	for range f.Count {
		name, err := c.name(names)
		if err != nil {
			return err
		}
		t := tensor.Tensor{Name: name}
		if next, err = c.describe(&t, next, f.Alignment); err != nil {
			return refusal.Named(err, name)
		}
		f.Tensors = append(f.Tensors, t)
	}
	return nil
}

// name reads a tensor's name, which must not be in seen, and adds it to seen.
func (c reader) name(seen map[string]struct{}) (string, error) {
	at := c.Offset()
	name, err := c.text()
	if err != nil {
		return "", err
	}
	if err := checkName(at, name); err != nil {
		return "", err
	}
	if _, dup := seen[name]; dup {
		return "", refusal.Malformed(at, name, "two tensors have the same name")
	}
	seen[name] = struct{}{}
	return name, nil
}

// checkName refuses the names that llama.cpp refuses or truncates.
func checkName(at int64, name string) error {
	if len(name) > MaxName {
		return refusal.Unsupported(at, "", "the tensor's name has %d bytes, but at most %d are allowed", len(name), MaxName)
	}
	if !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
		return refusal.Malformed(at, "", "the tensor's name is not UTF-8 or contains a NUL")
	}
	return nil
}

// describe reads the shape, the type and the offset of a tensor. next is the
// offset that the tensor must have, and describe returns that of the next
// tensor.
func (c reader) describe(t *tensor.Tensor, next, alignment int64) (int64, error) {
	at := c.Offset()
	if err := c.shape(t); err != nil {
		return 0, err
	}
	if err := c.dtype(t); err != nil {
		return 0, err
	}
	n, ok := t.DType.Bytes(t.Shape)
	if !ok {
		return 0, refusal.Malformed(at, "", "the size of shape %v with dtype %s overflows or is not a number of whole blocks", t.Shape, t.DType)
	}
	if err := c.offset(next); err != nil {
		return 0, err
	}
	// The rest of the descriptions precedes the data, so this bound is generous.
	// place checks the exact one.
	if left := c.Left(); n > left-next {
		return 0, refusal.Truncated(at, "", "%d bytes of data at offset %d exceed the file, which has fewer than %d left", n, next, left)
	}
	return roundUp(next+n, alignment), nil
}

// shape reads the dimensions. The file has the innermost dimension first.
func (c reader) shape(t *tensor.Tensor) error {
	at := c.Offset()
	n, err := c.number(4)
	if err != nil {
		return err
	}
	if n > MaxDims {
		return refusal.Malformed(at, "", "the tensor has %d dimensions, but the format allows at most %d", n, MaxDims)
	}
	t.Shape = make([]int64, n)
	for i := range t.Shape {
		at := c.Offset()
		d, err := c.number(8)
		if err != nil {
			return err
		}
		if d > math.MaxInt64 {
			return refusal.Malformed(at, "", "the dimension %d is out of range", d)
		}
		t.Shape[i] = int64(d)
	}
	slices.Reverse(t.Shape)
	return nil
}

func (c reader) dtype(t *tensor.Tensor) error {
	at := c.Offset()
	n, err := c.number(4)
	if err != nil {
		return err
	}
	if t.DType = DType(uint32(n)); t.DType == "" {
		return refusal.Unsupported(at, "", "unknown ggml type %d", n)
	}
	return nil
}

// offset reads the offset of a tensor's data, which must be want.
func (c reader) offset(want int64) error {
	at := c.Offset()
	n, err := c.number(8)
	if err == nil && n != uint64(want) {
		err = refusal.Malformed(at, "", "the tensor has offset %d, but the data of the previous tensors ends at %d", n, want)
	}
	return err
}

// place sets the offsets of the tensors and checks the padding after each.
func (c reader) place(f *File) error {
	if len(f.Tensors) == 0 && c.Left() == 0 {
		return nil // files that hold only a vocabulary have no padding
	}
	if err := c.padding(f.Alignment); err != nil {
		return err
	}
	for i := range f.Tensors {
		t := &f.Tensors[i]
		t.Offset = c.Offset()
		if err := c.Skip(t.Bytes()); err != nil {
			return refusal.Named(err, t.Name)
		}
		if i == len(f.Tensors)-1 && c.Left() == 0 {
			return nil
		}
		if err := c.padding(f.Alignment); err != nil {
			return refusal.Named(err, t.Name)
		}
	}
	if c.Left() > 0 {
		return refusal.Malformed(c.Offset(), "", "%d unexpected bytes follow the last tensor", c.Left())
	}
	return nil
}

// padding reads zeros up to a multiple of the alignment.
func (c reader) padding(alignment int64) error {
	at := c.Offset()
	b, err := c.Bytes(roundUp(at, alignment) - at)
	for i := range b {
		if b[i] != 0 {
			return refusal.Malformed(at+int64(i), "", "the padding is not zero")
		}
	}
	return err
}

// roundUp returns n rounded up to a multiple of to, which must be a power of
// two.
func roundUp(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }
