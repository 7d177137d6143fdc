package dataset

import (
	"iter"
	"math"
	"math/rand/v2"

	"github.com/koala-go/sdk/internal/refusal"
)

// checkWeights refuses what is no list of weights.
func checkWeights(weights []float64) error {
	if len(weights) == 0 {
		return refusal.Reason(ErrMalformed, "there is nothing to choose from")
	}
	sum := 0.0
	for i, w := range weights {
		if w < 0 || math.IsNaN(w) || math.IsInf(w, 0) {
			return refusal.Reason(ErrMalformed, "weight %d is %v", i+1, w)
		}
		sum += w
	}
	if sum <= 0 || math.IsInf(sum, 0) {
		return refusal.Reason(ErrMalformed, "the weights sum to %v", sum)
	}
	return nil
}

// Splitter puts records into parts by a hash of their queries, so that equal
// queries are in one part and a record's part never depends on the others.
type Splitter struct {
	seed   uint64
	bounds []float64
}

// NewSplitter makes a Splitter; part i gets its share of weights.
func NewSplitter(seed uint64, weights []float64) (*Splitter, error) {
	if err := checkWeights(weights); err != nil {
		return nil, err
	}
	s := &Splitter{seed, make([]float64, len(weights))}
	sum := 0.0
	for i, w := range weights {
		sum += w
		s.bounds[i] = sum
	}
	for i := range s.bounds {
		s.bounds[i] /= sum
	}
	return s, nil
}

// Part is a record's part.
func (s *Splitter) Part(r *Record) int {
	x := float64(hash64(s.seed, []byte(r.Query()))>>11) / (1 << 53)
	for i, bound := range s.bounds {
		if x < bound {
			return i
		}
	}
	return len(s.bounds) - 1
}

// MixSource is one of the sequences that Mix joins.
type MixSource struct {
	Name    string
	Weight  float64
	Records func() iter.Seq2[Record, error] // from the beginning
}

// MixOptions are the choices of Mix; nil means the zero value.
type MixOptions struct {
	Seed uint64
	// Total is how many records to give: sources that end begin anew. At 0 all
	// records come once, and what has ended is chosen no more.
	Total int64
}

// Mix draws records from sources by their weights. The order within a source
// stays.
func Mix(sources []MixSource, opts *MixOptions) iter.Seq2[Record, error] {
	list := make([]mixSource[Record], len(sources))
	for i, s := range sources {
		list[i] = mixSource[Record]{s.Name, s.Weight, s.Records}
	}
	return mix(list, opts)
}

// mixSource is a sequence of records, or of what stands for them.
type mixSource[T any] struct {
	name   string
	weight float64
	all    func() iter.Seq2[T, error]
}

func mix[T any](sources []mixSource[T], opts *MixOptions) iter.Seq2[T, error] {
	o := MixOptions{}
	if opts != nil {
		o = *opts
	}
	return func(yield func(T, error) bool) {
		m := &mixer[T]{sources: sources, o: o, rng: rand.New(rand.NewPCG(o.Seed, 0))}
		defer m.stop()
		err := m.start()
		for n := int64(0); err == nil && (o.Total == 0 || n < o.Total); n++ {
			r, more, e := m.next()
			if err = e; err == nil && (!more || !yield(r, nil)) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

// mixer is one run of mix.
type mixer[T any] struct {
	sources []mixSource[T]
	o       MixOptions
	rng     *rand.Rand
	pulls   []func() (T, error, bool)
	stops   []func()
	weights []float64 // 0 for what has ended
}

func (m *mixer[T]) start() error {
	for _, s := range m.sources {
		m.weights = append(m.weights, s.weight)
	}
	if err := checkWeights(m.weights); err != nil {
		return err
	}
	for i := range m.sources {
		pull, stop := iter.Pull2(m.sources[i].all())
		m.pulls, m.stops = append(m.pulls, pull), append(m.stops, stop)
	}
	return nil
}

func (m *mixer[T]) stop() {
	for _, stop := range m.stops {
		stop()
	}
}

// next draws a record; more is false when all sources have ended.
func (m *mixer[T]) next() (r T, more bool, err error) {
	for {
		i := m.draw()
		if i < 0 {
			return r, false, nil
		}
		r, err, ok := m.pulls[i]()
		if ok {
			return r, true, err
		}
		if m.o.Total == 0 {
			m.weights[i] = 0
			continue
		}
		m.stops[i]()
		m.pulls[i], m.stops[i] = iter.Pull2(m.sources[i].all())
		if r, err, ok = m.pulls[i](); ok {
			return r, true, err
		}
		return r, false, refusal.Reason(ErrMalformed, "source %q has no records", m.sources[i].name)
	}
}

// draw chooses a source; -1 when none is left.
func (m *mixer[T]) draw() int {
	sum := 0.0
	last := -1
	for i, w := range m.weights {
		if sum += w; w > 0 {
			last = i
		}
	}
	x := float64(m.rng.Float64() * sum) // rounded, so that every processor draws the same
	for i, w := range m.weights {
		if x -= w; w > 0 && x < 0 {
			return i
		}
	}
	return last
}
