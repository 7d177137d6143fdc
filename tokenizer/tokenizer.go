package tokenizer

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Token is the id of a piece.
type Token = int32

// Kind is what a tokenizer was read from.
type Kind string

// The kinds.
const (
	KindDefault       Kind = "llama"         // the vocabulary in this package
	KindSentencePiece Kind = "sentencepiece" // tokenizer.model
	KindHuggingFace   Kind = "huggingface"   // tokenizer.json
	KindGGUF          Kind = "gguf"          // the metadata of a GGUF file
)

// Tokenizer turns text into tokens and back. It never changes and is safe for
// concurrent use.
type Tokenizer struct {
	*tables
	special *literals             // control and unknown pieces
	known   atomic.Pointer[cache] // made when it is needed first
	surface func() *surfaces
	byText  func() map[string]Token
	scratch sync.Pool
}

// Options are the choices of encoding; nil means the zero value: the text
// alone, in which nothing is special.
type Options struct {
	BOS, EOS bool // put the special tokens before and behind the tokens
	Specials Specials
}

// scratch is the space that one encoding needs.
type scratch struct {
	chunk []byte
	row   []int32
	dead  bitset
	queue queue
	norm  normalized
	ids   []Token
}

// newTokenizer makes a tokenizer of a vocabulary.
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

func idsByText(v *vocabulary) map[string]Token {
	m := make(map[string]Token, len(v.pieces))
	for id := range v.pieces {
		m[v.pieces[id].text] = Token(id)
	}
	return m
}

// Kind is what the tokenizer was read from.
func (t *Tokenizer) Kind() Kind { return t.v.kind }

// Len is the size of the vocabulary: ids are 0 to Len()-1.
func (t *Tokenizer) Len() int { return len(t.v.pieces) }

// Piece is a piece as the model spells it, with ▁ for a space; "" when the id
// is out of range.
func (t *Tokenizer) Piece(id Token) string {
	if id < 0 || int(id) >= t.Len() {
		return ""
	}
	return t.v.pieces[id].text
}

// Type is what a piece is for, 0 when the id is out of range.
func (t *Tokenizer) Type(id Token) PieceType {
	if id < 0 || int(id) >= t.Len() {
		return 0
	}
	return t.v.pieces[id].typ
}

// ID is the id of a piece, as the model spells it, and whether there is one.
func (t *Tokenizer) ID(piece string) (Token, bool) {
	id, ok := t.byText()[piece]
	return id, ok
}

// The ids of special tokens, -1 when the model has none.
func (t *Tokenizer) UNK() Token { return t.v.unk }
func (t *Tokenizer) BOS() Token { return t.v.bos }
func (t *Tokenizer) EOS() Token { return t.v.eos }
func (t *Tokenizer) PAD() Token { return t.v.pad }

// Encode is AppendEncode to nothing.
func (t *Tokenizer) Encode(text string, opts *Options) []Token {
	return t.AppendEncode(nil, text, opts)
}

// AppendEncode appends the tokens of a text. It is what SentencePiece makes
// of it: each byte that is not UTF-8 counts as U+FFFD. An empty text has no
// tokens but those that the options add. It allocates nothing when dst has
// room.
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

// cache is the cache of known chunks.
func (t *Tokenizer) cache() *cache {
	if c := t.known.Load(); c != nil {
		return c
	}
	t.known.CompareAndSwap(nil, newCache())
	return t.known.Load()
}

// grow makes the cache larger, if nobody else has, and returns it.
func (t *Tokenizer) grow(c *cache) *cache {
	if t.known.Load() == c {
		t.known.CompareAndSwap(c, c.grown())
	}
	return t.known.Load()
}

// direct is whether texts need no normalizing before they are cut.
func (t *tables) direct() bool {
	return t.runs != nil && !t.v.trim && !t.v.suffix && t.user == nil
}

// prefixed is whether ▁ is put before a text.
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

// appendNormalized appends the tokens of a normalized text, with unknown tokens
// apart or fused.
func (t *Tokenizer) appendNormalized(dst []Token, text []byte, sc *scratch, apart bool) []Token {
	if len(text) == 0 {
		return dst
	}
	if t.whole {
		g := segment{apart: apart}
		return g.fuse(sc.queue.append(dst, text), len(dst), t.v)
	}
	for rest := string(text); ; {
		at, id, size := t.user.next(rest, 0)
		g := segment{text: rest[:at], apart: apart, cache: t.cache()}
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

// CheckText is a *TextError when a text is not UTF-8, for those who would
// rather refuse it than have U+FFFD in its place.
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

// countStep is how many tokens are made at a time by who keeps none of them.
const countStep = 4096

// Count is the number of tokens that AppendEncode appends.
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
