package dataset

import (
	"iter"
	"math/rand/v2"

	"github.com/koala-go/sdk/internal/refusal"
)

// MixSource is one of the sequences that Mix joins.
type MixSource struct {
	Name    string                          // name for errors
	Weight  float64                         // relative probability of a draw
	Records func() iter.Seq2[Record, error] // returns the records from the beginning
}

// MixOptions are the options of Mix. Nil means the zero value.
type MixOptions struct {
	Seed uint64 // seed of the draws
	// Total is the number of records to draw. A source that ends begins anew.
	// Zero draws each record once, and a source that has ended is not drawn from
	// any more.
	Total int64
}

// Mix draws records from several sources at random, by their weights. Records
// of one source stay in order.
func Mix(sources []MixSource, opts *MixOptions) iter.Seq2[Record, error] {
	list := make([]mixSource[Record], len(sources))
	for i, s := range sources {
		list[i] = mixSource[Record]{s.Name, s.Weight, s.Records}
	}
	return mix(list, opts)
}

// mixSource is a sequence of records, or of references to records.
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
	weights []float64 // 0 for a source that has ended
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

// next draws a record. more is false when all sources have ended.
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

// draw returns the number of a source, or -1 when all have ended.
func (m *mixer[T]) draw() int {
	sum := 0.0
	last := -1
	for i, w := range m.weights {
		if sum += w; w > 0 {
			last = i
		}
	}
	// The conversion forbids a fused multiply-add, which would give other draws
	// on some processors.
	x := float64(m.rng.Float64() * sum)
	for i, w := range m.weights {
		if x -= w; w > 0 && x < 0 {
			return i
		}
	}
	return last // rounding may leave x at 0
}
