package dataset

import (
	"context"
	"iter"
	"math"
	"strings"
	"sync"

	"github.com/koala-go/sdk/internal/bleu"
	"github.com/koala-go/sdk/internal/parallel"
)

// LeakOptions are the options of Leaks and WithoutLeaks. Nil means the zero
// value.
type LeakOptions struct {
	Over    float64 // BLEU in percent above which a query leaks (default: 20)
	Workers int     // number of goroutines (default: one per processor)
	Report  *Report // counts records left out; may be nil
}

// Leak is the user turn that a test query is most similar to.
type Leak struct {
	Score float64  // BLEU in percent; the query is the hypothesis
	Same  bool     // the tokens are equal; texts of fewer than four tokens have score 0 even then
	At    Position // first record with the highest score
	Text  string   `json:"-"` // user turn of the record
}

// JoinLeaks joins the results of Leaks for the same queries and successive
// sequences of records.
func JoinLeaks(parts ...[]*Leak) []*Leak {
	var all []*Leak
	for _, part := range parts {
		if all == nil {
			all = make([]*Leak, len(part))
		}
		for i, l := range part {
			if l != nil && (all[i] == nil || l.exceeds(all[i])) {
				all[i] = l
			}
		}
	}
	return all
}

// exceeds reports whether a leak is worse than another.
func (l *Leak) exceeds(other *Leak) bool {
	if l.Same != other.Same {
		return l.Same
	}
	return l.Score > other.Score
}

// Leaks compares test queries with each user turn of the training records, by
// sacrebleu's BLEU (13a tokenizer, exponential smoothing), and by equality of
// tokens. The result has an element for each query: nil, or the worst leak above
// the bound. No pair above the bound is missed, although few pairs are
// compared.
func Leaks(ctx context.Context, records iter.Seq2[Record, error], queries []string, opts *LeakOptions) ([]*Leak, error) {
	leaks := make([]*Leak, len(queries))
	for s, err := range searchLeaks(ctx, records, queries, opts) {
		if err != nil {
			return nil, err
		}
		for _, hit := range s.hits {
			if old := leaks[hit.query]; old == nil || hit.leak.exceeds(old) {
				leak := hit.leak
				leaks[hit.query] = &leak
			}
		}
	}
	return leaks, nil
}

// WithoutLeaks leaves out the training records that are too similar to some test
// query.
func WithoutLeaks(ctx context.Context, records iter.Seq2[Record, error], queries []string, opts *LeakOptions) iter.Seq2[Record, error] {
	if opts == nil {
		opts = &LeakOptions{}
	}
	return func(yield func(Record, error) bool) {
		for s, err := range searchLeaks(ctx, records, queries, opts) {
			if len(s.hits) > 0 {
				opts.Report.addDropped("leak")
				continue
			}
			if !yield(s.record, err) || err != nil {
				return
			}
		}
	}
}

// searched is a record and its hits.
type searched struct {
	record Record
	hits   []leakHit
}

// leakHit is a user turn above the bound for a query.
type leakHit struct {
	query int // index of the query
	leak  Leak
}

// searchLeaks yields each record with its hits.
func searchLeaks(ctx context.Context, records iter.Seq2[Record, error], queries []string, opts *LeakOptions) iter.Seq2[searched, error] {
	o := LeakOptions{}
	if opts != nil {
		o = *opts
	}
	if o.Over == 0 {
		o.Over = 20
	}
	return func(yield func(searched, error) bool) {
		if math.IsNaN(o.Over) || o.Over < 0 || o.Over > 100 {
			yield(searched{}, badOption("the bound of BLEU is %v: give a number of percent from 0 to 100", o.Over))
			return
		}
		index := bleu.NewIndex(queries, o.Over)
		pool := sync.Pool{New: func() any { return index.Searcher() }}
		search := func(c recordChunk) (out searchedChunk) {
			s := pool.Get().(*bleu.Searcher)
			defer pool.Put(s)
			for i := range c.records {
				out.list = append(out.list, searched{c.records[i], leakHits(s, &c.records[i])})
			}
			out.err = c.err
			return out
		}
		for c := range parallel.Ordered(ctx, o.Workers, chunks(records), search) {
			for i := range c.list {
				if !yield(c.list[i], nil) {
					return
				}
			}
			if c.err != nil {
				yield(searched{}, c.err)
				return
			}
		}
		if err := context.Cause(ctx); err != nil {
			yield(searched{}, err)
		}
	}
}

// searchedChunk is the result for a recordChunk.
type searchedChunk struct {
	list []searched
	err  error
}

// leakHits returns the hits of the user turns of a record.
func leakHits(s *bleu.Searcher, r *Record) (list []leakHit) {
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.JSON || !strings.HasPrefix(f.Key, "human") {
			continue
		}
		for _, h := range s.Search(f.Text) {
			list = append(list, leakHit{h.Hypothesis, Leak{Score: h.Score, Same: h.Same, At: r.At, Text: f.Text}})
		}
	}
	return list
}
