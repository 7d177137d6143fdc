package tokenizer

import (
	"unicode/utf8"
)

// queue merges by a priority queue of pairs, as SentencePiece's bpe_model.cc
// does: the best score first, the leftmost of equals, in O(n log n). It serves
// the vocabularies for which linear does not hold.
type queue struct {
	*tables
	text  []byte               // the text that is being merged
	cells []cell               // the row of symbols: a linked list
	heap  []candidate          // a binary heap, the next candidate first
	parts map[string][2]string // unused piece → the two texts that were last queued to make it
}

// cell is a symbol in the row. A cell whose text is empty was merged into
// another.
type cell struct {
	prev, next int32 // indexes of the neighbours, -1 at the ends
	begin, end int32 // offsets of its text
	symbol     int32 // -1 for a character in no piece; the id if frozen
	frozen     bool  // a user-defined symbol, which is never merged
}

// candidate is a pair of neighbouring cells that can be merged.
type candidate struct {
	order       float64 // a rank or a negated score: the lowest is merged first, the leftmost of equals
	left, right int32   // indexes of the cells
	size        int32   // length of their text when they were queued
	symbol      int32   // what they make
}

// append appends the tokens of s, which is not empty, to dst.
func (q *queue) append(dst []Token, s []byte) []Token {
	q.load(s)
	for i := range q.cells[1:] {
		q.enqueue(int32(i), int32(i+1))
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

// resolve appends the tokens of an unused piece: those of the two texts that
// made it, which may be unused pieces themselves.
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

// load splits s into characters and user-defined symbols.
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

// enqueue queues two neighbours if they can be merged.
func (q *queue) enqueue(left, right int32) {
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
	q.push(candidate{order, left, right, r.end - l.begin, symbol})
	// Like SentencePiece, remember the halves when the pair is queued, not when
	// it is merged. An unused piece is split by what was queued last, anywhere
	// in the text.
	if q.unused != nil && q.unused[symbol] {
		if q.parts == nil {
			q.parts = map[string][2]string{}
		}
		q.parts[string(q.text[l.begin:r.end])] = [2]string{string(q.text[l.begin:l.end]), string(q.text[r.begin:r.end])}
	}
}

// find returns what two cells make and in which order, and whether they make
// anything.
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

// merge merges the two cells of a candidate, unless one of them has changed
// since they were queued. Cells only grow or become empty, so their sizes tell.
func (q *queue) merge(j candidate) {
	l, r := &q.cells[j.left], &q.cells[j.right]
	if l.end == l.begin || r.end == r.begin || l.end-l.begin+r.end-r.begin != j.size {
		return
	}
	l.end, l.symbol, l.next = r.end, j.symbol, r.next
	if r.next >= 0 {
		q.cells[r.next].prev = j.left
	}
	r.begin = r.end
	q.enqueue(l.prev, j.left)
	q.enqueue(j.left, l.next)
}

// push adds a candidate to the heap.
func (q *queue) push(j candidate) {
	h := append(q.heap, j)
	i := len(h) - 1
	for i > 0 && h[i].less(&h[(i-1)/2]) {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		i = (i - 1) / 2
	}
	q.heap = h
}

// pop removes the first candidate from the heap.
func (q *queue) pop() candidate {
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

// less reports whether j is merged before k.
func (j *candidate) less(k *candidate) bool {
	return j.order < k.order || j.order == k.order && j.left < k.left
}
