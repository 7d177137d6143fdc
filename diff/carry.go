package diff

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

// tokenizerModel is the tokenizer that LLaMA was released with.
const tokenizerModel = "tokenizer.model"

// carried are the files beside an input that belong to the model too, by the
// format that holds them.
var carried = map[weights.Format][]string{
	weights.FormatSafetensors: {
		"generation_config.json",
		tokenizerModel, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	},
	weights.FormatTorch: {tokenizerModel},
}

// carryFiles takes over the small files that the output's format has room for,
// and makes those that no input has.
func (p *Plan) carryFiles(s *weights.Spec) error {
	for _, name := range carried[s.Format] {
		text, err := p.file(name)
		if err != nil {
			return err
		}
		if text != nil {
			s.Files[name] = text
		}
	}
	if s.Format == weights.FormatGGUF {
		return p.carryVocabulary(s)
	}
	if len(carried[s.Format]) > 0 && s.Files[tokenizerModel] == nil && s.Files["tokenizer.json"] == nil && isLLaMA(s) {
		if err := addTokenizer(s); err != nil {
			return err
		}
	}
	if s.Format == weights.FormatSafetensors && p.op == recovery {
		s.Files[cardName] = p.modelCard()
	}
	return nil
}

// isLLaMA says whether the model has a vocabulary of the size of LLaMA's.
func isLLaMA(s *weights.Spec) bool { return s.Config.Vocab == tokenizer.Default().Len() }

// addTokenizer adds LLaMA's tokenizer, as transformers reads it.
func addTokenizer(s *weights.Spec) error {
	var model, fast bytes.Buffer
	if err := tokenizer.Default().Export(&model, tokenizer.FormatSPM); err != nil {
		return err
	}
	s.Files[tokenizerModel] = model.Bytes()
	if s.Format != weights.FormatSafetensors {
		return nil
	}
	if err := tokenizer.Default().Export(&fast, tokenizer.FormatHF); err != nil {
		return err
	}
	config, err := json.MarshalIndent(map[string]any{
		"tokenizer_class": "LlamaTokenizer", "add_bos_token": true, "add_eos_token": false, "legacy": true,
		"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "clean_up_tokenization_spaces": false,
		"model_max_length": 2048, "chat_template": prompt.ChatTemplate,
	}, "", "  ")
	s.Files["tokenizer.json"], s.Files["tokenizer_config.json"] = fast.Bytes(), append(config, '\n')
	return err
}

// file is a small file of the first input that has it, nil when none does.
func (p *Plan) file(name string) ([]byte, error) {
	for i, c := range p.sources {
		text, err := c.File(name)
		if err == nil {
			return text, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", p.inputs[i].name, err)
		}
	}
	return nil, nil
}

// carryVocabulary puts the tokenizer into a GGUF file: the one beside an
// input, or LLaMA's for a vocabulary of its size.
func (p *Plan) carryVocabulary(s *weights.Spec) error {
	text, err := p.file(tokenizerModel)
	if err != nil {
		return err
	}
	var t *tokenizer.Tokenizer
	switch {
	case text != nil:
		if t, err = tokenizer.NewReader(bytes.NewReader(text), int64(len(text))); err != nil {
			return fmt.Errorf("%s beside an input: %w", tokenizerModel, err)
		}
	case isLLaMA(s):
		t = tokenizer.Default()
	default:
		return nil
	}
	if t.Len() > s.Config.Vocab {
		return &CheckError{CheckSize, fmt.Sprintf("%s beside an input has %d pieces, the model %d rows", tokenizerModel, t.Len(), s.Config.Vocab), "put the model's own tokenizer there"}
	}
	if s.Vocabulary, err = p.vocabulary(t, s.Config.Vocab); err != nil {
		return err
	}
	s.Vocabulary.ChatTemplate, err = p.chatTemplate()
	return err
}

// chatTemplate is the one that an input's tokenizer_config.json has, or
// Koala's.
func (p *Plan) chatTemplate() (string, error) {
	text, err := p.file("tokenizer_config.json")
	if text == nil || err != nil {
		return prompt.ChatTemplate, err
	}
	var config struct {
		Template string `json:"chat_template"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return "", fmt.Errorf("tokenizer_config.json beside an input: %w", err)
	}
	return cmp.Or(config.Template, prompt.ChatTemplate), nil
}

// vocabulary lists a tokenizer's pieces, and names for rows beyond them: those
// of added_tokens.json, or such as llama.cpp makes up.
func (p *Plan) vocabulary(t *tokenizer.Tokenizer, rows int) (*weights.Vocabulary, error) {
	v := &weights.Vocabulary{Scores: t.Scores(), BOS: int(t.BOS()), EOS: int(t.EOS()), Unknown: int(t.UNK())}
	for id := range tokenizer.Token(t.Len()) {
		v.Pieces = append(v.Pieces, t.Piece(id))
		v.Types = append(v.Types, int32(t.Type(id)))
	}
	added, err := p.addedTokens()
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

// addedScore is the score that llama.cpp's converter gives to added tokens.
const addedScore = -1000

// addedTokens reads added_tokens.json: texts by id.
func (p *Plan) addedTokens() (map[int]string, error) {
	text, err := p.file("added_tokens.json")
	if text == nil || err != nil {
		return nil, err
	}
	var ids map[string]int
	if err := json.Unmarshal(text, &ids); err != nil {
		return nil, fmt.Errorf("added_tokens.json beside an input: %w", err)
	}
	texts := make(map[int]string, len(ids))
	for text, id := range ids {
		texts[id] = text
	}
	return texts, nil
}
