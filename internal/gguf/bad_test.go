package gguf_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

// The numbers of types in ggml.
const (
	f32  = 0
	f16  = 1
	q4k  = 12
	q8   = 8
	bf16 = 30
)

// info returns the description of a tensor. dims has the innermost dimension
// first.
func info(name string, dt uint32, offset uint64, dims ...uint64) []byte {
	b := cat(str(name), u32(uint32(len(dims))))
	for _, d := range dims {
		b = append(b, u64(d)...)
	}
	return cat(b, u32(dt), u64(offset))
}

// list is a list of encoded pairs or descriptions.
type list = [][]byte

// model returns a file whose data begins at a multiple of alignment.
func model(alignment int, pairs, infos list, data []byte) []byte {
	b := cat([]byte("GGUF"), u32(3), u64(uint64(len(infos))), u64(uint64(len(pairs))), cat(pairs...), cat(infos...))
	return cat(b, make([]byte, -len(b)&(alignment-1)), data)
}

// numbered returns n bytes of nonzero data, padded with zeros to a multiple of
// 32.
func numbered(n int) []byte {
	b := make([]byte, (n+31)&^31)
	for i := range n {
		b[i] = byte(i%255) + 1
	}
	return b
}

func readFile(b []byte) error {
	_, err := gguf.Read(bytes.NewReader(b), int64(len(b)))
	return err
}

// Offsets in a file without pairs. The first description follows the two
// counts. In the description of a tensor named "a" the number of dimensions
// follows 9 bytes later, and so on.
const (
	first   = 24
	dims    = first + 9
	noType  = dims + 4 // the type, if the tensor has no dimensions
	dim     = 8        // the size of a dimension
	offsets = 4        // from the type to the offset
)

func TestBadDescriptions(t *testing.T) {
	malformed, unsupported, short := refusal.ErrMalformed, refusal.ErrUnsupported, io.ErrUnexpectedEOF
	one := func(name string, kind error, offset int64, tensor string, info []byte) refusaltest.Bad {
		return refusaltest.Bad{Name: name, Bytes: model(32, nil, list{info}, numbered(64)), Kind: kind, Offset: offset, Tensor: tensor}
	}
	rows := []refusaltest.Bad{
		one("long name", short, first, "", cat(u64(1<<62), make([]byte, 40))),
		one("name of 64 bytes", unsupported, first, "", info(strings.Repeat("a", 64), f32, 0, 4)),
		one("name of 65,536 bytes", unsupported, first, "", info(strings.Repeat("a", 1<<16), f32, 0, 4)),
		one("name with a NUL", malformed, first, "", info("a\x00", f32, 0, 4)),
		one("name not UTF-8", malformed, first, "", info("a\xff", f32, 0, 4)),
		one("5 dimensions", malformed, dims, "a", info("a", f32, 0, 1, 1, 1, 1, 1)),
		one("2^32-1 dimensions", malformed, dims, "a", cat(str("a"), u32(math.MaxUint32), make([]byte, 40))),
		one("dimension of 2^63", malformed, dims+4, "a", info("a", f32, 0, 1<<63)),
		one("dimension of 2^64-1", malformed, dims+4+dim, "a", info("a", f32, 0, 4, math.MaxUint64)),
		one("product of 2^64", malformed, dims, "a", info("a", f32, 0, 1<<32, 1<<32)),
		one("product of 2^64 before a zero", malformed, dims, "a", info("a", f32, 0, 0, 1<<32, 1<<32)),
		one("product of 4 dimensions", malformed, dims, "a", info("a", f32, 0, 1<<16, 1<<16, 1<<16, 1<<16)),
		one("bytes of 2^64", malformed, dims, "a", info("a", f32, 0, 1<<62)),
		one("bytes of 2^59", short, dims, "a", info("a", f16, 0, 1<<58)),
		one("a scalar in blocks", malformed, dims, "a", info("a", q8, 0)),
		one("part of a block", malformed, dims, "a", info("a", q8, 0, 33)),
		one("blocks across rows", malformed, dims, "a", info("a", q8, 0, 16, 2)),
		one("part of a block of 256", malformed, dims, "a", info("a", q4k, 0, 32)),
		one("type 4, given up", unsupported, noType, "a", info("a", 4, 0)),
		one("type 31, given up", unsupported, noType+dim, "a", info("a", 31, 0, 32)),
		one("type 36, given up", unsupported, noType+dim, "a", info("a", 36, 0, 32)),
		one("type 42", unsupported, noType+2*dim, "a", info("a", 42, 0, 32, 2)),
		one("type 2^32-1", unsupported, noType+dim, "a", info("a", math.MaxUint32, 0, 32)),
		one("offset 1", malformed, noType+dim+offsets, "a", info("a", f32, 1, 4)),
		one("offset 32 of the first", malformed, noType+dim+offsets, "a", info("a", f32, 32, 4)),
		one("offset 2^64-32", malformed, noType+dim+offsets, "a", info("a", f32, math.MaxUint64-31, 4)),
		{Name: "no description", Bytes: cat([]byte("GGUF"), u32(3), u64(1), u64(0), str("a"), make([]byte, 14)), Kind: short, Offset: 8},
		{Name: "cut in the offset of a scalar", Bytes: cat([]byte("GGUF"), u32(3), u64(1), u64(0), info("a", f32, 0)[:24]), Kind: short, Offset: noType + offsets, Tensor: "a"},
		{Name: "cut in the name", Bytes: cat([]byte("GGUF"), u32(3), u64(1), u64(0), u64(24), make([]byte, 23)), Kind: short, Offset: first},
		{Name: "cut in the dimensions", Bytes: cat([]byte("GGUF"), u32(3), u64(1), u64(0), str("a"), u32(2), u64(1), make([]byte, 7)), Kind: short, Offset: dims + 4 + dim, Tensor: "a"},
		{Name: "cut in the offset", Bytes: cat([]byte("GGUF"), u32(3), u64(1), u64(0), info("a", f32, 0, 1)[:30]), Kind: short, Offset: noType + dim + offsets, Tensor: "a"},
	}
	refusaltest.Run(t, rows, readFile)
}

