package dataset

import (
	"iter"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/tokenizer"
)

// PackOptions are the options of Pack. SeqLength and Batch have no default and
// must be positive.
type PackOptions struct {
	SeqLength  int             // tokens of a row
	Batch      int             // rows of a batch
	Generation Generation      // version of EasyLM's data code (default: Gen2023)
	BOS        tokenizer.Token // beginning-of-sequence token for the inputs of Gen2023 and for StartWithBOS (default: 1, as in LLaMA)
	// StartWithBOS replaces the first input of each row by BOS in Gen2024.
	// Gen2023 always does so.
	StartWithBOS bool
	// Flush fills the last batch with Pad, excluded from the loss. Without it,
	// the tokens that fill no batch are counted in the report as left. The
	// reference never flushes, because it reads its file without end.
	Flush  bool
	Pad    tokenizer.Token // token that fills the last batch
	Start  *Checkpoint     // where to begin (default: at the beginning); Read must begin at its Start
	Report *Report         // counts batches; may be nil
}

// Batch is a batch of packed examples. Each list has SeqLength numbers for each
// of its rows, row by row.
type Batch struct {
	// Inputs are the tokens that the model reads. In Gen2024 they are the tokens
	// before the targets; in Gen2023 each row is BOS and the row of targets
	// without its last token.
	Inputs []tokenizer.Token
	// Targets are the tokens that the model must predict. The reference calls
	// them tokens in Gen2023.
	Targets []tokenizer.Token
	// Masks are 1 for the targets that count for the loss, else 0.
	Masks []uint8

	// FileLoc, Index and Tokens are what the reference reports with a batch: the
	// offset just past the newest record that was read for it, the index of that
	// record in its file, and the number of tokens of all batches so far.
	FileLoc, Index, Tokens int64

	// Next is where the next batch begins.
	Next Checkpoint
}

// Checkpoint is a place between two batches: a record, and the number of its
// tokens that are in earlier batches.
type Checkpoint struct {
	Start         // of the record
	Skip    int64 `json:"skip"`    // tokens of the record that are in earlier batches
	Tokens  int64 `json:"tokens"`  // number of tokens in all batches so far
	Batches int64 `json:"batches"` // number of batches so far
}

// Check refuses a checkpoint with a negative number. Call it for a checkpoint
// that was read from a file.
func (c *Checkpoint) Check() error {
	for _, n := range []int64{int64(c.Epoch), int64(c.Input), c.Offset, c.Line, c.Index, c.Skip, c.Tokens, c.Batches} {
		if n < 0 {
			return refusal.Reason(ErrMalformed, "the checkpoint has a negative number")
		}
	}
	return nil
}

// Pack joins examples and cuts the result into batches.
func Pack(examples iter.Seq2[Example, error], opts *PackOptions) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		p, err := newPacker(opts)
		if err != nil {
			yield(Batch{}, err)
			return
		}
		for e, err := range examples {
			if err != nil {
				yield(Batch{}, err)
				return
			}
			p.add(&e)
			for p.full() {
				if !yield(p.batch(), nil) {
					return
				}
			}
		}
		if p.o.Flush && p.rest() > 0 {
			if !yield(p.flush(), nil) {
				return
			}
		}
		p.o.Report.update(func(n *Counts) { n.Left += int64(p.rest()) })
	}
}

// packer holds the tokens that are not yet in a batch.
type packer struct {
	o      PackOptions
	chunk  int // tokens of a batch
	ahead  int // tokens after the inputs of a batch that its targets need
	tokens []tokenizer.Token
	masks  []uint8
	from   []stretch // the records of the tokens, in order
	raw    int64     // number of tokens made so far of the newest raw record
	newest Position
	done   Checkpoint
}

// stretch is a run of tokens of one record.
type stretch struct {
	at    Position
	skip  int64 // number of its tokens before the run
	count int64
}

// maxBatchTokens is the greatest number of tokens of a batch.
const maxBatchTokens = 1 << 28

// checkShape refuses an impossible shape of a batch.
func checkShape(seqLength, batch int) error {
	if seqLength <= 0 || batch <= 0 || seqLength > maxBatchTokens/batch {
		return badOption("sequence length %d and batch %d: give positive numbers whose product is at most %d", seqLength, batch, maxBatchTokens)
	}
	return nil
}

