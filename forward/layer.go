package forward

import (
	"fmt"
	"math"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// pass carries some tokens of a text through the model.
type pass struct {
	*Model
	crew
	*activations
	position int // of the first token

	// trace, if not nil, is shown what each place of the model computes.
	trace func(at Place, values []float32)
}

// activations are the numbers that a pass makes of tokens: arrays of a row for
// each token. A matrix never has the same array before and behind it.
type activations struct {
	tokens, outputs int // of which the last so many get logits

	x          []float32 // [tokens, d], what the layers add to
	normed     []float32 // [tokens, d]
	query      []float32 // [tokens, heads·D], which is d
	key, value []float32 // [tokens, kv heads·D]
	mixed      []float32 // [tokens, d], values as attention sums them
	gate, up   []float32 // [tokens, f]
	added      []float32 // [tokens, d], what a layer adds to x
	logits     []float32 // [outputs, V]
	cos, sin   []float32 // [tokens, D/2]
	scores     []float32 // [workers, queryBlock, tokens of the text], scratch of attention
	powers     []float32 // [workers, gateBlock], scratch of the feed-forward network
}

// run takes the ids through all layers and computes the logits.
func (p *pass) run(ids []int32, cache []layerCache) error {
	d, eps := p.Config.Dim, p.Config.Epsilon()
	for t, id := range ids {
		if err := p.embed.floats(row(p.x, t, d), int(id)); err != nil {
			return err
		}
		half := len(p.rotary.frequencies)
		p.rotary.turns(row(p.cos, t, half), row(p.sin, t, half), p.position+t)
	}
	p.show(0, weights.Embed, p.x)
	for l := range p.Config.Layers {
		if err := p.layer(l, &cache[l%len(cache)]); err != nil {
			return err
		}
	}
	from := (p.tokens - p.outputs) * d
	normalize(p.normed[from:], p.x[from:], p.norms[weights.Param{Role: weights.Norm}], eps)
	p.show(0, weights.Norm, p.normed[from:])
	if err := p.multiply(p.normed[from:], product{weights.Output, p.logits}); err != nil {
		return err
	}
	p.show(0, weights.Output, p.logits)
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
	p.show(l, weights.Q, p.query)
	p.show(l, weights.K, p.key)
	p.show(l, weights.V, p.value)
	p.turn()
	cache.cut(p.position, p.Config.HeadDim())
	cache.append(p.key, p.value, p.Config.HeadDim())
	p.attend(cache)
	if p.trace != nil {
		p.trace(Place{Param: weights.Param{Layer: l}, Mixed: true}, p.mixed)
	}
	if err := p.multiply(p.mixed, product{weights.O, p.added}); err != nil {
		return err
	}
	p.show(l, weights.O, p.added)
	add(p.x, p.added)
	return nil
}

func (p *pass) feedForward(l int) error {
	p.norm(weights.Param{Layer: l, Role: weights.FFNNorm})
	if err := p.multiply(p.normed, product{weights.Gate, p.gate}, product{weights.Up, p.up}); err != nil {
		return err
	}
	p.show(l, weights.Gate, p.gate)
	p.show(l, weights.Up, p.up)
	p.each((len(p.gate)+gateBlock-1)/gateBlock, func(worker, i int) {
		from, to := i*gateBlock, min((i+1)*gateBlock, len(p.gate))
		swiglu(p.gate[from:to], p.up[from:to], row(p.powers, worker, gateBlock)[:to-from])
	})
	if err := p.multiply(p.gate, product{weights.Down, p.added}); err != nil {
		return err
	}
	p.show(l, weights.Down, p.added)
	add(p.x, p.added)
	return nil
}

// gateBlock is how many numbers of gate and up a worker takes at a time.
const gateBlock = 512

// norm makes normed of x.
func (p *pass) norm(w weights.Param) {
	normalize(p.normed, p.x, p.norms[w], p.Config.Epsilon())
	p.show(w.Layer, w.Role, p.normed)
}

// normalize divides each row of x by its root mean square and multiplies with
// the weights, of which there are as many as a row has numbers.
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

// turn rotates queries and keys by their positions.
func (p *pass) turn() {
	pairs := len(p.rotary.frequencies)
	for t := range p.tokens {
		cos, sin := row(p.cos, t, pairs), row(p.sin, t, pairs)
		turn(row(p.query, t, p.Config.Dim), cos, sin)
		turn(row(p.key, t, p.Config.KeyRows()), cos, sin)
	}
}

// queryBlock is the number of tokens whose queries one worker multiplies with
// all keys at once.
const queryBlock = 16

// attend makes mixed of the queries, and of the keys and values of all tokens.
func (p *pass) attend(cache *layerCache) {
	blocks := (p.tokens + queryBlock - 1) / queryBlock
	p.each(p.Config.Heads*blocks, func(worker, i int) {
		first := i % blocks * queryBlock
		scratch := row(p.scores, worker, len(p.scores)/p.options.Workers)
		p.attendHead(cache, i/blocks, first, min(queryBlock, p.tokens-first), scratch)
	})
}

// attendHead is one head of attention for n tokens. Each sees the keys and
// values up to its own position. scores has room for n rows of as many numbers
// as the text has tokens.
func (p *pass) attendHead(cache *layerCache, head, first, n int, scores []float32) {
	width, d := p.Config.Dim, p.Config.HeadDim()
	shared := head / (p.Config.Heads / p.Config.KeyHeads()) // by a group of heads
	keys, values := cache.keys[shared], cache.values[shared]
	length := p.position + first + n // what the last of them sees
	half.MulFloats(scores, length, keys[:length*d], length, d, p.query[first*width+head*d:], width, n)
	scale := float32(1 / math.Sqrt(float64(d)))
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

// row is row i of a matrix of n columns.
func row(x []float32, i, n int) []float32 { return x[i*n : (i+1)*n] }

// Place is a point of the model where a pass can be looked at.
type Place struct {
	// Param is the weight whose products with all tokens are meant.
	Param weights.Param
	// Mixed means what attention makes of a layer's queries, keys and values
	// instead; Param then has the layer alone.
	Mixed bool
}

// String is the weight, "layer 3 q", or "layer 3 attention".
func (p Place) String() string {
	if p.Mixed {
		return fmt.Sprintf("layer %d attention", p.Param.Layer)
	}
	return p.Param.String()
}

// show lets the trace look at what a weight made of all tokens.
func (p *pass) show(layer int, r weights.Role, values []float32) {
	if p.trace != nil {
		p.trace(Place{Param: weights.Param{Layer: layer, Role: r}}, values)
	}
}

// layerCache holds the keys and values of a text's tokens in one layer: for
// each head a row of D numbers a token.
type layerCache struct{ keys, values [][]float32 }

func newCache(kvHeads int) layerCache {
	return layerCache{make([][]float32, kvHeads), make([][]float32, kvHeads)}
}

// append adds rows of all heads' keys and values, of d numbers a head.
func (c *layerCache) append(keys, values []float32, d int) {
	c.grow(len(keys) / len(c.keys))
	for h := 0; len(keys) > 0; h, keys, values = (h+1)%len(c.keys), keys[d:], values[d:] {
		c.keys[h] = append(c.keys[h], keys[:d]...)
		c.values[h] = append(c.values[h], values[:d]...)
	}
}

// grow makes room for n more numbers of each head, at least twice what there
// was, so that a text that grows by single tokens is seldom moved.
func (c *layerCache) grow(n int) {
	if need := len(c.keys[0]) + n; need > cap(c.keys[0]) {
		for h := range c.keys {
			c.keys[h] = append(make([]float32, 0, max(need, 2*cap(c.keys[h]))), c.keys[h]...)
			c.values[h] = append(make([]float32, 0, max(need, 2*cap(c.values[h]))), c.values[h]...)
		}
	}
}

// cut keeps n tokens, of d numbers a head.
func (c *layerCache) cut(n, d int) {
	for h := range c.keys {
		c.keys[h], c.values[h] = c.keys[h][:n*d], c.values[h][:n*d]
	}
}