func TestBadData(t *testing.T) {
	malformed, short := refusal.ErrMalformed, io.ErrUnexpectedEOF
	a, b := info("a", f32, 0, 4), func(offset uint64) []byte { return info("b", f16, offset, 3, 5) }
	two := list{a, b(32)}
	second := int64(first + len(a))
	whole := model(32, nil, two, cat(numbered(16), numbered(30)))
	begin := int64(len(whole) - 64)
	alone, none := model(32, nil, list{a}, numbered(16)), model(32, nil, list{info("a", f32, 0, 0)}, nil)
	padded := model(32, nil, list{a, info("b", f32, 32, 0)}, numbered(16))
	spoilt := func(at int64) []byte {
		b := bytes.Clone(whole)
		b[at] = 1
		return b
	}
	aligned := func(n uint32) list { return list{pair("general.alignment", gguf.Uint32, u32(n))} }
	rows := []refusaltest.Bad{
		{Name: "duplicate tensor", Bytes: model(32, nil, list{a, a}, numbered(64)), Kind: malformed, Offset: second, Tensor: "a"},
		{Name: "duplicate tensor of another shape", Bytes: model(32, nil, list{a, info("a", f16, 32, 2)}, numbered(64)), Kind: malformed, Offset: second, Tensor: "a"},
		{Name: "alias", Bytes: model(32, nil, list{a, b(0)}, numbered(64)), Kind: malformed, Offset: second + 33, Tensor: "b"},
		{Name: "overlap, not aligned", Bytes: model(32, nil, list{a, b(16)}, numbered(64)), Kind: malformed, Offset: second + 33, Tensor: "b"},
		{Name: "hole", Bytes: model(32, nil, list{a, b(64)}, numbered(96)), Kind: malformed, Offset: second + 33, Tensor: "b"},
		{Name: "in another order", Bytes: model(32, nil, list{info("a", f32, 32, 4), b(0)}, numbered(64)), Kind: malformed, Offset: first + 25, Tensor: "a"},
		{Name: "aligned to 32 instead of 64", Bytes: model(64, aligned(64), two, numbered(64)), Kind: malformed, Offset: second + 33 + 33, Tensor: "b"},
		{Name: "alignment of 131,072", Bytes: model(32, aligned(1<<17), nil, nil), Kind: refusal.ErrUnsupported, Offset: first + 29},
		{Name: "alignment of 2^31", Bytes: model(32, aligned(1<<31), nil, nil), Kind: refusal.ErrUnsupported, Offset: first + 29},
		{Name: "alignment of another type", Bytes: model(32, list{pair("general.alignment", gguf.Uint64, u64(32))}, nil, nil), Kind: malformed, Offset: first + 29},
		{Name: "alignments", Bytes: model(32, list{array("general.alignment", gguf.Uint32, 1, u32(32))}, nil, nil), Kind: malformed, Offset: first + 29},
		{Name: "no data", Bytes: whole[:begin], Kind: short, Offset: second + 9, Tensor: "b"},
		{Name: "no padding before the data", Bytes: none[:63], Kind: short, Offset: 57},
		{Name: "short data of the first", Bytes: whole[:begin+15], Kind: short, Offset: second + 9, Tensor: "b"},
		{Name: "short data of the only one", Bytes: alone[:64+12], Kind: short, Offset: 64, Tensor: "a"},
		{Name: "short padding of the first", Bytes: padded[:96+31], Kind: short, Offset: 96 + 16, Tensor: "a"},
		{Name: "short data of the last", Bytes: whole[:begin+32+29], Kind: short, Offset: begin + 32, Tensor: "b"},
		{Name: "half the padding of the last", Bytes: whole[:begin+32+31], Kind: short, Offset: begin + 32 + 30, Tensor: "b"},
		{Name: "a byte follows", Bytes: cat(whole, []byte{0}), Kind: malformed, Offset: begin + 64},
		{Name: "zeros follow", Bytes: cat(whole, make([]byte, 32)), Kind: malformed, Offset: begin + 64},
		{Name: "another file follows", Bytes: cat(whole, whole), Kind: malformed, Offset: begin + 64},
		{Name: "zeros follow no tensors", Bytes: cat(model(32, nil, nil, nil), make([]byte, 1)), Kind: malformed, Offset: 32},
		{Name: "half the padding of no tensors", Bytes: cat(file(), make([]byte, 5)), Kind: short, Offset: 24},
		{Name: "padding before the data", Bytes: spoilt(begin - 1), Kind: malformed, Offset: begin - 1},
		{Name: "padding of the first", Bytes: spoilt(begin + 20), Kind: malformed, Offset: begin + 20, Tensor: "a"},
		{Name: "padding of the last", Bytes: spoilt(begin + 63), Kind: malformed, Offset: begin + 63, Tensor: "b"},
	}
	require.NoError(t, readFile(whole))
	refusaltest.Run(t, rows, readFile)
}

