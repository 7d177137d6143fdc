package tokenizer

import "unicode/utf8"

// Span is the range of bytes of a text that a token covers: text[Begin:End].
type Span struct {
	Begin, End int // offsets in bytes
}

// AppendEncodeSpans is AppendEncode, and appends the span of each token to
// spans.
//
// Spans are in order and do not overlap. Each begins where the one before ends,
// except after spaces that the model trims. The ▁ that encoding puts before a
// text has an empty span, and so have BOS and EOS. A token for one byte of a
// character covers that byte. Of the three tokens for an invalid byte that
// became U+FFFD, the last one covers the byte.
func (t *Tokenizer) AppendEncodeSpans(ids []Token, spans []Span, text string, opts *Options) ([]Token, []Span) {
	if opts == nil {
		opts = &Options{}
	}
	sc := t.scratch.Get().(*scratch)
	defer t.scratch.Put(sc)
	if opts.BOS && t.v.bos >= 0 {
		ids, spans = append(ids, t.v.bos), append(spans, Span{})
	}
	for p := range t.parts(text, opts.Specials) {
		if p.special {
			ids, spans = append(ids, p.id), append(spans, Span{p.begin, p.end})
			continue
		}
		part := text[p.begin:p.end]
		sc.norm.mapped = true
		sc.norm.normalize(t.v, part, prefixed(p.prefix, part))
		before := len(ids)
		ids = t.appendNormalized(ids, sc.norm.text, sc, true)
		spans = t.appendSpans(spans, ids[before:], &sc.norm, p.begin)
		ids, spans = t.fuseSpans(ids, spans, before)
	}
	if opts.EOS && t.v.eos >= 0 {
		ids, spans = append(ids, t.v.eos), append(spans, Span{len(text), len(text)})
	}
	return ids, spans
}

// appendSpans appends the spans of the tokens of a normalized text, which begins
// at offset base of the whole text.
func (t *Tokenizer) appendSpans(spans []Span, ids []Token, n *normalized, base int) []Span {
	at := 0
	for _, id := range ids {
		size := len(t.v.pieces[id].text)
		switch t.v.pieces[id].typ {
		case Byte:
			size = 1
		case Unknown:
			_, size = utf8.DecodeRune(n.text[at:])
		}
		spans = append(spans, Span{base + n.from[at], base + n.from[at+size]})
		at += size
	}
	return spans
}

// fuseSpans replaces runs of unknown tokens in ids[before:] by one token each,
// with one span.
func (t *Tokenizer) fuseSpans(ids []Token, spans []Span, before int) ([]Token, []Span) {
	if t.v.byteFallback || t.v.splitUnknown {
		return ids, spans
	}
	offset := len(spans) - len(ids) // ids and spans may have had different lengths at first
	kept := before
	for i := before; i < len(ids); i++ {
		if kept > before && ids[i] == t.v.unk && ids[kept-1] == t.v.unk {
			spans[kept-1+offset].End = spans[i+offset].End
			continue
		}
		ids[kept], spans[kept+offset] = ids[i], spans[i+offset]
		kept++
	}
	return ids[:kept], spans[:kept+offset]
}
