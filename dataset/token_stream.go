package dataset

import (
	"context"
	"iter"

	"github.com/koala-go/sdk/internal/parallel"
	"github.com/koala-go/sdk/tokenizer"
)

// chunkRecords is the number of records that a worker gets at a time.
const chunkRecords = 64

// Tokenize yields the examples of records in order. Zero workers means one per
// processor.
func Tokenize(ctx context.Context, records iter.Seq2[Record, error], p *Processor, workers int) iter.Seq2[Example, error] {
	return func(yield func(Example, error) bool) {
		for c := range parallel.Ordered(ctx, workers, chunks(records), p.tokenizeChunk) {
			p.opts.Report.update(func(n *Counts) { n.Tokens += c.tokens })
			for _, bad := range c.bad {
				p.opts.Report.addBad(bad)
			}
			for _, e := range c.examples {
				if !yield(e, nil) {
					return
				}
			}
			if c.err != nil {
				yield(Example{}, c.err)
				return
			}
		}
		if err := context.Cause(ctx); err != nil {
			yield(Example{}, err)
		}
	}
}

// recordChunk is a run of records. The error is about what follows them.
type recordChunk struct {
	records []Record
	err     error
}

// chunks groups records for the workers.
func chunks(records iter.Seq2[Record, error]) iter.Seq[recordChunk] {
	return func(yield func(recordChunk) bool) {
		var c recordChunk
		for r, err := range records {
			if err != nil {
				c.err = err
				break
			}
			if c.records = append(c.records, r); len(c.records) == chunkRecords {
				if !yield(c) {
					return
				}
				c.records = make([]Record, 0, chunkRecords)
			}
		}
		if len(c.records) > 0 || c.err != nil {
			yield(c)
		}
	}
}

// exampleChunk is what a worker made of a recordChunk.
type exampleChunk struct {
	examples []Example
	tokens   int64
	bad      []*Error
	err      error
}

func (p *Processor) tokenizeChunk(in recordChunk) (out exampleChunk) {
	// All examples share two buffers, which saves most allocations. They may
	// move while they grow, so the examples are cut from them at the end.
	estimate := estimateTokens(in.records)
	all := Example{Tokens: make([]tokenizer.Token, 0, estimate), Masks: make([]uint8, 0, estimate)}
	ends := make([]int, 0, len(in.records))
	for i := range in.records {
		before := len(all.Tokens)
		err := p.AppendExample(&all, &in.records[i])
		if err == nil {
			out.examples = append(out.examples, Example{At: in.records[i].At})
			ends = append(ends, len(all.Tokens))
			continue
		}
		all.Tokens, all.Masks = all.Tokens[:before], all.Masks[:before]
		e, ok := err.(*Error)
		if !ok || !p.opts.SkipBad {
			in.err = err
			break
		}
		out.bad = append(out.bad, e)
	}
	start := 0
	for i, end := range ends {
		out.examples[i].Tokens, out.examples[i].Masks = all.Tokens[start:end:end], all.Masks[start:end:end]
		start = end
	}
	out.tokens, out.err = int64(start), in.err
	return out
}

// estimateTokens estimates the number of tokens of records: one for four bytes
// of English, and some reserve.
func estimateTokens(records []Record) int {
	n := 0
	for i := range records {
		for k := range records[i].Fields {
			n += len(records[i].Fields[k].Text)
		}
	}
	return n/4 + n/16 + 64
}
