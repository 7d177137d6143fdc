package dataset

import (
	"context"
	"iter"
	"math"
	"strings"
	"sync"

	"github.com/koala-go/sdk/internal/bleu"
	"github.com/koala-go/sdk/internal/refusal"
)

// Filter leaves out the records that keep refuses, and counts them under a
// reason.
func Filter(records iter.Seq2[Record, error], reason string, keep func(*Record) bool, report *Report) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for r, err := range records {
			if err == nil && !keep(&r) {
				report.drop(reason)
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// QueryFilter makes a keep for Filter of a judgement on texts, such as a
// language detector's: it sees what the person says.
func QueryFilter(keep func(text string) bool) func(*Record) bool {
	return func(r *Record) bool { return keep(r.Query()) }
}

// HasCode says whether a text has a fenced block of code.
func HasCode(text string) bool { return strings.Contains(text, "```") }

// LeakOptions are the choices of Leaks and WithoutLeaks; nil means the zero
// value.
type LeakOptions struct {
	Over    float64 // BLEU in percent above which a query leaks (default 20)
	Workers int     // goroutines (default: one a core)
	Report  *Report
}

// Leak is the training example that a test query is most like.
type Leak struct {
	Score float64  // BLEU in percent; the query is the hypothesis
	Same  bool     // the tokens are equal, which texts under four tokens score 0 for
	At    Position // the first example of the highest score
	Text  string   `json:"-"` // what the person says in the example
}

// JoinLeaks joins what Leaks found for the same queries in several sequences,
// in their order.
func JoinLeaks(parts ...[]*Leak) []*Leak {
	var all []*Leak
	for _, part := range parts {
		if all == nil {
			all = make([]*Leak, len(part))
		}
		for i, l := range part {
			if l != nil && (all[i] == nil || better(l, all[i])) {
				all[i] = l
			}
		}
	}
	return all
}

// Leaks compares test queries with the training records, each turn of a
// person on its own: by sacrebleu's BLEU (13a tokenizer, exponential
// smoothing), and for equal tokens. The result has for each query nil or what
// it is most like of all that is over the bound. No pair that passes is
// missed, though few pairs are compared.
func Leaks(ctx context.Context, records iter.Seq2[Record, error], queries []string, opts *LeakOptions) ([]*Leak, error) {
	leaks := make([]*Leak, len(queries))
	for l, err := range search(ctx, records, queries, opts) {
		if err != nil {
			return nil, err
		}
		for _, hit := range l.hits {
			if old := leaks[hit.query]; old == nil || better(&hit.leak, old) {
				leak := hit.leak
				leaks[hit.query] = &leak
			}
		}
	}
	return leaks, nil
}

func better(a, b *Leak) bool {
	if a.Same != b.Same {
		return a.Same
	}
	return a.Score > b.Score
}

// WithoutLeaks leaves out the training records that a test query is too much
// like.
func WithoutLeaks(ctx context.Context, records iter.Seq2[Record, error], queries []string, opts *LeakOptions) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for l, err := range search(ctx, records, queries, opts) {
			if len(l.hits) > 0 {
				opts.report().drop("leak")
				continue
			}
			if !yield(l.record, err) || err != nil {
				return
			}
		}
	}
}

func (o *LeakOptions) report() *Report {
	if o == nil {
		return nil
	}
	return o.Report
}

// searched is a record and the queries that are like it.
type searched struct {
	record Record
	hits   []leakHit
}

type leakHit struct {
	query int
	leak  Leak
}

func search(ctx context.Context, records iter.Seq2[Record, error], queries []string, opts *LeakOptions) iter.Seq2[searched, error] {
	o := LeakOptions{}
	if opts != nil {
		o = *opts
	}
	if o.Over == 0 {
		o.Over = 20
	}
	return func(yield func(searched, error) bool) {
		if math.IsNaN(o.Over) || o.Over < 0 || o.Over > 100 {
			yield(searched{}, refusal.Reason(ErrUnsupported, "a bound of %v is not from 0 to 100 percent", o.Over))
			return
		}
		index := bleu.NewIndex(queries, o.Over)
		pool := sync.Pool{New: func() any { return index.Searcher() }}
		f := func(c recordChunk) (out searchedChunk) {
			s := pool.Get().(*bleu.Searcher)
			defer pool.Put(s)
			for i := range c.records {
				out.list = append(out.list, searched{c.records[i], hits(s, &c.records[i])})
			}
			out.err = c.err
			return out
		}
		for c := range ordered(ctx, o.Workers, chunks(records), f) {
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

type searchedChunk struct {
	list []searched
	err  error
}

// hits finds the queries that are like a turn of the person.
func hits(s *bleu.Searcher, r *Record) (list []leakHit) {
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
