//go:build !386 && !arm && !mips && !mipsle

// Package sugarme adapts the SDK's tokenizer to the types of
// github.com/sugarme/tokenizer. A program that uses that package gets exact
// LLaMA tokens by changing one line:
//
//	tk, err := pretrained.FromFile("tokenizer.json") // before
//	tk := sugarme.New(tokenizer.Default())           // after
//
// The tokens come from package tokenizer. Encodings, offsets, padding,
// truncation, post-processors, batches and added tokens come from
// sugarme/tokenizer, which gives every byte of a character the offsets of the
// whole character.
//
// Some inputs make sugarme/tokenizer panic or exit the program. This package
// returns an error from a batch instead, encodes an empty text as no tokens, and
// reads invalid UTF-8 as U+FFFD, which counts as three bytes in offsets.
//
// The package exists on 64-bit systems only: sugarme/tokenizer does not compile on
// others.
package sugarme

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	sugar "github.com/sugarme/tokenizer"

	"github.com/koala-go/sdk/internal/parallel"
	"github.com/koala-go/sdk/tokenizer"
)

// Tokenizer is a sugarme tokenizer whose model is a [Model].
type Tokenizer struct {
	*sugar.Tokenizer
	model *Model
}

// New returns a Tokenizer that encodes with t. Text that looks like a special
// token is encoded as text, as in package tokenizer, until the token is passed to
// AddSpecialTokens. From then on, each piece of text between special tokens gets
// its own leading ▁.
func New(t *tokenizer.Tokenizer) *Tokenizer {
	model := &Model{t: t, vocabulary: sync.OnceValue(func() map[string]int { return vocabulary(t) })}
	return &Tokenizer{sugar.NewTokenizer(model), model}
}

// EncodeSingle encodes one text.
func (t *Tokenizer) EncodeSingle(input string, addSpecialTokens ...bool) (*sugar.Encoding, error) {
	return t.Encode(sugar.NewSingleEncodeInput(sequence(input)), isTrue(addSpecialTokens))
}

// EncodePair encodes two texts as one sequence.
func (t *Tokenizer) EncodePair(input, pair string, addSpecialTokens ...bool) (*sugar.Encoding, error) {
	return t.Encode(sugar.NewDualEncodeInput(sequence(input), sequence(pair)), isTrue(addSpecialTokens))
}

// Tokenize returns the pieces of a text.
func (t *Tokenizer) Tokenize(input string, addSpecialTokens ...bool) ([]string, error) {
	e, err := t.EncodeSingle(input, addSpecialTokens...)
	if err != nil {
		return nil, err
	}
	return e.GetTokens(), nil
}

// sequence replaces invalid UTF-8, on which sugarme/tokenizer panics.
func sequence(text string) sugar.InputSequence {
	return sugar.NewInputSequence(string([]rune(text)))
}

func isTrue(flags []bool) bool { return len(flags) > 0 && flags[0] }

// Encode encodes an input, which may be a pair and may be split into words.
func (t *Tokenizer) Encode(input sugar.EncodeInput, addSpecialTokens bool) (e *sugar.Encoding, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("sugarme/tokenizer panics: %v: in its pipeline: use another post-processor", r)
		}
	}()
	return t.Tokenizer.Encode(input, addSpecialTokens)
}

// EncodeBatch encodes inputs concurrently. If padding is on, it pads them to the
// same length.
func (t *Tokenizer) EncodeBatch(inputs []sugar.EncodeInput, addSpecialTokens bool) ([]sugar.Encoding, error) {
	out := make([]sugar.Encoding, len(inputs))
	err := parallel.For(context.Background(), 0, len(inputs), func(_ context.Context, i int) error {
		e, err := t.Encode(inputs[i], addSpecialTokens)
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		out[i] = *e
		return nil
	})
	if err != nil {
		return nil, err
	}
	if padding := t.GetPadding(); padding != nil {
		out = sugar.PadEncodings(out, *padding)
	}
	return out, nil
}

// Decode returns the text of ids. It ignores ids that are out of range.
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
		return "" // unreachable: Decode fails only for ids that were dropped above
	}
	return text
}

// DecodeBatch returns the text of each list of ids.
func (t *Tokenizer) DecodeBatch(lists [][]int, skipSpecialTokens bool) []string {
	texts := make([]string, len(lists))
	for i, ids := range lists {
		texts[i] = t.Decode(ids, skipSpecialTokens)
	}
	return texts
}

// Model is a sugarme model that encodes with package tokenizer. It needs neither a
// normalizer nor a pre-tokenizer.
type Model struct {
	t          *tokenizer.Tokenizer
	vocabulary func() map[string]int
}

var _ sugar.Model = (*Model)(nil)

// Tokenize returns the tokens of a text with their byte offsets.
func (m *Model) Tokenize(text string) ([]sugar.Token, error) {
	ids, spans := m.t.AppendEncodeSpans(nil, nil, text, nil)
	tokens := make([]sugar.Token, len(ids))
	for i, id := range ids {
		tokens[i] = sugar.NewToken(int(id), m.t.Piece(id), []int{spans[i].Begin, spans[i].End})
	}
	return tokens, nil
}

// TokenToId returns the id of a piece and reports whether it exists.
func (m *Model) TokenToId(piece string) (int, bool) {
	id, ok := m.t.ID(piece)
	return int(id), ok
}

// IdToToken returns the piece of an id and reports whether it exists.
func (m *Model) IdToToken(id int) (string, bool) {
	if id < 0 || id >= m.t.Len() {
		return "", false
	}
	return m.t.Piece(tokenizer.Token(id)), true
}

// GetVocab returns the id of each piece. The caller must not change the map.
func (m *Model) GetVocab() map[string]int { return m.vocabulary() }

func vocabulary(t *tokenizer.Tokenizer) map[string]int {
	m := make(map[string]int, t.Len())
	for id := range t.Len() {
		m[t.Piece(tokenizer.Token(id))] = id
	}
	return m
}

// GetVocabSize returns the number of pieces.
func (m *Model) GetVocabSize() int { return m.t.Len() }

// Save writes tokenizer.json to a folder. A prefix is joined to the name with a
// hyphen.
func (m *Model) Save(folder string, prefix ...string) error {
	var b strings.Builder
	if err := m.t.Export(&b, tokenizer.FormatHF); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, strings.Join(append(prefix, "tokenizer.json"), "-")), []byte(b.String()), 0o644)
}
