package tokenizer

import "slices"

// buildTrie enters the texts of all symbols into the trie that longest and
// exact walk along.
func (b *builder) buildTrie() error {
	nodes := b.v.nodes
	if nodes == 0 {
		nodes = countNodes(b.texts)
	}
	if nodes >= maxLink {
		return unsupported("the pieces have %d distinct prefixes, but at most %d are supported", nodes, maxLink-1)
	}
	b.edges = newLinks(nodes)
	b.accept = make([]int32, 1, nodes+1)
	b.accept[0] = -1
	parent := make([]int32, 1, nodes+1)
	ends := make([]int32, len(b.ids))
	for s := range b.ids {
		// The left half has a lower number, so its end is known: only the
		// text of the right half is left to enter.
		node, text := int32(0), b.texts[s]
		if left := b.left[s]; left >= 0 && int(left) != s {
			node, text = ends[left], text[b.bytes[left]:]
		}
		for i := range len(text) {
			next := b.edges.add(node, int32(text[i]), int32(len(b.accept)))
			if int(next) == len(b.accept) { // a new node
				b.accept, parent = append(b.accept, -1), append(parent, node)
			}
			node = next
		}
		b.accept[node], ends[s] = int32(s), node
	}
	b.findPrefixes(parent, ends)
	return nil
}

// findPrefixes finds for each symbol the longest other symbol that its text
// begins with. parent has the parent of each node, and ends the node of each
// symbol; both are overwritten. Parents have lower numbers than their children,
// so one pass in ascending order is enough.
func (b *builder) findPrefixes(parent, ends []int32) {
	above := parent // node → the longest symbol that ends before it, -1 for none
	for node := range above {
		up := above[node]
		if node == 0 {
			above[0] = -1
		} else if above[node] = b.accept[up]; above[node] < 0 {
			above[node] = above[up]
		}
	}
	b.prefix = ends // each entry is read before it is overwritten
	for s, node := range ends {
		b.prefix[s] = above[node]
	}
	for c := range b.first {
		b.first[c] = -1
		if node, ok := b.edges.get(0, int32(c)); ok {
			b.first[c] = node
		}
	}
}

// countNodes returns the number of distinct non-empty prefixes of some texts,
// which is the number of trie nodes below the root.
func countNodes(texts []string) int {
	sorted := slices.Sorted(slices.Values(texts))
	nodes, last := 0, ""
	for _, text := range sorted {
		shared := 0 // bytes that the text has in common with its predecessor
		for shared < min(len(last), len(text)) && last[shared] == text[shared] {
			shared++
		}
		nodes += len(text) - shared
		last = text
	}
	return nodes
}
