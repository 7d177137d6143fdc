package modeldir

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

// SizeError reports a tokenizer that has more pieces than the model has rows.
type SizeError struct{ Pieces, Rows int }

// Error returns a message of the form "what: where: what to do".
func (e *SizeError) Error() string {
	return e.Problem() + ": " + e.Cure()
}

// Problem describes what was found, and where.
func (e *SizeError) Problem() string {
	return fmt.Sprintf("%s beside an input has %d pieces, but the model has %d rows", tokenizerModel, e.Pieces, e.Rows)
}

// Cure describes what to do.
func (e *SizeError) Cure() string { return "give the model's own tokenizer" }

// Vocabulary returns the tokenizer for a GGUF file: the tokenizer.model of an
// input or, for a vocabulary of LLaMA's size, LLaMA's. It returns nil if there is
// neither. The error is a *SizeError for a tokenizer that is too large.
func Vocabulary(config *weights.Config, read ReadFunc) (*weights.Vocabulary, error) {
	content, err := read(tokenizerModel)
	if err != nil {
		return nil, err
	}
	var t *tokenizer.Tokenizer
	switch {
	case content != nil:
		if t, err = tokenizer.NewReader(bytes.NewReader(content), int64(len(content))); err != nil {
			return nil, fmt.Errorf("%s beside an input: %w", tokenizerModel, err)
		}
	case hasLLaMAVocabulary(config):
		t = tokenizer.Default()
	default:
		return nil, nil
	}
	if t.Len() > config.Vocab {
		return nil, &SizeError{t.Len(), config.Vocab}
	}
	v, err := listPieces(t, config.Vocab, read)
	if err != nil {
		return nil, err
	}
	v.ChatTemplate, err = chatTemplate(read)
	return v, err
}

// chatTemplate returns the template in an input's tokenizer_config.json, or
// Koala's.
func chatTemplate(read ReadFunc) (string, error) {
	content, err := read(tokenizerConfig)
	if content == nil || err != nil {
		return prompt.ChatTemplate, err
	}
	var config struct {
		Template string `json:"chat_template"`
	}
	if err := json.Unmarshal(content, &config); err != nil {
		return "", fmt.Errorf("%s beside an input: %w", tokenizerConfig, err)
	}
	return cmp.Or(config.Template, prompt.ChatTemplate), nil
}

// addedScore is the score that llama.cpp's converter gives to added tokens.
const addedScore = -1000

// listPieces lists a tokenizer's pieces and names the rows beyond them: by
// added_tokens.json or, as llama.cpp's converter does, as [PADn].
func listPieces(t *tokenizer.Tokenizer, rows int, read ReadFunc) (*weights.Vocabulary, error) {
	v := &weights.Vocabulary{Scores: t.Scores(), BOS: int(t.BOS()), EOS: int(t.EOS()), Unknown: int(t.UNK())}
	for id := range tokenizer.Token(t.Len()) {
		v.Pieces = append(v.Pieces, t.Piece(id))
		v.Types = append(v.Types, int32(t.Type(id)))
	}
	added, err := readAddedTokens(read)
	if err != nil {
		return nil, err
	}
	for id := t.Len(); id < rows; id++ {
		name, kind := fmt.Sprintf("[PAD%d]", id), tokenizer.Unused
		if n, ok := added[id]; ok {
			name, kind = n, tokenizer.UserDefined
		}
		v.Pieces, v.Types, v.Scores = append(v.Pieces, name), append(v.Types, int32(kind)), append(v.Scores, addedScore)
	}
	return v, nil
}

// readAddedTokens reads added_tokens.json. It returns the texts by id.
func readAddedTokens(read ReadFunc) (map[int]string, error) {
	content, err := read(addedTokens)
	if content == nil || err != nil {
		return nil, err
	}
	var ids map[string]int
	if err := json.Unmarshal(content, &ids); err != nil {
		return nil, fmt.Errorf("%s beside an input: %w", addedTokens, err)
	}
	texts := make(map[int]string, len(ids))
	for text, id := range ids {
		texts[id] = text
	}
	return texts, nil
}
