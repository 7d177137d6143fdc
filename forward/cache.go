package forward

// layerCache holds the keys and values of a text's tokens in one layer: for each
// head a row of D numbers for each token.
type layerCache struct{ keys, values [][]float32 }

func newCache(kvHeads int) layerCache {
	return layerCache{make([][]float32, kvHeads), make([][]float32, kvHeads)}
}

// append adds rows of all heads' keys and values, of d numbers for each head.
func (c *layerCache) append(keys, values []float32, d int) {
	c.grow(len(keys) / len(c.keys))
	for h := 0; len(keys) > 0; h, keys, values = (h+1)%len(c.keys), keys[d:], values[d:] {
		c.keys[h] = append(c.keys[h], keys[:d]...)
		c.values[h] = append(c.values[h], values[:d]...)
	}
}

// grow makes room for n more numbers of each head. It at least doubles the
// capacity, so that a text that grows by single tokens is seldom copied.
func (c *layerCache) grow(n int) {
	if need := len(c.keys[0]) + n; need > cap(c.keys[0]) {
		for h := range c.keys {
			c.keys[h] = append(make([]float32, 0, max(need, 2*cap(c.keys[h]))), c.keys[h]...)
			c.values[h] = append(make([]float32, 0, max(need, 2*cap(c.values[h]))), c.values[h]...)
		}
	}
}

// truncate keeps n tokens, of d numbers for each head.
func (c *layerCache) truncate(n, d int) {
	for h := range c.keys {
		c.keys[h], c.values[h] = c.keys[h][:n*d], c.values[h][:n*d]
	}
}
