package flax

import (
	"io"
	"sort"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// chunkedMark is the first key of the map that flax writes for an array of more
// than 2^30 bytes. The keys "shape" and "chunks" follow. Each holds a map with
// the keys "0", "1", …
const chunkedMark = "__msgpack_chunked_array__"

// chunked reads the rest of such a map, after its first key.
func (p *parser) chunked(t token, name string) error {
	if t.n != 3 {
		return refusal.Malformed(t.at, name, "the chunked array has %d keys, want 3", t.n)
	}
	if mark, err := p.token(); err != nil || mark.kind != kindBool || mark.n != 1 {
		return orMalformed(err, mark, name, "the marker of the chunked array is %v, want true", mark)
	}
	whole := tensor.Tensor{Name: name}
	var chunks joined
	for _, field := range []string{"shape", "chunks"} {
		at := p.Offset()
		if key, err := p.key(); err != nil || key != field {
			return orMalformed(err, token{at: at}, name, "the chunked array has the key %.40q, want %q", key, field)
		}
		err := p.numbered(name, func() error {
			if field == "shape" {
				d, err := p.dimension()
				whole.Shape = append(whole.Shape, d)
				return err
			}
			return p.chunk(&whole, &chunks)
		})
		if err != nil {
			return refusal.Named(err, name)
		}
		if len(whole.Shape) > maxRank {
			return refusal.Malformed(at, name, "the chunked array has %d dimensions, want at most %d", len(whole.Shape), maxRank)
		}
	}
	if len(chunks) == 0 {
		return refusal.Malformed(t.at, name, "the chunked array has no chunks")
	}
	if want, ok := whole.DType.Bytes(whole.Shape); !ok || want != chunks.size() {
		return refusal.Malformed(t.at, name, "the chunks hold %d bytes, which does not match shape %v with dtype %s", chunks.size(), whole.Shape, whole.DType)
	}
	whole.Data = chunks
	p.tensors.add(whole)
	return nil
}

// orMalformed returns err if it is not nil, and otherwise a refusal at t.
func orMalformed(err error, t token, name, format string, args ...any) error {
	if err != nil {
		return refusal.Named(err, name)
	}
	return refusal.Malformed(t.at, name, format, args...)
}

// numbered reads a map with the keys "0", "1", …, in the order in which flax
// writes them. It calls item to read each value.
func (p *parser) numbered(name string, item func() error) error {
	t, err := p.token()
	if err != nil {
		return err
	}
	if t.kind != kindMap {
		return refusal.Malformed(t.at, name, "the value is %v, want a map of numbered items", t)
	}
	for i := range t.n {
		at := p.Offset()
		if key, err := p.key(); err != nil || key != index(i) {
			return orMalformed(err, token{at: at}, name, "the key is %.40q, want %q", key, index(i))
		}
		if err := item(); err != nil {
			return err
		}
	}
	return nil
}

// chunk reads one chunk of an array, which is a one-dimensional array.
func (p *parser) chunk(whole *tensor.Tensor, chunks *joined) error {
	t, err := p.token()
	if err != nil {
		return err
	}
	if t.kind != kindExt || t.ext != extArray {
		return refusal.Malformed(t.at, whole.Name, "the chunk is %v, want an array", t)
	}
	a, err := p.array(t, whole.Name)
	if err != nil {
		return err
	}
	if len(*chunks) == 0 {
		whole.DType, whole.Offset = a.DType, a.Offset
	}
	if len(a.Shape) != 1 || a.DType != whole.DType {
		return refusal.Malformed(t.at, whole.Name, "chunk %d is %s %v, want one dimension and the dtype of the first chunk", len(*chunks), a.DType, a.Shape)
	}
	*chunks = append(*chunks, part{a.Data, chunks.size() + a.Bytes()})
	return nil
}

// joined reads its parts one after another.
type joined []part

type part struct {
	data io.ReaderAt
	end  int64 // offset in the joined data
}

func (j joined) size() int64 {
	if len(j) == 0 {
		return 0
	}
	return j[len(j)-1].end
}

func (j joined) ReadAt(b []byte, off int64) (n int, err error) {
	i := sort.Search(len(j), func(i int) bool { return off < j[i].end })
	for ; n < len(b) && i < len(j); i++ {
		begin := int64(0)
		if i > 0 {
			begin = j[i-1].end
		}
		want := min(int64(len(b)-n), j[i].end-off)
		if err := bounded.ReadFull(j[i].data, b[n:n+int(want)], off-begin); err != nil {
			return n, err
		}
		n, off = n+int(want), off+want
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
