package dataset

import (
	"math"
	"slices"
	"strconv"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/tokenizer"
)

// Prepend is the text that Koala's training put before the first field.
const Prepend = "BEGINNING OF CONVERSATION: "

// Encoder is what a Processor needs of a tokenizer. *tokenizer.Tokenizer
// implements it.
type Encoder interface {
	// AppendEncode appends the tokens of a text, without special tokens if opts
	// is nil.
	AppendEncode(dst []tokenizer.Token, text string, opts *tokenizer.Options) []tokenizer.Token
	// BOS returns the beginning-of-sequence token.
	BOS() tokenizer.Token
	// EOS returns the end-of-sequence token.
	EOS() tokenizer.Token
	// Len returns the size of the vocabulary. All ids are smaller.
	Len() int
}

// BOSRule says which examples begin with the beginning-of-sequence token.
type BOSRule string

// The rules. The zero value means BOSAuto.
const (
	BOSAuto BOSRule = "auto" // in Gen2024 only, as in EasyLM
	BOSYes  BOSRule = "yes"  // always
	BOSNo   BOSRule = "no"   // never
)

// BOSRules returns all rules, the default first.
func BOSRules() []BOSRule { return []BOSRule{BOSAuto, BOSYes, BOSNo} }

// ProcessorOptions are the options of a Processor. Nil means the zero value,
// with which examples are those of Koala's training.
type ProcessorOptions struct {
	FieldsFromExample string     // name of the field that lists the fields of a record (default: "fields", unless Fields is set); has precedence over Fields
	Fields            string     // list of fields for all records
	Separator         string     // text between fields that are joined by pluses (default: a space)
	NoSeparator       bool       // no text between them; Separator must be empty
	PrependText       string     // text before the first field, if the first item is a text (default: Prepend)
	NoPrepend         bool       // no text before it; PrependText must be empty
	Generation        Generation // version of EasyLM's data code (default: Gen2023)
	BOS               BOSRule    // which examples begin with the beginning-of-sequence token (default: BOSAuto)
	// EOS ends each example with one more end-of-sequence token, besides those
	// in the list of fields. It is EasyLM's own default. Which one Koala was
	// trained with is not known.
	EOS        bool
	Base64Type string  // numpy type of the ids in {key} (default: "i4")
	Compat     bool    // accept ids outside the vocabulary, and base64 that only Python accepts
	SkipBad    bool    // count bad records in the report and continue
	Report     *Report // counts tokens and errors; may be nil
}

// Processor turns training records into tokens and loss masks, as EasyLM's
// TextProcessor does. It is safe for concurrent use.
//
// A list of fields consists of items separated by commas:
//
//	key        text of a field
//	a+b+c      texts of several fields, with the separator between them
//	<|bos|>    beginning-of-sequence token
//	<|eos|>    end-of-sequence token
//	<|7|>      token 7                                     (Gen2024)
//	{key}      ids in base64: little-endian numbers        (Gen2024)
//	[item]     any of these, excluded from the loss
//
// Each item is encoded on its own, so the first token of a reply begins with ▁.
type Processor struct {
	enc    Encoder
	opts   ProcessorOptions
	bos    bool // examples begin with BOS
	parser fieldsParser
	fixed  []op // parsed ProcessorOptions.Fields
	ids    idType
}

// NewProcessor returns a Processor. An error is of kind ErrOptions.
func NewProcessor(enc Encoder, opts *ProcessorOptions) (*Processor, error) {
	p := &Processor{enc: enc}
	if opts != nil {
		p.opts = *opts
	}
	if err := p.opts.resolve(); err != nil {
		return nil, err
	}
	p.bos = p.opts.BOS == BOSYes || p.opts.BOS == BOSAuto && p.opts.Generation == Gen2024
	p.parser = fieldsParser{p.opts.Generation, int64(enc.BOS()), int64(enc.EOS())}
	var err error
	if p.ids, err = parseIDType(p.opts.Base64Type); err != nil {
		return nil, err
	}
	if p.fixed, err = p.parser.parse(p.opts.Fields); err != nil {
		return nil, badOption("invalid list of fields: %v", err)
	}
	return p, nil
}

