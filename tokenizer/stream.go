package tokenizer

import (
	"io"
	"math"
)

// streamStep is how many bytes an Encoder reads at a time.
const streamStep = 1 << 16

// Encoder encodes a text that is read as it is needed. It keeps a block of
// text in memory, and where a stretch without a place to cut is longer than
// that, the stretch. Models for which texts must be normalized as a whole,
// because they trim spaces or have user-defined symbols, or which have no rule
// for runs of ▁, read all of the text first.
//
// What it gives in all is what AppendEncode gives for the whole text.
type Encoder struct {
	t    *Tokenizer
	r    io.Reader
	opts Options

	buffer []byte  // read and not yet encoded
	offset int     // of the buffer in the text
	part   segment // the stretch of text that has been begun; its text is set anew
	inPart bool
	begun  bool
	eof    bool
	err    error // sticky
	step   int   // streamStep; less in tests
}

// NewEncoder encodes what r gives.
func (t *Tokenizer) NewEncoder(r io.Reader, opts *Options) *Encoder {
	e := &Encoder{t: t, r: r, step: streamStep}
	if opts != nil {
		e.opts = *opts
	}
	return e
}

// Append reads on and appends some more tokens to dst, perhaps none. The error
// is io.EOF when the text has ended and all its tokens were given, or the
// reader's; it is given again by each further call.
func (e *Encoder) Append(dst []Token) ([]Token, error) {
	if e.err != nil {
		return dst, e.err
	}
	if !e.begun && e.opts.BOS && e.t.v.bos >= 0 {
		dst = append(dst, e.t.v.bos)
	}
	e.begun = true
	if e.err = e.fill(); e.err != nil {
		return dst, e.err
	}
	dst = e.encode(dst)
	if !e.eof {
		return dst, nil
	}
	if e.err = io.EOF; e.opts.EOS && e.t.v.eos >= 0 {
		dst = append(dst, e.t.v.eos)
	}
	return dst, nil
}

// fill reads until there is a block more, or everything for models that need
// it, or the text ends.
func (e *Encoder) fill() error {
	want := 2*len(e.buffer) + e.step
	for stalls := 0; len(e.buffer) < want || !e.t.direct(); {
		if cap(e.buffer) == len(e.buffer) {
			e.buffer = append(make([]byte, 0, 2*cap(e.buffer)+e.step), e.buffer...)
		}
		n, err := e.r.Read(e.buffer[len(e.buffer):cap(e.buffer)])
		e.buffer = e.buffer[:len(e.buffer)+n]
		switch {
		case err == io.EOF:
			e.eof = true
			return nil
		case err != nil:
			return err
		case n > 0:
			stalls = 0
		default:
			if stalls++; stalls > 100 {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

// encode appends the tokens of what can be encoded of the buffer.
func (e *Encoder) encode(dst []Token) []Token {
	text, at := string(e.buffer), 0
	for done := false; !done; {
		special := e.t.special
		if e.opts.Specials == SpecialsNone {
			special = nil
		}
		next, id, size := special.next(text, at)
		end := next
		if done = size == 0; done && !e.eof && special != nil {
			end = max(at, len(text)-special.most+1)
		}
		dst, at = e.appendPart(dst, text, at, end, size > 0 || e.eof)
		if size > 0 {
			dst, at = append(dst, id), next+size
		}
	}
	e.offset += at
	e.buffer = e.buffer[:copy(e.buffer, e.buffer[at:])]
	return dst
}

// appendPart goes on with a stretch of text, up to its end if closed, and
// returns how far it came.
func (e *Encoder) appendPart(dst []Token, text string, at, end int, closed bool) ([]Token, int) {
	if at == end {
		e.inPart = e.inPart && !closed
		return dst, at
	}
	rule := e.t.prefixAt(e.offset+at, e.opts.Specials)
	if e.opts.Specials == SpecialsNone {
		rule = e.t.v.prefix
	}
	if !e.t.direct() {
		return e.t.appendText(dst, text[at:end], rule), end
	}
	if !e.inPart {
		e.part, e.inPart = segment{cache: e.t.cache()}, true
		if prefixed(rule, text[at:]) {
			e.part.spaces = 1
		}
	}
	e.part.text, e.part.pos, e.part.open = text[at:end], 0, !closed
	dst = e.t.appendWords(dst, &e.part, math.MaxInt)
	e.inPart = !closed
	return dst, at + e.part.pos
}
