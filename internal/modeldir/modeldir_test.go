package modeldir

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

// reader returns a ReadFunc of some files.
func reader(files map[string]string) ReadFunc {
	return func(name string) ([]byte, error) {
		if content, ok := files[name]; ok {
			return []byte(content), nil
		}
		return nil, nil
	}
}

// TestFiles copies the files that inputs have, and makes LLaMA's tokenizer for
// inputs without one.
func TestFiles(t *testing.T) {
	llama := &weights.Config{Vocab: tokenizer.Default().Len()}
	files, err := Files(weights.FormatSafetensors, llama, reader(map[string]string{"tokenizer.json": "{}", "README.md": "no"}))
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"tokenizer.json": []byte("{}")}, files)

	files, err = Files(weights.FormatSafetensors, llama, reader(nil))
	require.NoError(t, err)
	require.Len(t, files, 3)
	require.Contains(t, string(files["tokenizer_config.json"]), `"chat_template"`)
	files, err = Files(weights.FormatTorch, llama, reader(nil))
	require.NoError(t, err)
	require.Len(t, files, 1)
	files, err = Files(weights.FormatEasyLM, llama, reader(nil))
	require.NoError(t, err)
	require.Empty(t, files)
	files, err = Files(weights.FormatSafetensors, &weights.Config{Vocab: 7}, reader(nil))
	require.NoError(t, err)
	require.Empty(t, files)

	broken := errors.New("disk")
	_, err = Files(weights.FormatTorch, llama, func(string) ([]byte, error) { return nil, broken })
	require.ErrorIs(t, err, broken)
}

// TestVocabulary refuses tokenizers that do not fit, and files that are malformed.
func TestVocabulary(t *testing.T) {
	var model bytes.Buffer
	require.NoError(t, tokenizer.Default().Export(&model, tokenizer.FormatSPM))
	_, err := Vocabulary(&weights.Config{Vocab: 100}, reader(map[string]string{"tokenizer.model": model.String()}))
	require.Equal(t, &SizeError{32000, 100}, err)
	v, err := Vocabulary(&weights.Config{Vocab: 100}, reader(nil))
	require.NoError(t, err)
	require.Nil(t, v)
	for _, name := range []string{"tokenizer.model", "tokenizer_config.json", "added_tokens.json"} {
		_, err := Vocabulary(&weights.Config{Vocab: 32000}, reader(map[string]string{name: "{"}))
		require.ErrorContains(t, err, name+" beside an input: ")
	}
}

// TestIsOutput knows the names that runs write.
func TestIsOutput(t *testing.T) {
	for name, want := range map[string]bool{
		"model.safetensors": true, "model-00001-of-00002.safetensors": true, "consolidated.00.pth": true,
		"koala-manifest.json": true, "config.json": true, "tokenizer.model": true,
		"README.md": false, "model.safetensors.bak": false, ".config.json": false, "consolidated.0.pth": false, "": false,
	} {
		require.Equal(t, want, IsOutput(name), name)
	}
}

// TestCard renders the names and nothing else.
func TestCard(t *testing.T) {
	card := Card{Name: "Koala 7B", Rule: "base + diff", Tool: "tool", Manifest: "m.json", Inputs: []CardInput{{"base", "llama"}, {"diff", "d"}}}
	text := string(card.Text())
	for _, part := range []string{"# Koala 7B\n", "recovered as base + diff, from", "- base: `llama`\n- diff: `d`\n", "by `tool`. [m.json](m.json)"} {
		require.Contains(t, text, part)
	}
}
