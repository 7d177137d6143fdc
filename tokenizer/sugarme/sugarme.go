// Package sugarme puts koala's exact tokenizer behind the types of
// github.com/sugarme/tokenizer, so that a program written for that one
// switches by one line:
//
//	tk, err := pretrained.FromFile("tokenizer.json") // before
//	tk := sugarme.New(tokenizer.Default())           // after
//
// Encodings, offsets, padding, truncation, post-processors, batches and added
// tokens are those of that package, which gives each byte of a character the offsets of the
// whole; the tokens are ours. It has its own module
// because of what that package depends on.
//
// Where that package ends the program or panics, this one does not: errors of
// a batch are returned, empty texts have no tokens, and bad bytes are read as
// U+FFFD, which offsets then count as three bytes.
package sugarme

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	sugar "github.com/sugarme/tokenizer"

	"github.com/koala-go/sdk/tokenizer"
)

// Tokenizer is a tokenizer of that package with koala's model in it.
type Tokenizer struct {
	*sugar.Tokenizer
	model *Model
}

// New wraps a tokenizer. Its special tokens are text, as in koala, until they
// are given to AddSpecialTokens; each stretch of text between them gets a ▁ of
// its own then.
func New(t *tokenizer.Tokenizer) *Tokenizer {
	model := &Model{t: t, vocabulary: sync.OnceValue(func() map[string]int { return vocabulary(t) })}
	return &Tokenizer{sugar.NewTokenizer(model), model}
}

// EncodeSingle encodes a text.
func (t *Tokenizer) EncodeSingle(input string, addSpecialTokens ...bool) (*sugar.Encoding, error) {
	return t.Encode(sugar.NewSingleEncodeInput(sequence(input)), isTrue(addSpecialTokens))
}

// EncodePair encodes two texts.
func (t *Tokenizer) EncodePair(input, pair string, addSpecialTokens ...bool) (*sugar.Encoding, error) {
	return t.Encode(sugar.NewDualEncodeInput(sequence(input), sequence(pair)), isTrue(addSpecialTokens))
}

// Tokenize gives the pieces of a text.
func (t *Tokenizer) Tokenize(input string, addSpecialTokens ...bool) ([]string, error) {
	e, err := t.EncodeSingle(input, addSpecialTokens...)
	if err != nil {
		return nil, err
	}
	return e.GetTokens(), nil
}

// sequence mends bad bytes, on which that package panics.
func sequence(text string) sugar.InputSequence {
	return sugar.NewInputSequence(string([]rune(text)))
}

func isTrue(flags []bool) bool { return len(flags) > 0 && flags[0] }

// Encode encodes what may be a pair or split into words already.
func (t *Tokenizer) Encode(input sugar.EncodeInput, addSpecialTokens bool) (e *sugar.Encoding, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("sugarme/tokenizer panics: %v: in its pipeline: use another post-processor", r)
		}
	}()
	return t.Tokenizer.Encode(input, addSpecialTokens)
}

// EncodeBatch encodes many inputs, several at a time, and pads them to one
// length if padding is on.
func (t *Tokenizer) EncodeBatch(inputs []sugar.EncodeInput, addSpecialTokens bool) ([]sugar.Encoding, error) {
	out := make([]sugar.Encoding, len(inputs))
	errs := make([]error, len(inputs))
	limit := make(chan struct{}, 16)
	var wait sync.WaitGroup
	for i := range inputs {
		limit <- struct{}{}
		wait.Go(func() {
			defer func() { <-limit }()
			e, err := t.Encode(inputs[i], addSpecialTokens)
			if errs[i] = err; err == nil {
				out[i] = *e
			}
		})
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
	}
	if padding := t.GetPadding(); padding != nil {
		out = sugar.PadEncodings(out, *padding)
	}
	return out, nil
}

// Decode gives the text of ids. Ids out of range have none.
func (t *Tokenizer) Decode(ids []int, skipSpecialTokens bool) string {
	var kept []tokenizer.Token
	for _, id := range ids {
		kind := t.model.t.Type(tokenizer.Token(id))
		special := kind == tokenizer.Control || kind == tokenizer.Unknown
		if kind != 0 && int(tokenizer.Token(id)) == id && !(special && skipSpecialTokens) {
			kept = append(kept, tokenizer.Token(id))
		}
	}
	text, err := t.model.t.Decode(kept)
	if err != nil {
		return "" // cannot be: the ids were checked
	}
	return text
}

// DecodeBatch gives the texts of several lists of ids.
func (t *Tokenizer) DecodeBatch(lists [][]int, skipSpecialTokens bool) []string {
	texts := make([]string, len(lists))
	for i, ids := range lists {
		texts[i] = t.Decode(ids, skipSpecialTokens)
	}
	return texts
}

// Model is koala's tokenizer as a model of that package: it takes text as it
// is, so that no normalizer and no pre-tokenizer is needed.
type Model struct {
	t          *tokenizer.Tokenizer
	vocabulary func() map[string]int
}

var _ sugar.Model = (*Model)(nil)

// Tokenize gives the tokens of a text with their byte offsets in it.
func (m *Model) Tokenize(text string) ([]sugar.Token, error) {
	ids, spans := m.t.AppendEncodeSpans(nil, nil, text, nil)
	tokens := make([]sugar.Token, len(ids))
	for i, id := range ids {
		tokens[i] = sugar.NewToken(int(id), m.t.Piece(id), []int{spans[i].Begin, spans[i].End})
	}
	return tokens, nil
}

// TokenToId finds the id of a piece.
func (m *Model) TokenToId(piece string) (int, bool) {
	id, ok := m.t.ID(piece)
	return int(id), ok
}

// IdToToken is the piece of an id.
func (m *Model) IdToToken(id int) (string, bool) {
	if id < 0 || id >= m.t.Len() {
		return "", false
	}
	return m.t.Piece(tokenizer.Token(id)), true
}

// GetVocab is the ids of all pieces; it must not be changed.
func (m *Model) GetVocab() map[string]int { return m.vocabulary() }

func vocabulary(t *tokenizer.Tokenizer) map[string]int {
	m := make(map[string]int, t.Len())
	for id := range t.Len() {
		m[t.Piece(tokenizer.Token(id))] = id
	}
	return m
}

// GetVocabSize is the number of pieces.
func (m *Model) GetVocabSize() int { return m.t.Len() }

// Save writes tokenizer.json into a folder, with a prefix to its name.
func (m *Model) Save(folder string, prefix ...string) error {
	var b strings.Builder
	if err := m.t.Export(&b, tokenizer.FormatHF); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, strings.Join(append(prefix, "tokenizer.json"), "-")), []byte(b.String()), 0o644)
}