// small returns a file with values and tensors of several kinds. The last of
// its four tensors has last elements.
func small(last uint64) []byte {
	pairs := list{
		pair("general.architecture", gguf.String, str("llama")), pair("general.alignment", gguf.Uint32, u32(16)),
		array("t", gguf.String, 2, str("é"), str("")), array("i", gguf.Int32, 2, u32(1), u32(1<<31)), pair("b", gguf.Bool, []byte{1}),
		pair("u8", gguf.Uint8, []byte{1}), pair("f64", gguf.Float64, u64(1)), array("none", gguf.Int16, 0),
	}
	infos := list{
		info("w", bf16, 0, 3, 2), info("s", f32, 16), info("none", f16, 32, 0, 7), info("q", q8, 32, 32, 2), info("last", f16, 112, last),
	}
	data := cat(numbered(12)[:16], numbered(4)[:16], numbered(68)[:80], numbered(int(2 * last))[:(2*last+15)&^15])
	return model(16, pairs, infos, data)
}

func TestEveryPrefixIsRefused(t *testing.T) {
	whole := small(8)
	require.NoError(t, readFile(whole))
	for n := range whole {
		refusaltest.Refused(t, readFile(whole[:n]), io.ErrUnexpectedEOF)
	}
	// The padding of the last tensor may be missing, but only all of it.
	padded := small(5)
	require.NoError(t, readFile(padded))
	for n := range padded {
		if n != len(padded)-6 {
			refusaltest.Refused(t, readFile(padded[:n]), io.ErrUnexpectedEOF)
		}
	}
	require.NoError(t, readFile(padded[:len(padded)-6]))
}

