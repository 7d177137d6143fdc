// Package gguf reads and writes the GGUF format, versions 2 and 3,
// little-endian, as docs/gguf.md of ggml-org/ggml describes it: the magic
// GGUF, a version, the numbers of tensors and of key-value pairs, the pairs,
// the tensors' descriptions, and their data, each padded to an alignment.
//
// The rules are those of llama.cpp's reader, among them that the data lie one
// after the other in the order of the descriptions, and some of our own, all
// stricter: the data reach to the end of the file; padding is zero, and only
// that of the last tensor may be missing, all of it, as Ollama leaves it out;
// names and keys are UTF-8, keys of at most 65,535 bytes, names without NUL;
// an alignment is at most 65,536; a truth value is 0 or 1; metadata and
// descriptions take at most 256 MiB. Arrays of arrays are not read.
//
// Files are untrusted: no length is believed before it is compared with what
// is left. Errors are *refusal.Error values.
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

// File is all of a file but the tensors' data.
type File struct {
	*Metadata
	Tensors []tensor.Tensor // in the file's order
}

// The limits that llama.cpp sets for tensors.
const (
	MaxDims = 4  // dimensions
	MaxName = 63 // bytes of a name; GGML_MAX_NAME counts a NUL besides
)

// Read reads the metadata and the tensors' descriptions of a file of size
// bytes and checks that they cover it; no tensor's data is touched. Shapes
// have the outermost dimension first, though the file has it last.
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

// tensors reads the descriptions. The data of each must begin where those of
// the ones before end.
func (c reader) tensors(f *File) error {
	names := make(map[string]struct{})
	next := int64(0) // counted from where the data begin
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

// name reads a tensor's name, which none of the seen ones may be.
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
		return "", refusal.Malformed(at, name, "duplicate tensor")
	}
	seen[name] = struct{}{}
	return name, nil
}

// checkName refuses the names that llama.cpp does not load, or cuts off.
func checkName(at int64, name string) error {
	if len(name) > MaxName {
		return refusal.Unsupported(at, "", "a tensor's name of %d bytes, over %d", len(name), MaxName)
	}
	if !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
		return refusal.Malformed(at, "", "a tensor's name is not UTF-8 or has a NUL")
	}
	return nil
}

// describe reads the shape, the type and the offset, and returns where the
// data of the next tensor begin.
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
		return 0, refusal.Malformed(at, "", "shape %v of %s has no valid size", t.Shape, t.DType)
	}
	if err := c.offset(next); err != nil {
		return 0, err
	}
	if left := c.Left(); n > left-next {
		return 0, refusal.Truncated(at, "", "the data of %d bytes begin at %d, the file has less than %d", n, next, left)
	}
	return roundUp(next+n, alignment), nil
}

// shape reads the dimensions, of which the file has the innermost first.
func (c reader) shape(t *tensor.Tensor) error {
	at := c.Offset()
	n, err := c.number(4)
	if err != nil {
		return err
	}
	if n > MaxDims {
		return refusal.Malformed(at, "", "%d dimensions, the format has at most %d", n, MaxDims)
	}
	t.Shape = make([]int64, n)
	for i := range t.Shape {
		at := c.Offset()
		d, err := c.number(8)
		if err != nil {
			return err
		}
		if d > math.MaxInt64 {
			return refusal.Malformed(at, "", "a dimension of %d", d)
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
		return refusal.Unsupported(at, "", "ggml type %d", n)
	}
	return nil
}

// offset reads where the data begin, which must be where those of the tensors
// before end, rounded up to the alignment.
func (c reader) offset(want int64) error {
	at := c.Offset()
	n, err := c.number(8)
	if err == nil && n != uint64(want) {
		err = refusal.Malformed(at, "", "offset %d, but the data of the tensors before take %d bytes", n, want)
	}
	return err
}

// place walks over the data.
func (c reader) place(f *File) error {
	if len(f.Tensors) == 0 && c.Left() == 0 {
		return nil // a vocabulary alone is written without padding
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
		return refusal.Malformed(c.Offset(), "", "%d bytes follow the last tensor", c.Left())
	}
	return nil
}

// padding reads zeros up to a multiple of the alignment.
func (c reader) padding(alignment int64) error {
	at := c.Offset()
	b, err := c.Bytes(roundUp(at, alignment) - at)
	for i := range b {
		if b[i] != 0 {
			return refusal.Malformed(at+int64(i), "", "padding that is not zero")
		}
	}
	return err
}

// roundUp is the next multiple of a power of two.
func roundUp(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }
