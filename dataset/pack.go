package dataset

import (
	"iter"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/tokenizer"
)

// PackOptions are the choices of Pack. SeqLength and Batch must be given.
type PackOptions struct {
	SeqLength  int // tokens of a row
	Batch      int // rows of a batch
	Generation Generation
	BOS        tokenizer.Token // for the inputs of 2023 and for StartWithBOS (default: LLaMA's, 1)
	// StartWithBOS puts BOS over the first input of each row, in 2024.
	StartWithBOS bool
	// Flush fills the last batch up with Pad, without loss. The reference never
	// does it: it reads its file for ever. Without it the tokens that fill no
	// batch are counted in the report as left.
	Flush  bool
	Pad    tokenizer.Token
	Start  *Checkpoint // go on there; Read must have been given its Start
	Report *Report
}

// Batch is a batch of packed examples: Batch × SeqLength numbers in each
// list, row by row.
type Batch struct {
	// Inputs are what the model sees: in 2024 the tokens before each target;
	// in 2023 BOS and then a row but for its last token.
	Inputs []tokenizer.Token
	// Targets are what it must say. In 2023 the reference calls them tokens.
	Targets []tokenizer.Token
	// Masks are 1 where the loss is taken.
	Masks []uint8

	// What the reference reports with a batch: the offset just past the newest
	// record that was read for it, that record's index in its file, and the
	// tokens in all batches up to this one.
	FileLoc, Index, Tokens int64

	// Next is where the following batch begins.
	Next Checkpoint
}

// Checkpoint is a place in a stream of batches to go on at: a record, and how
// many of its tokens are in batches already.
type Checkpoint struct {
	Start
	Skip    int64 `json:"skip"`
	Tokens  int64 `json:"tokens"`  // in batches so far
	Batches int64 `json:"batches"` // so far
}

// Check says whether a checkpoint that was read from a file can be one.
func (c *Checkpoint) Check() error {
	for _, n := range []int64{int64(c.Epoch), int64(c.Input), c.Offset, c.Line, c.Index, c.Skip, c.Tokens, c.Batches} {
		if n < 0 {
			return refusal.Reason(ErrMalformed, "the checkpoint has a negative number")
		}
	}
	return nil
}

// Pack joins examples and cuts them into batches.
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
		p.o.Report.count(func(n *Counts) { n.Left += int64(p.rest()) })
	}
}

// packer holds the tokens that are in no batch yet.
type packer struct {
	o      PackOptions
	chunk  int // tokens of a batch
	ahead  int // tokens past a batch that its targets need
	tokens []tokenizer.Token
	masks  []uint8
	from   []stretch // the records that tokens are of
	raw    int64     // tokens of the newest record so far
	newest Position
	done   Checkpoint
}

// stretch is tokens of one record.
type stretch struct {
	at    Position
	skip  int64 // its tokens before these
	count int64
}

// maxChunk bounds the tokens of a batch.
const maxChunk = 1 << 28

func newPacker(opts *PackOptions) (*packer, error) {
	if opts == nil || opts.SeqLength <= 0 || opts.Batch <= 0 || opts.SeqLength > maxChunk/opts.Batch {
		return nil, refusal.Reason(ErrUnsupported, "the sequence length and the batch must be positive and make up to %d tokens", maxChunk)
	}
	p := &packer{o: *opts, chunk: opts.SeqLength * opts.Batch}
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

// add appends an example, but for the tokens that were in batches before the
// checkpoint.
func (p *packer) add(e *Example) {
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

// full says whether there is a batch. The reference wants one token more than
// the batch needs.
func (p *packer) full() bool { return len(p.tokens) > p.chunk+p.ahead }

// rest is how many targets are left.
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
	p.o.Report.count(func(n *Counts) { n.Batches++ })
	return b
}

// consume moves the place of the next batch on.
func (p *packer) consume(tokens int64) {
	for len(p.from) > 0 {
		s := &p.from[0]
		n := min(s.count, tokens)
		s.skip, s.count, tokens = s.skip+n, s.count-n, tokens-n
		if s.count > 0 || len(p.from) == 1 {
			return // the newest stays, to say where it ends
		}
		p.from = p.from[1:]
	}
}

// next is the checkpoint at the first token that is in no batch.
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
