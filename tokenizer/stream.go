package tokenizer

import (
	"io"
	"math"
)

// streamStep is the number of bytes that an Encoder reads at a time, at least.
const streamStep = 1 << 16

// Encoder encodes a text that it reads in blocks. Together, its tokens are those
// that AppendEncode makes of the whole text.
//
// An Encoder holds one block of text in memory, or as much as it takes to find a
// place to cut. For some models it reads the whole text first: those that trim
// spaces or have user-defined symbols, so that a text must be normalized as a
// whole, and those whose runs of ▁ cannot be cut off. Properties.Direct is false
// for them.
//
// The zero Encoder is not valid; NewEncoder makes one.
type Encoder struct {
	t    *Tokenizer
	r    io.Reader
	opts Options

	buffer []byte  // text that was read and is not encoded yet
	offset int     // offset of the buffer in the whole text
	part   segment // the current stretch of text between special tokens; each block sets its text
	inPart bool    // whether part has begun and not ended
	begun  bool    // whether Append was called
	eof    bool    // whether r has ended
	err    error   // sticky
	step   int     // streamStep, or less in tests
}

// NewEncoder returns an Encoder of the text that r reads.
func (t *Tokenizer) NewEncoder(r io.Reader, opts *Options) *Encoder {
	e := &Encoder{t: t, r: r, step: streamStep}
	if opts != nil {
		e.opts = *opts
	}
	return e
}

// Append reads some text and appends its tokens, perhaps none, to dst. The error
// is io.EOF after the last token, or the error of the reader. Further calls
// return the same error.
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

// fill reads at least one more block, or the whole text for models that need it.
// It stops early at the end of the text. Doubling the buffer keeps the work
// linear if no place to cut is found.
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

// encode appends the tokens of the part of the buffer that can be encoded, and
// removes that part.
func (e *Encoder) encode(dst []Token) []Token {
	text, at := string(e.buffer), 0
	for last := false; !last; {
		special := e.t.special
		if e.opts.Specials == SpecialsNone {
			special = nil
		}
		next, id, size := special.next(text, at)
		end := next
		if last = size == 0; last && !e.eof && special != nil {
			// The end of the buffer may be the beginning of a special token.
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

// appendPart continues the current stretch of text with text[at:end], and
// returns the offset that it reached. closed says that the stretch ends at end;
// then all of it is encoded.
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
