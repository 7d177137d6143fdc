package dataset

import (
	"bytes"
	"context"
	"iter"

	"github.com/koala-go/sdk/internal/refusal"
)

// ReadOptions are the choices of Read; nil means the zero value, with which
// training records are read.
type ReadOptions struct {
	Source       Source // "" for training records
	Compat       bool   // do what the reference does where that is a defect
	SkipBad      bool   // count what is wrong with records in the report, and go on
	SkipBadJSON  bool   // the same, but only for what is no JSON, as EasyLM does when it reads training records
	PositiveOnly bool   // leave out what people liked less
	Part         string // "train", "eval" or "all", of a ShareGPT file that has parts (default: what the source is for)
	Seed         uint64 // of the choice among the phrases of a task
	Phrase       int    // the phrase to use always, from 1; 0 to choose by seed and record
	MaxRecord    int    // longest record in bytes (default 64 MiB)
	Workers      int    // goroutines (default: one a core)
	Start        Start  // where to begin
	Epochs       int    // how often to read all inputs (default: once; -1: for ever, as EasyLM does)
	Report       *Report
	Progress     func(bytes int64) // called with the bytes read so far, decompressed
}

// Start is a place in the inputs to begin at: a record's Position as it was
// given by Read.
type Start struct {
	Epoch  int   `json:"epoch"` // from 0
	Input  int   `json:"input"`
	Offset int64 `json:"offset"`
	Line   int64 `json:"line"` // 0 when it is not known: it is counted for errors alone
	Index  int64 `json:"index"`
	End    int64 `json:"-"` // leave out records that begin at or after this offset of a file of lines; 0 for none
}

// Read gives the training records of files, in order.
func Read(ctx context.Context, inputs []Input, opts *ReadOptions) iter.Seq2[Record, error] {
	if opts == nil {
		opts = &ReadOptions{}
	}
	return func(yield func(Record, error) bool) {
		rule, err := opts.rule()
		if err != nil {
			yield(Record{}, err)
			return
		}
		r := &reader{opts: opts, rule: rule, inputs: inputs}
		for m := range ordered(ctx, opts.Workers, r.blocks(inputs), r.make) {
			if !r.give(m, yield) {
				return
			}
		}
		if err := context.Cause(ctx); err != nil {
			yield(Record{}, err)
		}
	}
}

// reader is one run of Read.
type reader struct {
	opts   *ReadOptions
	rule   rule
	inputs []Input
	bytes  int64
}

// made is what a worker made of a block.
type made struct {
	records []Record
	read    int64 // raw records
	bytes   int64
	drops   []string
	bad     []*Error
	err     *Error
}

// blocks gives all inputs block by block, as often as is asked for.
func (r *reader) blocks(inputs []Input) iter.Seq[block] {
	return func(yield func(block) bool) {
		start := r.opts.Start
		for epoch := start.Epoch; r.opts.Epochs < 0 || epoch < max(1, r.opts.Epochs); epoch++ {
			any := false
			for i := start.Input; i < len(inputs); i++ {
				ok := r.file(epoch, i, start, &inputs[i], func(b block) bool {
					any = any || len(b.raws) > 0
					return yield(b)
				})
				if !ok {
					return
				}
				start = Start{End: start.End}
			}
			if start = (Start{End: start.End}); !any {
				return // nothing will come in further epochs either
			}
		}
	}
}

// file gives one input's blocks. It says false after an error.
func (r *reader) file(epoch, i int, start Start, in *Input, yield func(block) bool) bool {
	pos := Position{File: in.Name, Epoch: epoch, Input: i, Line: 1}
	f, err := in.open()
	if err != nil {
		yield(block{err: at(readError(err), &pos).ofFile()})
		return false
	}
	defer f.Close()
	if f.table != nil {
		pos.Offset = start.Offset
		return r.table(f.table, pos, start.End, yield)
	}
	head, _ := f.Peek(512)
	s := &splitter{r: f, at: pos, max: r.opts.maxRecord(), end: start.End}
	switch {
	case isArray(head):
		s.from = start.Offset // an array cannot be entered in the middle
	case start.Offset > 0:
		s.at.Offset, s.at.Line, s.at.Index = start.Offset, max(1, start.Line), start.Index
		if err := f.seek(start.Offset); err != nil {
			yield(block{err: at(readError(err), &pos).ofFile()})
			return false
		}
	}
	return s.blocks(isArray(head), yield)
}

