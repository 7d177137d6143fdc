package dataset

import (
	"context"
	"iter"
	"math"
	"strconv"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/tokenizer"
)

// Prepend is the text that Koala's training put before the first field.
const Prepend = "BEGINNING OF CONVERSATION: "

// Encoder is what a Processor needs of a tokenizer; *tokenizer.Tokenizer is
// one.
type Encoder interface {
	AppendEncode(dst []tokenizer.Token, text string, opts *tokenizer.Options) []tokenizer.Token
	BOS() tokenizer.Token
	EOS() tokenizer.Token
	Len() int // ids are below
}

// ProcessorOptions are the choices of a Processor. Nil means Koala's training:
// fields from the example, Prepend, and no EOS besides those in the fields.
// The zero value of the struct says nothing about where the fields come from,
// and is an error.
type ProcessorOptions struct {
	FieldsFromExample string // name of the text of a record that lists its fields; goes before Fields
	Fields            string // the list of fields for all records
	Separator         string // between the fields that pluses join (default: a space)
	NoSeparator       bool   // nothing between them
	PrependText       string // goes before the first field, if that is text
	Generation        Generation
	BOS               bool   // begin each example with BOS
	EOS               bool   // end each example with EOS
	Base64Type        string // of the ids in {key}, as numpy spells it (default "i4")
	Compat            bool   // allow ids that no piece has, and base64 as Python forgives it
	SkipBad           bool   // count what is wrong with records in the report, and go on
	Report            *Report
}

// KoalaOptions are the choices with which the examples of a generation are
// made as in Koala's training: in 2024 with a BOS. EasyLM's own default ends
// each example with one more EOS; which was used for Koala is not known.
func KoalaOptions(gen Generation) *ProcessorOptions {
	return &ProcessorOptions{FieldsFromExample: "fields", PrependText: Prepend, Generation: gen, BOS: gen == Gen2024}
}

// Processor turns training records into tokens and loss masks, as EasyLM's
// TextProcessor. It is safe for concurrent use.
//
// A list of fields is items with commas between them:
//
//	key        the text of a field
//	a+b+c      the texts of some, with a separator between them
//	<|bos|>    BOS
//	<|eos|>    EOS
//	<|7|>      the token 7                               (2024)
//	{key}      ids in base64: raw little-endian numbers  (2024)
//	[item]     any of these, without loss
//
// Each item is encoded on its own, so that a reply begins with a ▁.
type Processor struct {
	enc   Encoder
	opts  ProcessorOptions
	fixed []op // of Fields
	ids   idType
}

// NewProcessor makes a Processor.
func NewProcessor(enc Encoder, opts *ProcessorOptions) (*Processor, error) {
	if opts == nil {
		opts = KoalaOptions(Gen2024)
	}
	p := &Processor{enc: enc, opts: *opts}
	if p.opts.Separator == "" && !p.opts.NoSeparator {
		p.opts.Separator = " "
	}
	if p.opts.Base64Type == "" {
		p.opts.Base64Type = "i4"
	}
	var err error
	if p.ids, err = parseIDType(p.opts.Base64Type); err != nil {
		return nil, err
	}
	if p.opts.FieldsFromExample == "" && p.opts.Fields == "" {
		return nil, refusal.Reason(ErrMalformed, "neither a list of fields nor the name of the field that has it was given")
	}
	p.fixed, err = p.parse(p.opts.Fields)
	return p, err
}

func (p *Processor) parse(fields string) ([]op, error) {
	return parseFields(fields, p.opts.Generation, int64(p.enc.BOS()), int64(p.enc.EOS()))
}

// Example is a record's tokens, and for each 1 where the loss is taken.
type Example struct {
	At     Position
	Tokens []tokenizer.Token
	Masks  []uint8
}

// AppendExample appends a record's tokens and masks to those of e. The error
// is an *Error that names the field.
func (p *Processor) AppendExample(e *Example, r *Record) error {
	ops, err := p.ops(r)
	if err != nil {
		return at(err, &r.At)
	}
	if p.opts.BOS {
		e.token(p.enc.BOS(), 0)
	}
	for i := range ops {
		if err := p.item(e, r, &ops[i], i == 0); err != nil {
			return at(err, &r.At)
		}
	}
	if p.opts.EOS {
		e.token(p.enc.EOS(), 1)
	}
	return nil
}

func (e *Example) token(id tokenizer.Token, mask uint8) {
	e.Tokens, e.Masks = append(e.Tokens, id), append(e.Masks, mask)
}

