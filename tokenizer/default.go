package tokenizer

import (
	_ "embed"
	"strings"
	"sync"
	"unicode/utf8"
)

//go:generate go run ./internal/gen

// llama is LLaMA's vocabulary. The documentation of internal/gen describes the
// format.
//
//go:embed llama.bin
var llama string

// Facts of LLaMA's vocabulary.
const (
	llamaFirst  = 259    // id of the first piece that is neither special nor a byte
	llamaLen    = 32000  // number of pieces
	llamaMerged = 29612  // number of pieces that a merge makes; their ids begin at llamaFirst
	llamaText   = 203718 // total length in bytes of the texts of these pieces
	llamaNodes  = 57419  // number of distinct non-empty prefixes of pieces
	runScore    = -1e9   // score of ▁ and of its runs; the score of other pieces is 259 - id
)

// Default returns the tokenizer of LLaMA, which is also that of Koala. The first
// call takes some milliseconds to make it.
func Default() *Tokenizer { return defaultTokenizer() }

var defaultTokenizer = sync.OnceValue(func() *Tokenizer {
	t, err := newTokenizer(llamaVocabulary())
	if err != nil {
		panic("tokenizer: the embedded vocabulary is damaged: " + err.Error())
	}
	return t
})

// llamaVocabulary returns the embedded vocabulary. Its halves are not checked
// when it is loaded: a test compares them with those that build finds without
// them.
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

// unpack appends the pieces of data. Merged pieces come first, and their texts
// are those of their halves. The halves are earlier pieces or characters, which
// are at the end of data and are therefore read first.
func (v *vocabulary) unpack(data string) {
	v.pieces = v.pieces[:llamaLen]
	chars := data[4*llamaMerged:]
	id := llamaFirst + llamaMerged
	for i, r := range chars {
		v.pieces[id] = llamaPiece(id, chars[i:i+utf8.RuneLen(r)])
		id++
	}
	// All texts share one string. Its builder has room for all of them, so it
	// never moves the text that earlier pieces refer to.
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

// llamaPiece returns a piece with its score.
func llamaPiece(id int, text string) piece {
	if text[0] == spaceText[0] && strings.Trim(text, spaceText) == "" {
		return piece{text, runScore, Normal}
	}
	return piece{text, llamaFirst - float32(id), Normal}
}

// half reads an id of two bytes.
func half(data string) Token { return Token(data[0]) | Token(data[1])<<8 }
