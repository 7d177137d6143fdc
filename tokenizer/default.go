package tokenizer

import (
	_ "embed"
	"strings"
	"sync"
	"unicode/utf8"
)

//go:generate go run ./internal/gen

// llama is LLaMA's vocabulary; internal/gen describes it.
//
//go:embed llama.bin
var llama string

// Facts of LLaMA's vocabulary.
const (
	llamaFirst  = 259    // id of the first piece that is no byte
	llamaLen    = 32000  // pieces
	llamaMerged = 29612  // pieces that a merge makes: the first of these
	llamaText   = 203718 // bytes of their texts
	llamaNodes  = 57419  // different beginnings of pieces
	runScore    = -1e9   // score of ▁ and its runs; others score 259 - id
)

// Default is LLaMA's tokenizer, which is Koala's, made on the first call.
func Default() *Tokenizer { return defaultTokenizer() }

var defaultTokenizer = sync.OnceValue(func() *Tokenizer {
	t, err := newTokenizer(llamaVocabulary())
	if err != nil {
		panic("tokenizer: the embedded vocabulary is damaged: " + err.Error())
	}
	return t
})

// llamaVocabulary unpacks the vocabulary. Its halves are trusted: a test
// compares them with those that are found without them.
func llamaVocabulary() *vocabulary {
	v := newVocabulary(KindDefault)
	v.unk, v.bos, v.eos = 0, 1, 2
	v.byteFallback, v.trim, v.nodes = true, false, llamaNodes
	v.pieces = append(make([]piece, 0, llamaLen), piece{"<unk>", 0, Unknown}, piece{"<s>", 0, Control}, piece{"</s>", 0, Control})
	for b := range 256 {
		v.pieces = append(v.pieces, piece{byteText(byte(b)), 0, Byte})
	}
	v.halves = make([]merge, llamaLen)
	for id := range v.halves {
		v.halves[id].left = -1
	}
	v.unpack(llama)
	return v
}

// unpack appends the pieces. The text of a merged one is that of its halves,
// which come before it but for the characters, which are at the end.
func (v *vocabulary) unpack(data string) {
	v.pieces = v.pieces[:llamaLen]
	chars := data[4*llamaMerged:]
	id := llamaFirst + llamaMerged
	for i, r := range chars {
		v.pieces[id] = llamaPiece(id, chars[i:i+utf8.RuneLen(r)])
		id++
	}
	// One string holds all the texts: strings.Builder never moves it when it
	// is large enough.
	var all strings.Builder
	all.Grow(llamaText)
	for i := range llamaMerged {
		id := llamaFirst + i
		h := merge{half(data[4*i:]), half(data[4*i+2:]), Token(id)}
		begin := all.Len()
		all.WriteString(v.pieces[h.left].text)
		all.WriteString(v.pieces[h.right].text)
		v.pieces[id], v.halves[id] = llamaPiece(id, all.String()[begin:]), h
	}
}

// llamaPiece gives a piece its score.
func llamaPiece(id int, text string) piece {
	if text[0] == spaceText[0] && strings.Trim(text, spaceText) == "" {
		return piece{text, runScore, Normal}
	}
	return piece{text, llamaFirst - float32(id), Normal}
}

// half reads an id.
func half(data string) Token { return Token(data[0]) | Token(data[1])<<8 }
