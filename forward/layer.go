package forward

import (
	"math"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// pass takes some tokens of a text through the model.
type pass struct {
	*Model
	runner
	*activations
	position int // of the first token in the text
	trace    trace
}

// activations are the numbers that a pass computes: arrays of a row for each
// token. The input and the output of a matrix are never the same array, because
// workers still read the input when others write output.
type activations struct {
	tokens  int // the number of tokens of the pass
	outputs int // the number of tokens, from the end, that get logits

	x          []float32 // [tokens, d], the sum that the layers add to
	normed     []float32 // [tokens, d]
	query      []float32 // [tokens, heads·D], which is [tokens, d]
	key, value []float32 // [tokens, kv heads·D]
	mixed      []float32 // [tokens, d], the values that attention summed up
	gate, up   []float32 // [tokens, f]
	added      []float32 // [tokens, d], the result that a layer adds to x
	logits     []float32 // [outputs, V]
	cos, sin   []float32 // [tokens, D/2], of the angles of rotary embeddings
	scores     []float32 // [workers, queryBlock, tokens of the text], scratch of attention
	powers     []float32 // [workers, gateBlock], scratch of the feed-forward network
}

// run computes the logits of the tokens. cache has one element for each layer, or
// a single one that all layers use in turn.
func (p *pass) run(ids []int32, cache []layerCache) error {
	d, eps := p.Config.Dim, p.Config.Epsilon()
	for t, id := range ids {
		if err := p.embed.readRow(row(p.x, t, d), int(id)); err != nil {
			return err
		}
		pairs := len(p.rotary.frequencies)
		p.rotary.angles(row(p.cos, t, pairs), row(p.sin, t, pairs), p.position+t)
	}
	p.traceProducts(0, weights.Embed, p.x)
	for l := range p.Config.Layers {
		if err := p.layer(l, &cache[l%len(cache)]); err != nil {
			return err
		}
	}
	from := (p.tokens - p.outputs) * d // the output matrix is large: only what is asked for
	normalize(p.normed[from:], p.x[from:], p.norms[weights.Param{Role: weights.Norm}], eps)
	p.traceProducts(0, weights.Norm, p.normed[from:])
	if err := p.multiply(p.normed[from:], product{weights.Output, p.logits}); err != nil {
		return err
	}
	p.traceProducts(0, weights.Output, p.logits)
	return nil
}

// layer adds attention, and then the feed-forward network, to x.
func (p *pass) layer(l int, cache *layerCache) error {
	if err := p.attention(l, cache); err != nil {
		return err
	}
	return p.feedForward(l)
}

func (p *pass) attention(l int, cache *layerCache) error {
	p.norm(weights.Param{Layer: l, Role: weights.AttnNorm})
	err := p.multiply(p.normed, product{weights.Q, p.query}, product{weights.K, p.key}, product{weights.V, p.value})
	if err != nil {
		return err
	}
	p.traceProducts(l, weights.Q, p.query)
	p.traceProducts(l, weights.K, p.key)
	p.traceProducts(l, weights.V, p.value)
	p.rotate()
	// A session that was truncated has later keys in the cache, and a cache that
	// all layers share has the keys of the layer before.
	cache.truncate(p.position, p.Config.HeadDim())
	cache.append(p.key, p.value, p.Config.HeadDim())
	p.attend(cache)
	if p.trace != nil {
		p.trace(tracePoint{param: weights.Param{Layer: l}, attention: true}, p.mixed)
	}
	if err := p.multiply(p.mixed, product{weights.O, p.added}); err != nil {
		return err
	}
	p.traceProducts(l, weights.O, p.added)
	add(p.x, p.added)
	return nil
}

func (p *pass) feedForward(l int) error {
	p.norm(weights.Param{Layer: l, Role: weights.FFNNorm})
	if err := p.multiply(p.normed, product{weights.Gate, p.gate}, product{weights.Up, p.up}); err != nil {
		return err
	}
	p.traceProducts(l, weights.Gate, p.gate)
	p.traceProducts(l, weights.Up, p.up)
	p.each((len(p.gate)+gateBlock-1)/gateBlock, func(worker, i int) {
		from, to := i*gateBlock, min((i+1)*gateBlock, len(p.gate))
		swiglu(p.gate[from:to], p.up[from:to], row(p.powers, worker, gateBlock)[:to-from])
	})
	if err := p.multiply(p.gate, product{weights.Down, p.added}); err != nil {
		return err
	}
	p.traceProducts(l, weights.Down, p.added)
	add(p.x, p.added)
	return nil
}

// gateBlock is the number of elements of gate and up that a worker computes at a
// time.
const gateBlock = 512

// norm normalizes x into normed.
func (p *pass) norm(w weights.Param) {
	normalize(p.normed, p.x, p.norms[w], p.Config.Epsilon())
	p.traceProducts(w.Layer, w.Role, p.normed)
}

// normalize divides each row of x by its root mean square and multiplies it by
// the weights, element by element.
func normalize(dst, x, weight []float32, eps float64) {
	d := len(weight)
	for ; len(x) > 0; dst, x = dst[d:], x[d:] {
		mean := half.Dot(x[:d], x[:d]) / float32(d)
		scale := float32(1 / math.Sqrt(float64(mean)+eps))
		for i, w := range weight {
			dst[i] = float32(x[i]*scale) * w
		}
	}
}

// rotate rotates queries and keys by the angles of their positions.
func (p *pass) rotate() {
	pairs := len(p.rotary.frequencies)
	for t := range p.tokens {
		cos, sin := row(p.cos, t, pairs), row(p.sin, t, pairs)
		rotate(row(p.query, t, p.Config.Dim), cos, sin)
		rotate(row(p.key, t, p.Config.KeyRows()), cos, sin)
	}
}

// queryBlock is the number of tokens whose queries a worker multiplies by all keys
// at once.
const queryBlock = 16

// attend computes mixed from the queries of the pass's tokens and the keys and
// values of all tokens of the text. Blocks of one head are neighbours in the order
// of the calls, so that workers share its keys in the cache.
func (p *pass) attend(cache *layerCache) {
	blocks := (p.tokens + queryBlock - 1) / queryBlock
	p.each(p.Config.Heads*blocks, func(worker, i int) {
		first := i % blocks * queryBlock
		scratch := row(p.scores, worker, len(p.scores)/p.options.Workers)
		p.attendHead(cache, i/blocks, first, min(queryBlock, p.tokens-first), scratch)
	})
}

// attendHead computes one head of attention for n tokens. Each token sees the
// keys and values up to its own position. scores has room for n rows of as many
// numbers as the text has tokens.
func (p *pass) attendHead(cache *layerCache, head, first, n int, scores []float32) {
	width, d := p.Config.Dim, p.Config.HeadDim()
	shared := head / (p.Config.Heads / p.Config.KeyHeads()) // the key head of the group
	keys, values := cache.keys[shared], cache.values[shared]
	// The last of the n tokens sees all these keys. The products of the other
	// tokens with later keys are computed too and ignored: one matrix product is
	// faster than n products of different lengths.
	length := p.position + first + n
	half.MulFloats(scores, length, keys[:length*d], length, d, p.query[first*width+head*d:], width, n)
	scale := float32(1 / math.Sqrt(float64(d))) // the usual 1/√D
	for i := range n {
		seen := row(scores, i, length)[:length-n+1+i]
		for j := range seen {
			seen[j] *= scale
		}
		softmax(seen)
		mixed := row(p.mixed, first+i, width)[head*d : (head+1)*d]
		clear(mixed)
		for j, weight := range seen {
			half.AddScaled(mixed, row(values, j, d), weight)
		}
	}
}

// add adds y to x.
func add(x, y []float32) {
	for i, v := range y {
		x[i] += v
	}
}

// row returns row i of a matrix of n columns.
func row(x []float32, i, n int) []float32 { return x[i*n : (i+1)*n] }
