// Package modeldir knows the side files of a model: the tokenizer, its
// configuration and chat template, and the model card. They are stored in the
// model's directory or, for the tokenizer of a GGUF file, in the file of the
// weights. Files and Vocabulary copy them from the inputs of a conversion and make
// those that no input has.
package modeldir

import (
	"bytes"
	"encoding/json"
	"regexp"

	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

// Names of side files.
const (
	CardName = "README.md" // the model card

	tokenizerModel  = "tokenizer.model" // LLaMA's own form of the tokenizer
	tokenizerJSON   = "tokenizer.json"  // the form of Hugging Face's tokenizers
	tokenizerConfig = "tokenizer_config.json"
	addedTokens     = "added_tokens.json"
)

// ReadFunc reads the side file of a name. It returns nil if no input has it.
type ReadFunc func(name string) ([]byte, error)

// Files returns the side files, but for the model card, for a directory of a
// format: those of the inputs and, for a model with LLaMA's vocabulary whose
// inputs have no tokenizer, LLaMA's tokenizer.
func Files(format weights.Format, config *weights.Config, read ReadFunc) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, name := range format.SideFiles() {
		content, err := read(name)
		if err != nil {
			return nil, err
		}
		if content != nil {
			files[name] = content
		}
	}
	if len(format.SideFiles()) > 0 && files[tokenizerModel] == nil && files[tokenizerJSON] == nil && hasLLaMAVocabulary(config) {
		if err := addTokenizer(files, format); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// hasLLaMAVocabulary reports whether the vocabulary has the size of LLaMA's.
func hasLLaMAVocabulary(c *weights.Config) bool { return c.Vocab == tokenizer.Default().Len() }

// IsHuggingFace reports whether outputs of the format are directories that
// transformers reads.
func IsHuggingFace(f weights.Format) bool { return f.IsDir() && f.Layout() == weights.HuggingFace }

// addTokenizer adds LLaMA's tokenizer, in the form that the format's readers
// expect: transformers or Meta's code.
func addTokenizer(files map[string][]byte, format weights.Format) error {
	var model, fast bytes.Buffer
	if err := tokenizer.Default().Export(&model, tokenizer.FormatSPM); err != nil {
		return err
	}
	files[tokenizerModel] = model.Bytes()
	if !IsHuggingFace(format) {
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
	files[tokenizerJSON], files[tokenizerConfig] = fast.Bytes(), append(config, '\n')
	return err
}

// outputName matches the names of the files that a run writes into a directory,
// but for the model card: a user may have written a README.md.
var outputName = regexp.MustCompile(`^(model(-\d+-of-\d+)?\.safetensors|consolidated\.\d\d\.pth|tokenizer\.model|` +
	`(koala-manifest|params|model\.safetensors\.index|config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens)\.json)$`)

// IsOutput reports whether a run may have written a file of this name into a
// model directory. It reports false for the model card.
func IsOutput(name string) bool { return outputName.MatchString(name) }

// ModelName returns the name of a recovered model, for formats that store one and
// for the model card.
func ModelName(c *weights.Config) string {
	if c.Size() == "other" {
		return "Koala"
	}
	return "Koala " + c.Size()
}
