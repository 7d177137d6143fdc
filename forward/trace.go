package forward

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"

	"github.com/koala-go/sdk/weights"
)

// trace is called with the numbers that a pass computes at each point of the
// model, in order. It must not keep the slice. A nil trace is not called.
type trace func(at tracePoint, values []float32)

// tracePoint is a point of the model where a pass is traced.
type tracePoint struct {
	// param is the weight whose products with all tokens are traced.
	param weights.Param
	// attention traces the result of attention in a layer instead. Then param
	// holds the layer alone.
	attention bool
}

// String returns the name of the weight, as in "layer 3 q", or "layer 3 attention".
func (p tracePoint) String() string {
	if p.attention {
		return fmt.Sprintf("layer %d attention", p.param.Layer)
	}
	return p.param.String()
}

// traceProducts traces the products of a weight with all tokens.
func (p *pass) traceProducts(layer int, r weights.Role, values []float32) {
	if p.trace != nil {
		p.trace(tracePoint{param: weights.Param{Layer: layer, Role: r}}, values)
	}
}

// tracer remembers the numbers of one pass as hashes, and finds the first point
// where another pass differs.
type tracer struct {
	seed   maphash.Seed
	hashes []uint64
	next   int         // the index of the hash that compare needs next
	first  *tracePoint // the first point that differs, nil if none does
	bytes  []byte
}

func (t *tracer) hash(values []float32) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for len(values) > 0 {
		n := min(len(values), 4096)
		t.bytes = t.bytes[:0]
		for _, v := range values[:n] {
			t.bytes = binary.LittleEndian.AppendUint32(t.bytes, math.Float32bits(v))
		}
		h.Write(t.bytes)
		values = values[n:]
	}
	return h.Sum64()
}

// record is the trace of the first pass.
func (t *tracer) record(_ tracePoint, values []float32) { t.hashes = append(t.hashes, t.hash(values)) }

// compare is the trace of the second pass.
func (t *tracer) compare(at tracePoint, values []float32) {
	if t.first == nil && t.hashes[t.next] != t.hash(values) {
		t.first = &at
	}
	t.next++
}
