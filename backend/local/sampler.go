package local

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/koala-go/sdk/koala"
)

// sampler chooses tokens, with the steps in the order of the transformers library,
// with which Koala was served: divide the logits by the temperature, keep the TopK
// most probable tokens, and of these the most probable ones whose probabilities add
// up to TopP.
type sampler struct {
	koala.Sampling
	random *rand.Rand
	all    []candidate // memory that is used again
}

// candidate is a possible next token.
type candidate struct {
	id     int32
	logit  float32
	weight float64 // the probability divided by that of the most probable token
}

func newSampler(s koala.Sampling) *sampler {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	if s.Seed != nil {
		random = rand.New(rand.NewPCG(uint64(*s.Seed), 0))
	}
	return &sampler{Sampling: s, random: random}
}

// next chooses the next token. If several are most probable, the one with the lowest
// id comes first.
func (s *sampler) next(logits []float32) int32 {
	if s.Temperature == 0 {
		return argmax(logits)
	}
	s.all = s.all[:0]
	for id, logit := range logits {
		s.all = append(s.all, candidate{id: int32(id), logit: logit})
	}
	kept := s.all
	if s.TopK > 0 && s.TopK < len(kept) {
		kept = largest(kept, s.TopK)
	}
	return s.draw(kept)
}

// draw chooses one of the candidates at random by their weights.
func (s *sampler) draw(kept []candidate) int32 {
	// Subtract the largest logit, so that no weight overflows.
	largestLogit := kept[0].logit
	for _, c := range kept {
		largestLogit = max(largestLogit, c.logit)
	}
	total := 0.
	for i := range kept {
		kept[i].weight = math.Exp(float64(kept[i].logit-largestLogit) / s.Temperature)
		total += kept[i].weight
	}
	if s.TopP < 1 {
		kept, total = nucleus(kept, s.TopP*total)
	}
	at := s.random.Float64() * total
	for _, c := range kept {
		if at -= c.weight; at < 0 {
			return c.id
		}
	}
	return kept[len(kept)-1].id // at did not become negative because total is rounded
}

// nucleus returns the most probable candidates whose weights reach a sum, at least
// one, and the sum of their weights. They are few as a rule, so it sorts the 64
// largest first, and eight times as many each time that they do not suffice.
func nucleus(all []candidate, want float64) ([]candidate, float64) {
	for k := 64; ; k *= 8 {
		best := largest(all, min(k, len(all)))
		slices.SortFunc(best, candidate.compare)
		total := 0.
		for i, c := range best {
			if total += c.weight; total >= want {
				return best[:i+1], total
			}
		}
		if len(best) == len(all) {
			return best, total
		}
	}
}

// compare orders candidates by descending logit, and by ascending id if these are
// equal.
func (c candidate) compare(d candidate) int {
	return cmp.Or(cmp.Compare(d.logit, c.logit), cmp.Compare(c.id, d.id))
}

// largest moves the first k candidates in the order of compare to the front and
// returns them, unsorted. It keeps a heap of the k best so far, with the last of them
// on top.
func largest(all []candidate, k int) []candidate {
	heap := all[:k]
	for i := k/2 - 1; i >= 0; i-- {
		siftDown(heap, i)
	}
	for i := k; i < len(all); i++ {
		if all[i].compare(heap[0]) < 0 {
			heap[0], all[i] = all[i], heap[0]
			siftDown(heap, 0)
		}
	}
	return heap
}

// siftDown restores the heap below index i.
func siftDown(heap []candidate, i int) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && heap[child+1].compare(heap[child]) > 0 {
			child++
		}
		if heap[child].compare(heap[i]) <= 0 {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// argmax returns the first index of the largest logit.
func argmax(logits []float32) int32 {
	best := 0
	for id, logit := range logits {
		if logit > logits[best] {
			best = id
		}
	}
	return int32(best)
}