// mask gives the newest tokens their mask.
func (e *Example) mask(mask uint8) {
	for len(e.Masks) < len(e.Tokens) {
		e.Masks = append(e.Masks, mask)
	}
}

// ops finds a record's list of fields.
func (p *Processor) ops(r *Record) ([]op, error) {
	name := p.opts.FieldsFromExample
	if name == "" {
		return p.fixed, nil
	}
	text, err := r.must(name)
	if err != nil {
		return nil, err
	}
	ops, err := p.parse(text)
	if err != nil {
		return nil, &Error{Field: name, Err: err}
	}
	return ops, nil
}

// must is the text of a field that must be there.
func (r *Record) must(key string) (string, error) {
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Key == key {
			if f.JSON {
				return "", wrongKind(key, f.Text[0], "a text")
			}
			return f.Text, nil
		}
	}
	return "", wrongKind(key, 0, "a text")
}

// item appends what one item gives.
func (p *Processor) item(e *Example, r *Record, o *op, first bool) error {
	switch o.kind {
	case opToken:
		if err := p.check(o.id); err != nil {
			return &Error{Field: p.opts.FieldsFromExample, Err: err}
		}
		e.token(tokenizer.Token(o.id), o.mask)
		return nil
	case opIDs:
		text, err := r.must(o.keys[0])
		if err != nil {
			return err
		}
		if e.Tokens, err = p.ids.appendIDs(e.Tokens, text, p.opts.Compat, p.check); err != nil {
			return &Error{Field: o.keys[0], Err: err}
		}
	default:
		text, err := p.text(r, o.keys, first)
		if err != nil {
			return err
		}
		e.Tokens = p.enc.AppendEncode(e.Tokens, text, nil)
	}
	e.mask(o.mask)
	return nil
}

// text joins the texts of some fields.
func (p *Processor) text(r *Record, keys []string, first bool) (string, error) {
	if len(keys) == 1 && (!first || p.opts.PrependText == "") {
		return r.must(keys[0])
	}
	buf := make([]byte, 0, 1024)
	if first {
		buf = append(buf, p.opts.PrependText...)
	}
	for i, key := range keys {
		text, err := r.must(key)
		if err != nil {
			return "", err
		}
		if i > 0 {
			buf = append(buf, p.opts.Separator...)
		}
		buf = append(buf, text...)
	}
	return string(buf), nil
}

// check refuses ids that are in no vocabulary, or in compat mode that fit no
// batch.
func (p *Processor) check(id int64) error {
	low, high := int64(0), int64(p.enc.Len())-1
	if p.opts.Compat {
		low, high = math.MinInt32, math.MaxInt32
	}
	if id < low || id > high {
		return refusal.Reason(ErrMalformed, "token id %d is not from %d to %d", id, low, high)
	}
	return nil
}

// chunkRecords is how many records a worker tokenizes at a time.
const chunkRecords = 64

// Tokenize makes the examples of records, in order, on some goroutines (0 for
// one a core).
func Tokenize(ctx context.Context, records iter.Seq2[Record, error], p *Processor, workers int) iter.Seq2[Example, error] {
	return func(yield func(Example, error) bool) {
		for c := range ordered(ctx, workers, chunks(records), p.chunk) {
			p.opts.Report.count(func(n *Counts) { n.Tokens += c.tokens })
			for _, bad := range c.bad {
				p.opts.Report.bad(bad)
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

// recordChunk is some records and the error that comes after them.
type recordChunk struct {
	records []Record
	err     error
}

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

func (p *Processor) chunk(in recordChunk) (out exampleChunk) {
	room := roomFor(in.records)
	all := Example{Tokens: make([]tokenizer.Token, 0, room), Masks: make([]uint8, 0, room)} // for the tokens of all
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

// roomFor is about how many tokens records make: one for four bytes.
func roomFor(records []Record) int {
	n := 0
	for i := range records {
		for k := range records[i].Fields {
			n += len(records[i].Fields[k].Text)
		}
	}
	return n/4 + n/16 + 64
}

// AppendJSON appends an example as {"tokens":[…],"loss_masks":[…]}, without a
// newline.
func (e *Example) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"tokens":[`...)
	for i, id := range e.Tokens {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	dst = append(dst, `],"loss_masks":[`...)
	for i, mask := range e.Masks {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '0'+mask, '.', '0')
	}
	return append(dst, "]}"...)
}
