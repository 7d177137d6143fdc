package dataset

import (
	"bytes"
	"context"
	"iter"
	"slices"

	"github.com/koala-go/sdk/internal/parallel"
	"github.com/koala-go/sdk/progress"
)

// ReadOptions are the options of Read. Nil means the zero value, which reads
// training records.
type ReadOptions struct {
	Source       Source        // data set of the inputs; empty for training records
	Compat       bool          // accept defects, as the reference does, instead of refusing them
	SkipBad      bool          // count bad records in the report and continue
	SkipBadJSON  bool          // like SkipBad, but only for lines that are not JSON, as EasyLM does with training records
	PositiveOnly bool          // leave out the replies that people liked less
	Part         string        // "train", "eval" or "all" of a ShareGPT file with parts (default: "eval" for ShareGPTEval, else "train")
	Seed         uint64        // seed of the choice among the phrases of a task
	Phrase       int           // number of the phrase to use always, from 1; 0 chooses by seed and record
	MaxRecord    int           // greatest length of a record in bytes (default: 64 MiB)
	Workers      int           // number of goroutines (default: one per processor)
	Start        Start         // where to begin (default: at the beginning)
	Epochs       int           // how often to read all inputs (default: once; -1: without end, as EasyLM does)
	Report       *Report       // counts records and errors; may be nil
	Progress     progress.Func // receives the bytes read so far, after decompression; may be nil
}

// parts are the values of ReadOptions.Part.
var parts = []string{"train", "eval", "all"}

// Start is a place in the inputs at which to begin. The Position of a record
// that Read yielded has its values.
type Start struct {
	Epoch  int   `json:"epoch"`  // from 0
	Input  int   `json:"input"`  // number of the input, from 0
	Offset int64 `json:"offset"` // offset of a record, or row in a Parquet file
	Line   int64 `json:"line"`   // from 1; 0 if unknown: an error then counts the lines before
	Index  int64 `json:"index"`  // number of the record in its file, from 0
	End    int64 `json:"-"`      // offset or row at which to stop; 0 for the end of the file
}

// Read yields the training records of files in order.
func Read(ctx context.Context, inputs []Input, opts *ReadOptions) iter.Seq2[Record, error] {
	if opts == nil {
		opts = &ReadOptions{}
	}
	return func(yield func(Record, error) bool) {
		source, err := opts.check()
		if err != nil {
			yield(Record{}, err)
			return
		}
		r := &reader{ctx: ctx, opts: opts, source: source, inputs: inputs}
		for c := range parallel.Ordered(ctx, opts.Workers, r.blocks(inputs), r.convert) {
			if !r.deliver(c, yield) {
				return
			}
		}
		if err := context.Cause(ctx); err != nil {
			yield(Record{}, err)
		}
	}
}

// check checks the options and returns the row of the source.
func (o *ReadOptions) check() (*SourceInfo, error) {
	source, ok := o.Source.info()
	switch {
	case !ok:
		return nil, badOption("unknown source: %q: give one of %v", o.Source, sourceNames())
	case o.Part != "" && !slices.Contains(parts, o.Part):
		return nil, badOption("unknown part: %q: give one of %v", o.Part, parts)
	case o.Phrase < 0 || o.Phrase > len(summaryPhrases):
		return nil, badOption("phrase %d does not exist: give a number from 1 to %d, or 0 for a choice by seed", o.Phrase, len(summaryPhrases))
	}
	return source, nil
}

// maxRecord returns the greatest length of a record in bytes.
func (o *ReadOptions) maxRecord() int {
	if o.MaxRecord > 0 {
		return o.MaxRecord
	}
	return 64 << 20
}

// part returns the part to read of a file with parts.
func (o *ReadOptions) part() string {
	switch {
	case o.Part != "":
		return o.Part
	case o.Source == ShareGPTEval:
		return "eval"
	}
	return "train"
}

// reader is one run of Read. Its goroutines are those of parallel.Ordered: one
// runs blocks, the workers run convert, and the caller's runs deliver.
type reader struct {
	ctx    context.Context
	opts   *ReadOptions
	source *SourceInfo
	inputs []Input
	bytes  int64
}

// converted is what a worker made of a block.
type converted struct {
	records []Record
	read    int64 // raw records
	bytes   int64
	drops   []string // reasons, one for each record left out
	bad     []*Error
	err     *Error
}