// resolve replaces zero values by defaults and refuses contradictions.
func (o *ProcessorOptions) resolve() (err error) {
	if o.Generation, err = o.Generation.resolve(); err != nil {
		return err
	}
	if o.BOS == "" {
		o.BOS = BOSAuto
	}
	switch {
	case !slices.Contains(BOSRules(), o.BOS):
		return badOption("unknown rule for BOS: %q: give one of %v", o.BOS, BOSRules())
	case o.NoSeparator && o.Separator != "":
		return badOption("separator %q contradicts NoSeparator: give one of them", o.Separator)
	case o.NoPrepend && o.PrependText != "":
		return badOption("prepended text %q contradicts NoPrepend: give one of them", o.PrependText)
	}
	if o.Separator == "" && !o.NoSeparator {
		o.Separator = " "
	}
	if o.PrependText == "" && !o.NoPrepend {
		o.PrependText = Prepend
	}
	if o.FieldsFromExample == "" && o.Fields == "" {
		o.FieldsFromExample = "fields"
	}
	if o.Base64Type == "" {
		o.Base64Type = "i4"
	}
	return nil
}

// Example holds the tokens of a record.
type Example struct {
	At     Position          // where the record was read
	Tokens []tokenizer.Token // ids
	Masks  []uint8           // for each token, 1 if it counts for the loss, else 0
}

// AppendExample appends the tokens and masks of a record to those of e. An error
// is an *Error that names the field.
func (p *Processor) AppendExample(e *Example, r *Record) error {
	ops, err := p.ops(r)
	if err != nil {
		return locate(err, &r.At)
	}
	if p.bos {
		e.appendToken(p.enc.BOS(), 0)
	}
	for i := range ops {
		if err := p.appendItem(e, r, &ops[i], i == 0); err != nil {
			return locate(err, &r.At)
		}
	}
	if p.opts.EOS {
		e.appendToken(p.enc.EOS(), 1)
	}
	return nil
}

func (e *Example) appendToken(id tokenizer.Token, mask uint8) {
	e.Tokens, e.Masks = append(e.Tokens, id), append(e.Masks, mask)
}

// fillMasks gives a mask to all tokens that have none.
func (e *Example) fillMasks(mask uint8) {
	for len(e.Masks) < len(e.Tokens) {
		e.Masks = append(e.Masks, mask)
	}
}

// ops returns the list of fields of a record.
func (p *Processor) ops(r *Record) ([]op, error) {
	name := p.opts.FieldsFromExample
	if name == "" {
		return p.fixed, nil
	}
	text, err := r.requireText(name)
	if err != nil {
		return nil, err
	}
	ops, err := p.parser.parse(text)
	if err != nil {
		return nil, &Error{Field: name, Err: err}
	}
	return ops, nil
}

// appendItem appends the tokens and masks of one item.
func (p *Processor) appendItem(e *Example, r *Record, o *op, first bool) error {
	switch o.kind {
	case opToken:
		if err := p.checkID(o.id); err != nil {
			return &Error{Field: p.opts.FieldsFromExample, Err: err}
		}
		e.appendToken(tokenizer.Token(o.id), o.mask)
		return nil
	case opIDs:
		text, err := r.requireText(o.keys[0])
		if err != nil {
			return err
		}
		if e.Tokens, err = p.ids.appendIDs(e.Tokens, text, p.opts.Compat, p.checkID); err != nil {
			return &Error{Field: o.keys[0], Err: err}
		}
	default:
		text, err := p.text(r, o.keys, first)
		if err != nil {
			return err
		}
		e.Tokens = p.enc.AppendEncode(e.Tokens, text, nil)
	}
	e.fillMasks(o.mask)
	return nil
}

// text joins the texts of fields.
func (p *Processor) text(r *Record, keys []string, first bool) (string, error) {
	if len(keys) == 1 && (!first || p.opts.PrependText == "") {
		return r.requireText(keys[0])
	}
	buf := make([]byte, 0, 1024)
	if first {
		buf = append(buf, p.opts.PrependText...)
	}
	for i, key := range keys {
		text, err := r.requireText(key)
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

// checkID refuses ids outside the vocabulary. With Compat it refuses only ids
// that the int32 of a batch cannot hold.
func (p *Processor) checkID(id int64) error {
	low, high := int64(0), int64(p.enc.Len())-1
	if p.opts.Compat {
		low, high = math.MinInt32, math.MaxInt32
	}
	if id < low || id > high {
		return refusal.Reason(ErrMalformed, "token id %d is not in the range from %d to %d", id, low, high)
	}
	return nil
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
