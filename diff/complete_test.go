package diff

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

// wordy is a model with LLaMA's vocabulary.
var wordy = modeltest.Model{Layers: 1, Dim: 16, FFN: 32, Vocab: 32000, Heads: 2, Seed: 3}

// wordyTrial recovers wordy from a base without a tokenizer.
func wordyTrial(t *testing.T) *trial {
	t.Helper()
	x := newTrial(t)
	write(t, wordy, x.base, &modeltest.Options{Format: hf, DType: dtype.F16, Values: wordy.Base})
	write(t, wordy, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: wordy.Diff})
	return x
}

// TestTokenizerFiles recovers from inputs without a tokenizer. The output gets
// LLaMA's in both forms, with Koala's chat template.
func TestTokenizerFiles(t *testing.T) {
	x := wordyTrial(t)
	require.NoError(t, x.do(t, x))
	const text = "BEGINNING OF CONVERSATION: USER: Hello! GPT:"
	want := tokenizer.Default().Encode(text, nil)
	for _, name := range []string{"tokenizer.model", "tokenizer.json"} {
		got, err := tokenizer.Open(t.Context(), filepath.Join(x.out, name), nil)
		require.NoError(t, err)
		require.Equal(t, want, got.Encode(text, nil), name)
	}
	var config map[string]any
	b, err := os.ReadFile(filepath.Join(x.out, "tokenizer_config.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &config))
	require.Equal(t, prompt.ChatTemplate, config["chat_template"])

	x.opts.Format, x.out = torch, x.out+".meta"
	require.NoError(t, x.do(t, x))
	require.FileExists(t, filepath.Join(x.out, "tokenizer.model"))
	require.NoFileExists(t, filepath.Join(x.out, "tokenizer.json"), "Meta's folders have none")
}

// TestTokenizerInGGUF writes a vocabulary into GGUF files: LLaMA's, or the one
// beside the base, with names for the rows that the tokenizer does not have.
func TestTokenizerInGGUF(t *testing.T) {
	x := wordyTrial(t)
	x.opts.Format = gguf
	require.NoError(t, x.do(t, x))
	got, err := tokenizer.Open(t.Context(), x.out, nil)
	require.NoError(t, err)
	require.Equal(t, tokenizer.KindGGUF, got.Kind())
	require.Equal(t, tokenizer.Default().Len(), got.Len())
	const text = "Hello, koala! 你好\n  ok"
	require.Equal(t, tokenizer.Default().Encode(text, nil), got.Encode(text, nil))
	for id := range tokenizer.Token(got.Len()) {
		require.Equal(t, tokenizer.Default().Piece(id), got.Piece(id))
		require.Equal(t, tokenizer.Default().Type(id), got.Type(id))
	}

	more := wordy
	more.Vocab += 2
	write(t, more, x.base, &modeltest.Options{Format: hf, DType: dtype.F16, Values: more.Base})
	f, err := os.Create(filepath.Join(x.base, "tokenizer.model"))
	require.NoError(t, err)
	require.NoError(t, tokenizer.Default().Export(f, tokenizer.FormatSPM))
	require.NoError(t, f.Close())
	put(t, filepath.Join(x.base, "added_tokens.json"), `{"[PAD]": 32001}`)
	put(t, filepath.Join(x.base, "tokenizer_config.json"), `{"chat_template": "another {{ one }}"}`)
	x.do, x.out = convertIt, x.out+"2"
	require.NoError(t, x.do(t, x))
	got, err = tokenizer.Open(t.Context(), x.out, nil)
	require.NoError(t, err)
	require.Equal(t, "[PAD32000]", got.Piece(32000))
	require.Equal(t, tokenizer.Unused, got.Type(32000))
	require.Equal(t, "[PAD]", got.Piece(32001))
	require.Equal(t, tokenizer.UserDefined, got.Type(32001))
	b, err := os.ReadFile(x.out)
	require.NoError(t, err)
	require.Contains(t, string(b), "another {{ one }}")

	x.out += "3"
	put(t, filepath.Join(x.base, "tokenizer.model"), "no model")
	require.ErrorContains(t, requireUntouched(t, x), "tokenizer.model beside an input")
}

// TestAlreadyRecovered gives a recovered model as the base. The check is
// statistical and needs enough weights.
func TestAlreadyRecovered(t *testing.T) {
	x := newTrial(t)
	m := modeltest.Small
	write(t, m, x.base, &modeltest.Options{Format: hf, DType: dtype.F16, Values: m.Base})
	write(t, m, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: m.Diff})
	for _, format := range []weights.Format{hf, torch} {
		twice := filepath.Join(filepath.Dir(x.base), "once "+string(format))
		_, err := Recover(t.Context(), x.base, x.delta, twice, &Options{Format: format, DType: dtype.F16})
		require.NoError(t, err, "the right base")
		y := *x
		y.base = twice
		requireCheck(t, &y, CheckRecovered, "has a slope of ")
		y.opts = &Options{Allow: []string{CheckRecovered}}
		require.NoError(t, y.do(t, &y))
		require.NoError(t, os.RemoveAll(y.out))
	}
}

// TestWarnings has a base with the configuration of Llama 2. The files are
// sparse: the test reads headers and a few weights.
func TestWarnings(t *testing.T) {
	m := modeltest.Model{Layers: 32, Dim: 4096, FFN: 11008, Vocab: 32000, Heads: 32}
	x := newTrial(t)
	write(t, m, x.base, &modeltest.Options{Format: hf, DType: dtype.F16})
	write(t, m, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16})
	for text, want := range map[string][]string{
		`{"rms_norm_eps": 1e-6, "max_position_embeddings": 2048}`: {},
		`{"rms_norm_eps": 1e-5, "max_position_embeddings": 4096}`: {"states a norm epsilon of 1e-05, LLaMA 7B has 1e-06", "states 4096 positions"},
	} {
		put(t, filepath.Join(x.base, "config.json"), text)
		p, err := PlanRecover(t.Context(), x.base, x.delta, x.out, &Options{Allow: everyCheck})
		var full *CheckError
		if errors.As(err, &full) && full.Check == CheckSpace {
			t.Skip("the disk has no room for a 7B model: ", err)
		}
		require.NoError(t, err)
		s := p.Summary()
		require.NoError(t, p.Close())
		require.Len(t, s.Warnings, len(want))
		for i := range want {
			require.Contains(t, s.Warnings[i], want[i])
			require.Contains(t, s.Warnings[i], "Llama 2")
		}
	}
}
