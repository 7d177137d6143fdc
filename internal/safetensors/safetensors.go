// Package safetensors reads and writes the safetensors format: a 64-bit header
// length, a JSON header, and the data of the tensors without gaps.
//
// Read returns the tensors of a file, and Header the bytes in front of the data
// of a new file.
//
// The rules are those of the reference implementation (safetensors 0.8, Rust).
// This package is stricter in that it also refuses duplicate names and fields,
// fields other than dtype, shape and data_offsets, and lone surrogates.
package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/internal/tensor"
)

// MaxHeader is the reference's limit on the length of the header in bytes.
const MaxHeader = 100_000_000

// prefix is the size in bytes of the header length.
const prefix = 8

// metadataName is the only name in the header that does not name a tensor.
const metadataName = "__metadata__"

// File is the header of a safetensors file.
type File struct {
	Tensors  []tensor.Tensor   // in the order of their data in the file
	Metadata map[string]string // the strings under __metadata__
}

// Read reads and checks the header of a file of size bytes. It does not read
// the data of the tensors.
func Read(r io.ReaderAt, size int64) (*File, error) {
	header, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	p := parser{json: strictjson.New(header, prefix), data: prefix + int64(len(header)), end: size}
	if err := p.header(); err != nil {
		return nil, err
	}
	if err := p.place(); err != nil {
		return nil, err
	}
	f := &File{Tensors: make([]tensor.Tensor, len(p.entries)), Metadata: p.metadata}
	for i, e := range p.entries {
		f.Tensors[i] = tensor.Tensor{
			Name: e.name, DType: e.dtype, Shape: e.shape, Offset: p.data + e.begin,
			Data: io.NewSectionReader(r, p.data+e.begin, e.end-e.begin),
		}
	}
	return f, nil
}

// readHeader checks the length against the size of the file before it allocates
// memory for the header.
func readHeader(r io.ReaderAt, size int64) ([]byte, error) {
	if size < prefix {
		return nil, refusal.Truncated(size, "", "the file of %d bytes is too short for a header length", size)
	}
	var b [prefix]byte
	if err := bounded.ReadFull(r, b[:], 0); err != nil {
		return nil, &refusal.Error{Offset: 0, Err: err}
	}
	n := binary.LittleEndian.Uint64(b[:])
	switch {
	case n > MaxHeader:
		return nil, refusal.Malformed(0, "", "the header length %d exceeds the format's limit of %d", n, MaxHeader)
	case int64(n) > size-prefix:
		return nil, refusal.Truncated(0, "", "a header of %d bytes is announced, but only %d are left", n, size-prefix)
	}
	header := make([]byte, n)
	if err := bounded.ReadFull(r, header, prefix); err != nil {
		return nil, &refusal.Error{Offset: prefix, Err: err}
	}
	if n == 0 || header[0] != '{' {
		return nil, refusal.Malformed(prefix, "", "the header does not begin with '{'")
	}
	return header, nil
}

// entry is one tensor of the header. begin and end count from the start of the
// data.
type entry struct {
	name       string
	dtype      dtype.Type
	shape      []int64
	begin, end int64
	at         int64 // file offset of the entry in the header
}

type parser struct {
	json      *strictjson.Reader
	data, end int64 // the file offsets of the data and of the end of the file
	entries   []entry
	metadata  map[string]string
}

func (p *parser) header() error {
	err := p.json.Object(func(name string) error {
		if name == metadataName {
			return p.readMetadata()
		}
		return p.readEntry(name)
	})
	if err != nil {
		return err
	}
	return p.json.End()
}

func (p *parser) readMetadata() (err error) {
	p.metadata, err = p.json.StringMap()
	return err
}

func (p *parser) readEntry(name string) error {
	e := entry{name: name, at: p.json.Offset()}
	fields := 0
	err := p.json.Object(func(field string) (err error) {
		fields++
		switch field {
		case "dtype":
			var spelt string
			spelt, err = p.json.String()
			e.dtype = dtype.Type(spelt)
		case "shape":
			err = p.json.Array(func() error { return p.appendUint(&e.shape) })
		case "data_offsets":
			err = p.readOffsets(&e)
		default:
			err = refusal.Malformed(p.json.Offset(), name, "unknown field %q in the tensor's entry", field)
		}
		return err
	})
	if err != nil {
		return refusal.Named(err, name)
	}
	// The three known fields are unique, so that three fields are all of them.
	if fields != 3 {
		return refusal.Malformed(e.at, name, "the entry lacks dtype, shape or data_offsets")
	}
	p.entries = append(p.entries, e)
	return p.checkSize(&e)
}

func (p *parser) appendUint(list *[]int64) error {
	n, err := p.json.Uint()
	*list = append(*list, n)
	return err
}

func (p *parser) readOffsets(e *entry) error {
	var offsets []int64
	at := p.json.Offset()
	if err := p.json.Array(func() error { return p.appendUint(&offsets) }); err != nil {
		return err
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return refusal.Malformed(at, e.name, "data_offsets %s are not a start and an end", brief(offsets))
	}
	e.begin, e.end = offsets[0], offsets[1]
	return nil
}

// checkSize compares the size that shape and dtype give with the size that the
// offsets give.
func (p *parser) checkSize(e *entry) error {
	if e.dtype.Bits() == 0 {
		return refusal.Unsupported(e.at, e.name, "unknown dtype %q", e.dtype)
	}
	want, ok := e.dtype.Bytes(e.shape)
	if !ok {
		return refusal.Malformed(e.at, e.name, "the size of shape %s with dtype %s overflows or is not a whole number of bytes", brief(e.shape), e.dtype)
	}
	if have := e.end - e.begin; have != want {
		return refusal.Malformed(e.at, e.name, "shape %s with dtype %s takes %d bytes, but data_offsets give %d", brief(e.shape), e.dtype, want, have)
	}
	return nil
}

// brief formats at most eight numbers of a list. A file may contain a list of
// millions.
func brief(list []int64) string {
	if len(list) > 8 {
		return fmt.Sprintf("%v… (%d in all)", list[:8], len(list))
	}
	return fmt.Sprint(list)
}

// place sorts the entries by offset and checks that their data covers the file
// exactly, without gaps and overlaps.
func (p *parser) place() error {
	slices.SortStableFunc(p.entries, func(a, b entry) int {
		if a.begin != b.begin {
			return cmp.Compare(a.begin, b.begin)
		}
		return cmp.Compare(a.end, b.end)
	})
	next := int64(0)
	for _, e := range p.entries {
		switch {
		case e.begin > next:
			return refusal.Malformed(e.at, e.name, "%d bytes before this tensor's data belong to no tensor", e.begin-next)
		case e.begin < next:
			return refusal.Malformed(e.at, e.name, "the tensor's data overlaps another tensor's by %d bytes", next-e.begin)
		}
		next = e.end
	}
	switch have := p.end - p.data; {
	case next > have:
		return refusal.Truncated(p.end, "", "the tensors need %d bytes of data, but the file has %d", next, have)
	case next < have:
		return refusal.Malformed(p.data+next, "", "%d unexpected bytes follow the last tensor", have-next)
	}
	return nil
}

// maxSize bounds sums of sizes, so that adding one more size cannot overflow.
const maxSize = math.MaxInt64 / 4
