package tokenizer

import (
	"cmp"
	"slices"
)

// The functions in this file find the halves of each piece: the two symbols
// that its last merge joins. They go through the pieces in the order of
// merging, so that linear holds all earlier merges and no later ones. That is
// what validPair must see to decide whether two symbols are still apart when
// the merge of a piece is due.

// addGivenHalves adds the halves that the vocabulary gives, in the order of
// ids, which is the order of merging.
func (b *builder) addGivenHalves() {
	b.isLinear = true
	b.merge = newLinks(len(b.v.halves))
	for id, h := range b.v.halves {
		if h.left < 0 || b.isRun(id) {
			continue
		}
		b.addMerge(Token(id), b.symbol[h.left], b.symbol[h.right])
	}
}

// addMerge gives a piece the next symbol, with the given halves.
func (b *builder) addMerge(id Token, left, right int32) {
	s := int32(len(b.ids))
	b.appendSymbol(id, b.v.pieces[id].text, left, right)
	b.symbol[id] = s
	b.linear.addMerge(left, right, s)
}

// unnumbered returns the pieces that merging makes, that have no symbol yet,
// and that runs does not cover.
func (b *builder) unnumbered() []Token {
	var list []Token
	for id := range b.v.pieces {
		if p := &b.v.pieces[id]; p.mergeable() && b.symbol[id] < 0 && !b.isRun(id) {
			list = append(list, Token(id))
		}
	}
	return list
}

// addScoredPieces finds the halves of each piece in the order of falling
// scores. The linear method is off if two pieces have the same score, because
// the leftmost merge is then first and the order is not one of pieces. It is
// also off if a piece does not encode to itself.
func (b *builder) addScoredPieces() {
	order := b.unnumbered()
	slices.SortStableFunc(order, func(x, y Token) int { return cmp.Compare(b.v.pieces[y].score, b.v.pieces[x].score) })
	b.isLinear = !b.noCuts && !b.v.queued
	for i, id := range order[min(1, len(order)):] {
		b.isLinear = b.isLinear && b.v.pieces[id].score < b.v.pieces[order[i]].score
	}
	if !b.isLinear {
		return
	}
	b.merge = newLinks(len(order))
	known := make(map[string]int32, len(b.ids)+len(order))
	for s, text := range b.texts {
		known[text] = int32(s)
	}
	for _, id := range order {
		if !b.findHalves(id, known) {
			b.isLinear = false
			return
		}
	}
}

// findHalves finds the two symbols that the last merge of a piece joins, and
// reports whether the piece encodes to itself. There is at most one such pair:
// earlier merges split the text in one way.
func (b *builder) findHalves(id Token, known map[string]int32) bool {
	text := b.v.pieces[id].text
	for i := range text {
		left, ok := known[text[:i]]
		if !ok {
			continue
		}
		if right, ok := known[text[i:]]; ok && b.validPair(left, right) {
			known[text] = int32(len(b.ids))
			b.addMerge(id, left, right)
			return true
		}
	}
	return false
}

// addListedMerges finds the halves of each piece in a list of merges. They are
// those of the first merge whose two sides stay apart under the merges before
// it: the other merges into the piece never apply. The linear method is off if
// a piece has no such merge.
func (b *builder) addListedMerges() {
	b.merge = newLinks(len(b.v.pieces))
	b.isLinear = true
	for _, m := range b.v.merges {
		left, right := b.symbol[m.left], b.symbol[m.right]
		if b.symbol[m.into] < 0 && left >= 0 && right >= 0 && b.validPair(left, right) {
			b.addMerge(m.into, left, right)
		}
	}
	for _, m := range b.v.merges {
		b.isLinear = b.isLinear && b.symbol[m.into] >= 0
	}
}

// prepareQueue makes what the queue needs, if the linear method is off. It
// numbers the pieces whose halves are unknown, too.
func (b *builder) prepareQueue() {
	if b.isLinear {
		return
	}
	for _, id := range b.unnumbered() {
		b.symbol[id] = int32(len(b.ids))
		b.appendSymbol(id, b.v.pieces[id].text, -1, -1)
	}
	if b.v.merges != nil {
		b.rankMerges()
		return
	}
	b.scores = make([]float32, len(b.ids))
	b.unused = make([]bool, len(b.ids))
	for s, id := range b.ids {
		if id >= 0 {
			b.scores[s] = b.v.pieces[id].score
			b.unused[s] = b.v.pieces[id].typ == Unused
		}
	}
}

// rankMerges fills ranks. Of equal merges the first counts.
func (b *builder) rankMerges() {
	b.ranks = make(map[uint64]rank, len(b.v.merges))
	for i, m := range b.v.merges {
		key := uint64(b.symbol[m.left])<<32 | uint64(b.symbol[m.right])
		if _, ok := b.ranks[key]; !ok {
			b.ranks[key] = rank{b.symbol[m.into], int32(i)}
		}
	}
}
