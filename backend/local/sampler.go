package local

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/koala-go/sdk/koala"
)

// sampler chooses tokens. In the order of transformers, with which Koala was
// served: the logits are divided by the temperature, the TopK likeliest are
// kept, and of these as many of the likeliest as it takes for their
// probabilities to reach TopP.
type sampler struct {
	koala.Sampling
	random *rand.Rand
	all    []candidate
}

// candidate is a token that may come next.
type candidate struct {
	id     int32
	logit  float32
	weight float64 // its probability, times that of the likeliest
}

func newSampler(s koala.Sampling) *sampler {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	if s.Seed != nil {
		random = rand.New(rand.NewPCG(uint64(*s.Seed), 0))
	}
	return &sampler{Sampling: s, random: random}
}

// next is the id of the next token. Of equally likely ones the lowest counts as
// the likeliest.
func (s *sampler) next(logits []float32) int32 {
	if s.Temperature == 0 {
		return likeliest(logits)
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

// draw takes one of the candidates by chance.
func (s *sampler) draw(kept []candidate) int32 {
	most := kept[0].logit
	for _, c := range kept {
		most = max(most, c.logit)
	}
	total := 0.
	for i := range kept {
		kept[i].weight = math.Exp(float64(kept[i].logit-most) / s.Temperature)
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
	return kept[len(kept)-1].id // the sum was rounded
}

// nucleus keeps as many of the likeliest as it takes for their weights to reach
// a sum, at least one, and gives what they reach. Mostly these are few, so that
// not all need to be sorted.
func nucleus(all []candidate, enough float64) ([]candidate, float64) {
	for k := 64; ; k *= 8 {
		best := largest(all, min(k, len(all)))
		slices.SortFunc(best, candidate.compare)
		total := 0.
		for i, c := range best {
			if total += c.weight; total >= enough {
				return best[:i+1], total
			}
		}
		if len(best) == len(all) {
			return best, total
		}
	}
}

// compare puts the likelier first, and the lower id of equals.
func (c candidate) compare(d candidate) int {
	return cmp.Or(cmp.Compare(d.logit, c.logit), cmp.Compare(c.id, d.id))
}

// largest moves the first k of the order to the front: a heap of the k best so
// far, the last of them on top.
func largest(all []candidate, k int) []candidate {
	heap := all[:k]
	for i := k/2 - 1; i >= 0; i-- {
		sink(heap, i)
	}
	for i := k; i < len(all); i++ {
		if all[i].compare(heap[0]) < 0 {
			heap[0], all[i] = all[i], heap[0]
			sink(heap, 0)
		}
	}
	return heap
}

// sink restores the heap below place i.
func sink(heap []candidate, i int) {
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

func likeliest(logits []float32) int32 {
	best := 0
	for id, logit := range logits {
		if logit > logits[best] {
			best = id
		}
	}
	return int32(best)
}
