package tokenizer

import (
	"unicode/utf8"
)

// queue merges by a queue of pairs, as SentencePiece's bpe_model.cc does: the
// best score first, the leftmost of equals, n·log n. It serves the
// vocabularies for which linear does not hold.
type queue struct {
	*tables
	text  []byte
	cells []cell
	heap  []join
	parts map[string][2]string // how an unused piece was last made
}

// cell is a symbol in the row. An empty one was merged into another.
type cell struct {
	prev, next int32 // -1 at the ends
	begin, end int32 // of its text
	symbol     int32 // -1: a character in no piece
	frozen     bool  // a user-defined symbol, which is never merged: symbol is its id
}

// join is two cells that may be merged. Between equal orders the leftmost
// comes first.
type join struct {
	order       float64 // the lower, the earlier: a rank or a negated score
	left, right int32
	size        int32 // of their text when they met
	symbol      int32
}

// append appends the tokens of s, which is not empty.
func (q *queue) append(dst []Token, s []byte) []Token {
	q.load(s)
	for i := range q.cells[1:] {
		q.meet(int32(i), int32(i+1))
	}
	for len(q.heap) > 0 {
		q.merge(q.pop())
	}
	for i := int32(0); i >= 0; i = q.cells[i].next {
		c := &q.cells[i]
		switch text := q.text[c.begin:c.end]; {
		case c.frozen:
			dst = append(dst, c.symbol)
		case c.symbol >= 0 && q.unused != nil && q.unused[c.symbol]:
			dst = q.resolve(dst, string(text), c.symbol)
		default:
			dst = q.appendSymbol(dst, c.symbol, string(text))
		}
	}
	return dst
}

// resolve appends the parts of an unused piece, as far as it was merged.
func (q *queue) resolve(dst []Token, text string, symbol int32) []Token {
	parts, ok := q.parts[text]
	if !ok || !q.unused[symbol] {
		return q.appendSymbol(dst, symbol, text)
	}
	for _, part := range parts {
		dst = q.resolve(dst, part, q.exact([]byte(part)))
	}
	return dst
}

// load cuts s into characters and user-defined symbols.
func (q *queue) load(s []byte) {
	q.text, q.cells, q.heap = s, q.cells[:0], q.heap[:0]
	clear(q.parts)
	for i := 0; i < len(s); {
		c := cell{prev: int32(len(q.cells)) - 1, next: int32(len(q.cells)) + 1, begin: int32(i)}
		if id, size := q.user.match(s[i:]); size > 0 {
			c.symbol, c.frozen = id, true
			i += size
		} else {
			r, size := utf8.DecodeRune(s[i:])
			c.symbol = q.alphabet.symbol(r)
			i += size
		}
		c.end = int32(i)
		q.cells = append(q.cells, c)
	}
	q.cells[len(q.cells)-1].next = -1
}

// meet queues two neighbours if they can be merged.
func (q *queue) meet(left, right int32) {
	if left < 0 || right < 0 {
		return
	}
	l, r := &q.cells[left], &q.cells[right]
	if l.symbol < 0 || r.symbol < 0 || l.frozen || r.frozen {
		return
	}
	symbol, order, ok := q.find(l, r)
	if !ok {
		return
	}
	q.push(join{order, left, right, r.end - l.begin, symbol})
	if q.unused != nil && q.unused[symbol] {
		if q.parts == nil {
			q.parts = map[string][2]string{}
		}
		q.parts[string(q.text[l.begin:r.end])] = [2]string{string(q.text[l.begin:l.end]), string(q.text[r.begin:r.end])}
	}
}

// find is the symbol that two cells make.
func (q *queue) find(l, r *cell) (symbol int32, order float64, ok bool) {
	if q.ranks != nil {
		m, ok := q.ranks[uint64(l.symbol)<<32|uint64(r.symbol)]
		return m.symbol, float64(m.order), ok
	}
	symbol = q.exact(q.text[l.begin:r.end])
	if symbol < 0 || q.ids[symbol] < 0 {
		return 0, 0, false
	}
	return symbol, -float64(q.scores[symbol]), true
}

// merge joins two cells unless one of them has changed since they met.
func (q *queue) merge(j join) {
	l, r := &q.cells[j.left], &q.cells[j.right]
	if l.end == l.begin || r.end == r.begin || l.end-l.begin+r.end-r.begin != j.size {
		return
	}
	l.end, l.symbol, l.next = r.end, j.symbol, r.next
	if r.next >= 0 {
		q.cells[r.next].prev = j.left
	}
	r.begin = r.end
	q.meet(l.prev, j.left)
	q.meet(j.left, l.next)
}

// push and pop keep the heap: the smallest join is the first.
func (q *queue) push(j join) {
	h := append(q.heap, j)
	i := len(h) - 1
	for i > 0 && h[i].less(&h[(i-1)/2]) {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		i = (i - 1) / 2
	}
	q.heap = h
}

func (q *queue) pop() join {
	h := q.heap
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h[child].less(&h[least]) {
				least = child
			}
		}
		if least == i {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	q.heap = h
	return top
}

func (j *join) less(k *join) bool {
	return j.order < k.order || j.order == k.order && j.left < k.left
}