// blocks yields all inputs block by block, once for each epoch.
func (r *reader) blocks(inputs []Input) iter.Seq[block] {
	return func(yield func(block) bool) {
		start := r.opts.Start
		for epoch := start.Epoch; r.opts.Epochs < 0 || epoch < max(1, r.opts.Epochs); epoch++ {
			found := false
			for i := start.Input; i < len(inputs); i++ {
				ok := r.file(epoch, i, start, &inputs[i], func(b block) bool {
					found = found || len(b.records) > 0
					return yield(b)
				})
				if !ok {
					return
				}
				start = Start{End: start.End}
			}
			if start = (Start{End: start.End}); !found {
				return // an endless loop over empty inputs would never yield
			}
		}
	}
}

// file yields the blocks of one input. It reports false after an error.
func (r *reader) file(epoch, i int, start Start, in *Input, yield func(block) bool) bool {
	pos := Position{File: in.Name, Epoch: epoch, Input: i, Line: 1}
	f, err := in.open(r.ctx)
	if err != nil {
		yield(block{err: locate(classifyReadError(err), &pos).aboutFile()})
		return false
	}
	defer f.Close()
	if f.table != nil {
		pos.Offset = start.Offset
		return r.table(f.table, pos, start.End, yield)
	}
	head, err := f.peek(512)
	if err != nil {
		yield(block{err: locate(classifyReadError(err), &pos).aboutFile()})
		return false
	}
	s := &splitter{r: f, at: pos, limit: r.opts.maxRecord(), end: start.End}
	switch {
	case isArray(head):
		s.from = start.Offset // the nesting is known only from the beginning on
	case start.Offset > 0:
		s.at.Offset, s.at.Line, s.at.Index = start.Offset, max(1, start.Line), start.Index
		if err := f.seek(start.Offset); err != nil {
			yield(block{err: locate(classifyReadError(err), &pos).aboutFile()})
			return false
		}
	}
	return s.blocks(isArray(head), yield)
}

// convert turns the raw records of a block into training records.
func (r *reader) convert(b block) (c converted) {
	for i := range b.records {
		x := &b.records[i]
		c.read++
		c.bytes += x.bytes()
		if len(bytes.TrimSpace(x.data)) == 0 {
			c.drops = append(c.drops, "blank line")
			continue
		}
		if err := r.convertRecord(&c, x); err != nil {
			bad := r.countLines(locate(err, &x.at), &x.at)
			if !r.skips(bad) {
				c.err = bad
				return c
			}
			c.bad = append(c.bad, bad)
		}
	}
	c.err = b.err
	return c
}

// countLines corrects the line of an error if reading began in the middle of a
// file at an unknown line, as it does in a unit.
func (r *reader) countLines(e *Error, pos *Position) *Error {
	start := r.opts.Start
	if start.Offset > 0 && start.Line == 0 && pos.Group == 0 && pos.Input == start.Input && pos.Epoch == start.Epoch {
		if lines, err := linesBefore(r.ctx, &r.inputs[start.Input], start.Offset); err == nil {
			e.Line += lines
		}
	}
	return e
}

// skips reports whether to continue after an error about a record.
func (r *reader) skips(e *Error) bool {
	return r.opts.SkipBad || r.opts.SkipBadJSON && e.Field == "" && e.Err != errNotObject
}

// convertRecord adds the training records of one raw record.
func (r *reader) convertRecord(c *converted, x *rawRecord) error {
	if part := x.at.Part; part != "" && r.opts.Part != "all" && part != r.opts.part() {
		c.drops = append(c.drops, "part "+part)
		return nil
	}
	if x.bad != nil {
		return x.bad
	}
	before := len(c.records)
	out := ruleOutput{opts: r.opts, at: &x.at, raw: x.data, records: c.records}
	drop, err := r.source.rule(&out, x.data)
	if err != nil {
		return err
	}
	if c.records = out.records; drop != "" {
		c.records = c.records[:before]
		c.drops = append(c.drops, drop)
	}
	return nil
}

// deliver counts and yields what a worker made. It reports false at the end.
func (r *reader) deliver(c converted, yield func(Record, error) bool) bool {
	r.opts.Report.update(func(n *Counts) {
		n.Bytes += c.bytes
		n.In += c.read
		n.Made += int64(len(c.records))
	})
	for _, reason := range c.drops {
		r.opts.Report.addDropped(reason)
	}
	for _, bad := range c.bad {
		r.opts.Report.addBad(bad)
	}
	for i := range c.records {
		if !yield(c.records[i], nil) {
			return false
		}
	}
	if r.bytes += c.bytes; r.opts.Progress != nil {
		r.opts.Progress(progress.Progress{Stage: "read", Done: r.bytes, Unit: progress.Bytes})
	}
	if c.err != nil {
		yield(Record{}, c.err)
		return false
	}
	return true
}
