package flax

import (
	"io"
	"sort"

	"github.com/koala-go/sdk/internal/wire"
)

// chunkedMark is the first key of the map that flax writes for an array of
// more than 2^30 bytes; "shape" and "chunks" follow, each a map whose keys
// are "0", "1", …
const chunkedMark = "__msgpack_chunked_array__"

// chunked reads the rest of such a map, after its first key.
func (p *parser) chunked(t token, name string) error {
	if t.n != 3 {
		return wire.Malformed(t.at, name, "chunked array has %d keys, not 3", t.n)
	}
	if mark, err := p.token(); err != nil || mark.kind != kindBool || mark.n != 1 {
		return orMalformed(err, mark, name, "chunked array's mark is %v, not true", mark)
	}
	var shape []int64
	var chunks []wire.Tensor
	for _, field := range []string{"shape", "chunks"} {
		at := p.Offset()
		if key, err := p.key(); err != nil || key != field {
			return orMalformed(err, token{at: at}, name, "chunked array has %.40q where %q is due", key, field)
		}
		err := p.numbered(name, func() error {
			if field == "shape" {
				d, err := p.dimension()
				shape = append(shape, d)
				return err
			}
			return p.chunk(name, &chunks)
		})
		if err != nil {
			return named(err, name)
		}
	}
	a, err := join(t.at, name, shape, chunks)
	if err == nil {
		p.tensors = append(p.tensors, a)
	}
	return err
}

// orMalformed is err, or a refusal of what stands at t.
func orMalformed(err error, t token, name, format string, args ...any) error {
	if err != nil {
		return named(err, name)
	}
	return wire.Malformed(t.at, name, format, args...)
}

// numbered reads a map with the keys "0", "1", … in that order, as a flax
// file has them.
func (p *parser) numbered(name string, item func() error) error {
	t, err := p.token()
	if err != nil {
		return err
	}
	if t.kind != kindMap {
		return wire.Malformed(t.at, name, "%v where a map of numbered items is due", t)
	}
	for i := range t.n {
		at := p.Offset()
		if key, err := p.key(); err != nil || key != index(i) {
			return orMalformed(err, token{at: at}, name, "item %.40q where %q is due", key, index(i))
		}
		if err := item(); err != nil {
			return err
		}
	}
	return nil
}

// chunk reads one flat array.
func (p *parser) chunk(name string, chunks *[]wire.Tensor) error {
	t, err := p.token()
	if err != nil {
		return err
	}
	if t.kind != kindExt || t.ext != extArray {
		return wire.Malformed(t.at, name, "chunk is %v, not an array", t)
	}
	a, err := p.array(t, name)
	if err != nil {
		return err
	}
	if len(a.Shape) != 1 || len(*chunks) > 0 && a.DType != (*chunks)[0].DType {
		return wire.Malformed(t.at, name, "chunk %d is %s %v, not flat or not of the first chunk's dtype", len(*chunks), a.DType, a.Shape)
	}
	*chunks = append(*chunks, a)
	return nil
}

// join makes one tensor of its chunks.
func join(at int64, name string, shape []int64, chunks []wire.Tensor) (wire.Tensor, error) {
	if len(chunks) == 0 {
		return wire.Tensor{}, wire.Malformed(at, name, "chunked array has no chunks")
	}
	a := wire.Tensor{Name: name, DType: chunks[0].DType, Shape: shape, Offset: chunks[0].Offset}
	parts := make(joined, len(chunks))
	end := int64(0)
	for i := range chunks {
		end += chunks[i].Bytes()
		parts[i] = part{chunks[i].Data, end}
	}
	if want, ok := wire.DataSize(a.DType, shape); !ok || want != end {
		return wire.Tensor{}, wire.Malformed(at, name, "chunks hold %d bytes, shape %v of %s does not", end, shape, a.DType)
	}
	a.Data = parts
	return a, nil
}

// joined reads its parts as one after the other.
type joined []part

type part struct {
	data io.ReaderAt
	end  int64 // of this part in the whole
}

func (j joined) ReadAt(b []byte, off int64) (n int, err error) {
	i := sort.Search(len(j), func(i int) bool { return off < j[i].end })
	for ; n < len(b) && i < len(j); i++ {
		begin := int64(0)
		if i > 0 {
			begin = j[i-1].end
		}
		want := min(int64(len(b)-n), j[i].end-off)
		if err := wire.ReadFull(j[i].data, b[n:n+int(want)], off-begin); err != nil {
			return n, err
		}
		n, off = n+int(want), off+want
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