func TestEveryTrailingByteIsRefused(t *testing.T) {
	for _, whole := range [][]byte{small(8), small(5)} {
		for c := range 256 {
			e := refusaltest.Refused(t, readFile(append(whole, byte(c))), refusal.ErrMalformed)
			require.EqualValues(t, len(whole), e.Offset)
		}
	}
}

// dump formats all that Read returns.
func dump(t *testing.T, f *gguf.File) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version %d, alignment %d, %d tensors, %+v\n", f.Version, f.Alignment, f.Count, f.Pairs())
	for _, x := range f.Tensors {
		fmt.Fprintf(&b, "%q %s %v at %d: %x\n", x.Name, x.DType, x.Shape, x.Offset, refusaltest.DataOf(t, &x))
	}
	return b.String()
}

// TestEveryFlipIsSeen checks that no byte of a file can change without a change
// of what Read returns.
func TestEveryFlipIsSeen(t *testing.T) {
	whole := small(5)
	want := dump(t, mustRead(t, whole))
	for i := range whole {
		for flip := 1; flip < 256; flip++ {
			b := bytes.Clone(whole)
			b[i] ^= byte(flip)
			f, err := gguf.Read(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				refusaltest.Kind(t, err)
				continue
			}
			if dump(t, f) == want {
				t.Fatalf("byte %d of %d, changed from %#02x to %#02x unnoticed", i, len(b), whole[i], b[i])
			}
		}
	}
}

// TestFileShrinks reads files that are shorter than the size given, such as a
// file that is truncated while it is read.
func TestFileShrinks(t *testing.T) {
	whole := small(8)
	head := mustRead(t, whole).Tensors[0].Offset
	for n := range head {
		_, err := gguf.Read(bytes.NewReader(whole[:n]), int64(len(whole)))
		refusaltest.Refused(t, err, io.ErrUnexpectedEOF)
	}
}

// sparse is a file of zeros after its beginning.
type sparse struct {
	head []byte
	size int64
}

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), s.size-off))
	clear(p[:n])
	if off < int64(len(s.head)) {
		copy(p[:n], s.head[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// TestHugeFiles checks that Read does not allocate the metadata for which a
// file of many gigabytes has room.
func TestHugeFiles(t *testing.T) {
	head := func(count uint64, value ...[]byte) []byte {
		return cat([]byte("GGUF"), u32(3), u64(count), u64(1), str("a"), cat(value...))
	}
	for _, test := range []struct {
		name   string
		head   []byte
		kind   error
		offset int64
	}{
		{"string", head(0, u32(uint32(gguf.String)), u64(1<<34)), refusal.ErrUnsupported, 45},
		{"key", cat([]byte("GGUF"), u32(3), u64(0), u64(1), u64(1<<34)), refusal.ErrUnsupported, 32},
		{"bytes", head(0, u32(uint32(gguf.Array)), u32(uint32(gguf.Uint8)), u64(1<<34)), refusal.ErrUnsupported, 41},
		{"numbers", head(0, u32(uint32(gguf.Array)), u32(uint32(gguf.Float64)), u64(1<<31)), refusal.ErrUnsupported, 41},
		{"numbers beyond the limit", head(0, u32(uint32(gguf.Array)), u32(uint32(gguf.Uint8)), u64(1<<28)), refusal.ErrUnsupported, 49},
		{"strings", head(0, u32(uint32(gguf.Array)), u32(uint32(gguf.String)), u64(1<<31)), refusal.ErrUnsupported, 41},
		{"tensors", head(1<<30, u32(uint32(gguf.Uint8)), []byte{1}), refusal.ErrMalformed, 38 + 24},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := sparse{test.head, 26 << 30}
			var err error
			require.Less(t, refusaltest.Allocated(func() { _, err = gguf.Read(file, file.size) }), uint64(1<<20))
			require.Equal(t, test.offset, refusaltest.Refused(t, err, test.kind).Offset, "%v", err)
		})
	}
}
