package tokenizer

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Token is the id of a piece of the vocabulary.
type Token = int32

// Kind is the kind of model that a tokenizer was read from.
type Kind string

// The kinds.
const (
	KindDefault       Kind = "llama"         // LLaMA's vocabulary, which is part of this package
	KindSentencePiece Kind = "sentencepiece" // tokenizer.model
	KindHuggingFace   Kind = "huggingface"   // tokenizer.json
	KindGGUF          Kind = "gguf"          // the metadata of a GGUF file
)

// Tokenizer turns text into tokens and back. Default, Open and NewReader return
// one. It is immutable, apart from a cache, and safe for concurrent use.
type Tokenizer struct {
	*tables
	special *literals             // control and unknown pieces
	known   atomic.Pointer[cache] // the cache of chunks; made on first use
	surface func() *surfaces      // made on first use, like byText
	byText  func() map[string]Token
	scratch sync.Pool // of *scratch
}

// Options are the options of encoding. Nil means the zero value: the tokens of
// the text alone, with special tokens in the text treated as ordinary text.
type Options struct {
	// BOS puts the beginning-of-sequence token before the tokens, if the model
	// has one.
	BOS bool
	// EOS puts the end-of-sequence token after the tokens, if the model has
	// one.
	EOS bool
	// Specials is how special tokens that the text contains are treated.
	Specials Specials
}

// scratch holds the buffers of one encoding.
type scratch struct {
	chunk []byte
	row   []int32
	dead  bitset
	queue queue
	norm  normalized
	ids   []Token
}

// newTokenizer checks a vocabulary and makes a tokenizer of it.
func newTokenizer(v *vocabulary) (*Tokenizer, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	tables, err := build(v)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{
		tables:  tables,
		special: newLiterals(v, Control, Unknown),
	}
	t.surface = sync.OnceValue(func() *surfaces { return newSurfaces(v) })
	t.byText = sync.OnceValue(func() map[string]Token { return idsByText(v) })
	t.scratch.New = func() any { return &scratch{queue: queue{tables: tables}} }
	return t, nil
}

// idsByText returns the ids of the pieces, by their texts.
func idsByText(v *vocabulary) map[string]Token {
	m := make(map[string]Token, len(v.pieces))
	for id := range v.pieces {
		m[v.pieces[id].text] = Token(id)
	}
	return m
}

// Kind returns the kind of model that the tokenizer was read from.
func (t *Tokenizer) Kind() Kind { return t.v.kind }

// Len returns the size of the vocabulary. Ids are 0 to Len()-1.
func (t *Tokenizer) Len() int { return len(t.v.pieces) }

// Piece returns the text of a piece as the model spells it, with ▁ for a space,
// or "" if the id is out of range.
func (t *Tokenizer) Piece(id Token) string {
	if id < 0 || int(id) >= t.Len() {
		return ""
	}
	return t.v.pieces[id].text
}

// Type returns the type of a piece, or 0 if the id is out of range.
func (t *Tokenizer) Type(id Token) PieceType {
	if id < 0 || int(id) >= t.Len() {
		return 0
	}
	return t.v.pieces[id].typ
}

// ID returns the id of a piece, spelt as the model spells it, and whether the
// piece exists.
func (t *Tokenizer) ID(piece string) (Token, bool) {
	id, ok := t.byText()[piece]
	return id, ok
}

// UNK returns the id of the unknown token, which every model has.
func (t *Tokenizer) UNK() Token { return t.v.unk }

// BOS returns the id of the beginning-of-sequence token, or -1 if the model
// has none.
func (t *Tokenizer) BOS() Token { return t.v.bos }

// EOS returns the id of the end-of-sequence token, or -1 if the model has none.
func (t *Tokenizer) EOS() Token { return t.v.eos }

// PAD returns the id of the padding token, or -1 if the model has none.
func (t *Tokenizer) PAD() Token { return t.v.pad }

// Encode returns the tokens of a text. AppendEncode describes them.
func (t *Tokenizer) Encode(text string, opts *Options) []Token {
	return t.AppendEncode(nil, text, opts)
}

// AppendEncode appends the tokens of a text to dst. The tokens are those of
// SentencePiece, which reads each byte that is not UTF-8 as U+FFFD. An empty
// text has only the tokens that the options add. AppendEncode does not allocate
// if dst has enough capacity.
func (t *Tokenizer) AppendEncode(dst []Token, text string, opts *Options) []Token {
	if opts == nil {
		return t.appendText(dst, text, t.v.prefix)
	}
	if opts.BOS && t.v.bos >= 0 {
		dst = append(dst, t.v.bos)
	}
	for p := range t.parts(text, opts.Specials) {
		if p.special {
			dst = append(dst, p.id)
		} else {
			dst = t.appendText(dst, text[p.begin:p.end], p.prefix)
		}
	}
	if opts.EOS && t.v.eos >= 0 {
		dst = append(dst, t.v.eos)
	}
	return dst
}