func newPacker(opts *PackOptions) (*packer, error) {
	if opts == nil {
		opts = &PackOptions{}
	}
	p := &packer{o: *opts}
	if err := checkShape(p.o.SeqLength, p.o.Batch); err != nil {
		return nil, err
	}
	p.chunk = p.o.SeqLength * p.o.Batch
	var err error
	if p.o.Generation, err = p.o.Generation.resolve(); err != nil {
		return nil, err
	}
	if p.o.BOS == 0 {
		p.o.BOS = 1
	}
	if p.o.Generation == Gen2024 {
		p.ahead = 1
	}
	if p.o.Start != nil {
		if err := p.o.Start.Check(); err != nil {
			return nil, err
		}
		p.done = *p.o.Start
	}
	return p, nil
}

// add appends an example, without the tokens that were in batches before the
// checkpoint.
func (p *packer) add(e *Example) {
	// One raw record may make several examples. Skip counts the tokens of all of
	// them, because Read can only begin at a raw record.
	if p.newest.Offset != e.At.Offset || p.newest.Input != e.At.Input || p.newest.Epoch != e.At.Epoch {
		p.raw = 0
	}
	p.newest = e.At
	skip := int64(0)
	if p.done.Skip > 0 {
		skip = min(p.done.Skip, int64(len(e.Tokens)))
		p.done.Skip -= skip
	}
	p.from = append(p.from, stretch{e.At, p.raw + skip, int64(len(e.Tokens)) - skip})
	p.raw += int64(len(e.Tokens))
	p.tokens = append(p.tokens, e.Tokens[skip:]...)
	p.masks = append(p.masks, e.Masks[skip:]...)
}

// full reports whether a batch can be cut off. The reference requires one token
// more than the batch needs.
func (p *packer) full() bool { return len(p.tokens) > p.chunk+p.ahead }

// rest returns the number of targets that are left.
func (p *packer) rest() int { return max(0, len(p.tokens)-p.ahead) }

// batch cuts the next batch off.
func (p *packer) batch() Batch {
	b := Batch{
		Targets: append([]tokenizer.Token(nil), p.tokens[p.ahead:p.chunk+p.ahead]...),
		Masks:   append([]uint8(nil), p.masks[p.ahead:p.chunk+p.ahead]...),
	}
	if p.o.Generation == Gen2024 {
		b.Inputs = append([]tokenizer.Token(nil), p.tokens[:p.chunk]...)
	} else {
		b.Inputs = append(append(make([]tokenizer.Token, 0, p.chunk), p.o.BOS), p.tokens[:p.chunk-1]...)
	}
	if p.o.Generation == Gen2023 || p.o.StartWithBOS {
		for i := 0; i < p.chunk; i += p.o.SeqLength {
			b.Inputs[i] = p.o.BOS
		}
	}
	p.tokens, p.masks = p.tokens[p.chunk:], p.masks[p.chunk:]
	p.done.Tokens += int64(p.chunk)
	p.done.Batches++
	p.consume(int64(p.chunk))
	b.FileLoc, b.Index, b.Tokens, b.Next = p.newest.End, p.newest.Index, p.done.Tokens, p.next()
	p.o.Report.update(func(n *Counts) { n.Batches++ })
	return b
}

// consume removes tokens from the front of the stretches.
func (p *packer) consume(tokens int64) {
	for len(p.from) > 0 {
		s := &p.from[0]
		n := min(s.count, tokens)
		s.skip, s.count, tokens = s.skip+n, s.count-n, tokens-n
		if s.count > 0 || len(p.from) == 1 {
			return // the newest stays even if it is empty: next needs its end
		}
		p.from = p.from[1:]
	}
}

// next returns the checkpoint at the first token that is in no batch.
func (p *packer) next() Checkpoint {
	c := p.done
	if len(p.from) > 0 {
		s := p.from[0]
		c.Start = Start{Epoch: s.at.Epoch, Input: s.at.Input, Offset: s.at.Offset, Line: s.at.Line, Index: s.at.Index}
		c.Skip = s.skip
	}
	return c
}

// flush fills the rest up to a batch.
func (p *packer) flush() Batch {
	for len(p.tokens) < p.chunk+p.ahead {
		p.tokens, p.masks = append(p.tokens, p.o.Pad), append(p.masks, 0)
	}
	b := p.batch()
	p.tokens, p.masks = nil, nil
	return b
}