// maxRecord is the longest record in bytes.
func (o *ReadOptions) maxRecord() int {
	if o.MaxRecord > 0 {
		return o.MaxRecord
	}
	return 64 << 20
}

// isArray tells a JSON array, or an object of the two parts, from JSON lines.
func isArray(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) == 0 || head[0] != '{' {
		return len(head) > 0 && head[0] == '['
	}
	head = bytes.TrimLeft(head[1:], " \t\r\n")
	for _, name := range []string{`"train"`, `"eval"`} {
		if rest, ok := bytes.CutPrefix(head, []byte(name)); ok {
			rest = bytes.TrimLeft(rest, " \t\r\n")
			rest, ok = bytes.CutPrefix(rest, []byte{':'})
			return ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte{'['})
		}
	}
	return false
}

// make turns a block's raw records into training records; a worker does it.
func (r *reader) make(b block) (m made) {
	for i := range b.raws {
		x := &b.raws[i]
		m.read++
		m.bytes += x.bytes()
		if len(bytes.TrimSpace(x.data)) == 0 {
			m.drops = append(m.drops, "blank line")
			continue
		}
		if err := r.one(&m, x); err != nil {
			bad := r.counted(at(err, &x.at), &x.at)
			if !r.skip(bad) {
				m.err = bad
				return m
			}
			m.bad = append(m.bad, bad)
		}
	}
	m.err = b.err
	return m
}

// counted gives an error its line where reading began in the middle of a file,
// at a line of unknown number.
func (r *reader) counted(e *Error, pos *Position) *Error {
	start := r.opts.Start
	if start.Offset > 0 && start.Line == 0 && pos.Group == 0 && pos.Input == start.Input && pos.Epoch == start.Epoch {
		if lines, err := linesBefore(&r.inputs[start.Input], start.Offset); err == nil {
			e.Line += lines
		}
	}
	return e
}

// skip says whether to go on after an error about a record.
func (r *reader) skip(e *Error) bool {
	return r.opts.SkipBad || r.opts.SkipBadJSON && e.Field == "" && e.Err != errNoObject
}

// one makes the training records of one raw record.
func (r *reader) one(m *made, x *raw) error {
	if part := x.at.Part; part != "" && r.opts.Part != "all" && part != r.part() {
		m.drops = append(m.drops, "part "+part)
		return nil
	}
	if x.bad != nil {
		return x.bad
	}
	before := len(m.records)
	out := output{r: r.opts, at: &x.at, raw: x.data, records: m.records}
	drop, err := r.rule(&out, x.data)
	if err != nil {
		return err
	}
	if m.records = out.records; drop != "" {
		m.records = m.records[:before]
		m.drops = append(m.drops, drop)
	}
	return nil
}

func (r *reader) part() string {
	switch {
	case r.opts.Part != "":
		return r.opts.Part
	case r.opts.Source == ShareGPTEval:
		return "eval"
	}
	return "train"
}

// give counts and hands on what a worker made. It says false at the end.
func (r *reader) give(m made, yield func(Record, error) bool) bool {
	r.opts.Report.count(func(n *Counts) {
		n.Bytes += m.bytes
		n.In += m.read
		n.Made += int64(len(m.records))
	})
	for _, reason := range m.drops {
		r.opts.Report.drop(reason)
	}
	for _, bad := range m.bad {
		r.opts.Report.bad(bad)
	}
	for i := range m.records {
		if !yield(m.records[i], nil) {
			return false
		}
	}
	if r.bytes += m.bytes; r.opts.Progress != nil {
		r.opts.Progress(r.bytes)
	}
	if m.err != nil {
		yield(Record{}, m.err)
		return false
	}
	return true
}

// rule finds the source's rule, and checks the options.
func (o *ReadOptions) rule() (rule, error) {
	f, ok := rules[o.Source]
	switch {
	case !ok:
		return nil, refusal.Reason(ErrUnsupported, "source %q is none of %v", o.Source, Sources())
	case o.Part != "" && o.Part != "train" && o.Part != "eval" && o.Part != "all":
		return nil, refusal.Reason(ErrUnsupported, "part %q is none of train, eval, all", o.Part)
	case o.Phrase < 0 || o.Phrase > len(summaryPhrases):
		return nil, refusal.Reason(ErrUnsupported, "phrase %d is none of 1 to %d", o.Phrase, len(summaryPhrases))
	}
	return f, nil
}