// cache returns the cache of chunks, and makes it on first use.
func (t *Tokenizer) cache() *cache {
	if c := t.known.Load(); c != nil {
		return c
	}
	// Of several goroutines that get here at once, one installs its cache.
	t.known.CompareAndSwap(nil, newCache())
	return t.known.Load()
}

// grow replaces the cache c by a larger one, unless another goroutine already
// has, and returns the current cache.
func (t *Tokenizer) grow(c *cache) *cache {
	if t.known.Load() == c {
		t.known.CompareAndSwap(c, c.grown())
	}
	return t.known.Load()
}

// direct reports whether texts are cut as they are, without being normalized
// first.
func (t *tables) direct() bool {
	return t.runs != nil && !t.v.trim && !t.v.suffix && t.user == nil
}

// prefixed reports whether the rule puts a ▁ before text.
func prefixed(rule prefixRule, text string) bool {
	switch rule {
	case prefixNever:
		return false
	case prefixUnlessSpace:
		return !strings.HasPrefix(text, " ") && !strings.HasPrefix(text, spaceText)
	}
	return true
}

// appendText appends the tokens of a text without special tokens.
func (t *Tokenizer) appendText(dst []Token, text string, rule prefixRule) []Token {
	if text == "" {
		return dst
	}
	prefix := prefixed(rule, text)
	if t.direct() {
		g := segment{text: text, cache: t.cache()}
		if prefix {
			g.spaces = 1
		}
		return t.appendWords(dst, &g, math.MaxInt)
	}
	sc := t.scratch.Get().(*scratch)
	defer t.scratch.Put(sc)
	sc.norm.mapped = false
	sc.norm.normalize(t.v, text, prefix)
	return t.appendNormalized(dst, sc.norm.text, sc, false)
}

// appendNormalized appends the tokens of a normalized text. If splitUnknown is true,
// each unknown character has a token of its own; otherwise runs of them are
// fused where the model says so.
func (t *Tokenizer) appendNormalized(dst []Token, text []byte, sc *scratch, splitUnknown bool) []Token {
	if len(text) == 0 {
		return dst
	}
	if t.noCuts {
		// The queue splits unused pieces by what it merged anywhere in the text,
		// so the text must not be cut. It also finds user-defined symbols.
		g := segment{splitUnknown: splitUnknown}
		return g.fuse(sc.queue.append(dst, text), len(dst), t.v)
	}
	// User-defined symbols are never merged, so they are exact cuts. The text
	// between them is cut and merged like any other.
	for rest := string(text); ; {
		at, id, size := t.user.next(rest, 0)
		g := segment{text: rest[:at], splitUnknown: splitUnknown, cache: t.cache()}
		if t.runs != nil {
			dst = t.appendWords(dst, &g, math.MaxInt)
		} else {
			dst = t.appendPairs(dst, &g, math.MaxInt)
		}
		if size == 0 {
			return dst
		}
		dst, rest = append(dst, id), rest[at+size:]
	}
}

// CheckText returns a *TextError if a text is not UTF-8. Callers that would
// rather reject such a text than encode U+FFFD call it first.
func CheckText(text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	for i, r := range text {
		if _, size := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && size == 1 {
			return &TextError{i}
		}
	}
	return nil
}

// countStep is the number of tokens that Count encodes at a time.
const countStep = 4096

// Count returns the number of tokens that AppendEncode appends. It needs memory
// for a few thousand tokens only, except with special tokens and for models that
// normalize text.
func (t *Tokenizer) Count(text string, opts *Options) int {
	sc := t.scratch.Get().(*scratch)
	defer t.scratch.Put(sc)
	if (opts != nil && opts.Specials != SpecialsNone) || !t.direct() {
		sc.ids = t.AppendEncode(sc.ids[:0], text, opts)
		return len(sc.ids)
	}
	n := 0
	if opts != nil && opts.BOS && t.v.bos >= 0 {
		n++
	}
	if opts != nil && opts.EOS && t.v.eos >= 0 {
		n++
	}
	g := segment{text: text, cache: t.cache()}
	if text != "" && prefixed(t.v.prefix, text) {
		g.spaces = 1
	}
	for !g.done() {
		sc.ids = t.appendWords(sc.ids[:0], &g, countStep)
		n += len(sc.ids)
	}
	return n
}
