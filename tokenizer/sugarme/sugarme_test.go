//go:build !386 && !arm && !mips && !mipsle

package sugarme_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	sugar "github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/processor"

	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/tokenizer/sugarme"
)

func Example() {
	tk := sugarme.New(tokenizer.Default())
	e, err := tk.EncodeSingle("Hello\n world 🦙")
	fmt.Println(e.Ids, err)
	fmt.Println(e.Offsets)
	fmt.Println(tk.Decode(e.Ids, true))
	// Output:
	// [15043 13 3186 29871 243 162 169 156] <nil>
	// [[0 5] [5 6] [6 12] [12 13] [13 17] [13 17] [13 17] [13 17]]
	// Hello
	//  world 🦙
}

func TestTexts(t *testing.T) {
	tk := sugarme.New(tokenizer.Default())
	for _, text := range []string{"", " ", "a", "Hi  Hello", "aaaa\n\t", "<s>é</s>", "a\xffb", "\xe2\x96", "▁x", "生活的真谛是 🦙"} {
		e, err := tk.EncodeSingle(text)
		require.NoError(t, err, "%q", text)
		var ids []tokenizer.Token
		for i, id := range e.Ids {
			ids = append(ids, tokenizer.Token(id))
			require.Equal(t, tokenizer.Default().Piece(tokenizer.Token(id)), e.Tokens[i])
		}
		require.Equal(t, tokenizer.Default().Encode(text, nil), ids, "%q", text)
		pieces, err := tk.Tokenize(text)
		require.NoError(t, err)
		require.Len(t, pieces, len(ids))
	}
}

func TestPipeline(t *testing.T) {
	tk := sugarme.New(tokenizer.Default())
	tk.WithPostProcessor(processor.NewBertProcessing(processor.PostToken{Value: "</s>", Id: 2}, processor.PostToken{Value: "<s>", Id: 1}))
	tk.WithTruncation(&sugar.TruncationParams{MaxLength: 5, Strategy: sugar.OnlyFirst})
	tk.WithPadding(&sugar.PaddingParams{Strategy: *sugar.NewPaddingStrategy(sugar.WithFixed(6)), Direction: sugar.Right, PadId: 0, PadToken: "<unk>"})
	e, err := tk.EncodeSingle("one two three four five six", true)
	require.NoError(t, err)
	require.Equal(t, []int{1, 697, 1023, 2211, 2, 0}, e.Ids)
	require.Equal(t, []int{1, 1, 1, 1, 1, 0}, e.AttentionMask)

	inputs := []sugar.EncodeInput{sugar.NewSingleEncodeInput(sugar.NewInputSequence("Hello")), sugar.NewSingleEncodeInput(sugar.NewInputSequence("")), sugar.NewSingleEncodeInput(sugar.NewInputSequence("Hello world"))}
	batch, err := tk.EncodeBatch(inputs, true)
	require.NoError(t, err)
	require.Equal(t, []int{1, 15043, 2, 0, 0, 0}, batch[0].Ids)
	require.Equal(t, []int{1, 15043, 3186, 2, 0, 0}, batch[2].Ids)
}

func TestPairs(t *testing.T) {
	tk := sugarme.New(tokenizer.Default())
	tk.WithPostProcessor(processor.NewBertProcessing(processor.PostToken{Value: "</s>", Id: 2}, processor.PostToken{Value: "<s>", Id: 1}))
	e, err := tk.EncodePair("a", "b", true)
	require.NoError(t, err)
	require.Equal(t, []int{1, 263, 2, 289, 2}, e.Ids)
}

// TestTheirPanics checks that a panic of sugarme/tokenizer becomes an error. Its
// RoBERTa post-processor panics.
func TestTheirPanics(t *testing.T) {
	tk := sugarme.New(tokenizer.Default())
	tk.WithPostProcessor(processor.NewRobertaProcessing(processor.PostToken{Value: "</s>", Id: 2}, processor.PostToken{Value: "<s>", Id: 1}, false, false))
	_, err := tk.EncodeSingle("a", true)
	require.ErrorContains(t, err, "panics")
}

func TestAddedTokens(t *testing.T) {
	tk := sugarme.New(tokenizer.Default())
	tk.AddSpecialTokens([]sugar.AddedToken{sugar.NewAddedToken("<s>", true), sugar.NewAddedToken("</s>", true)})
	e, err := tk.EncodeSingle("<s>hello</s>")
	require.NoError(t, err)
	require.Equal(t, []int{1, 22172, 2}, e.Ids)
	require.Equal(t, []string{"hello", "hello"}, tk.DecodeBatch([][]int{{1, 22172, 2}, {22172, 99999, -1}}, true))
}

func TestModel(t *testing.T) {
	tk := sugarme.New(tokenizer.Default())
	require.Equal(t, 32000, tk.GetModel().GetVocabSize())
	require.Equal(t, 15043, tk.GetModel().GetVocab()["▁Hello"])
	piece, ok := tk.GetModel().IdToToken(15043)
	require.Equal(t, []any{"▁Hello", true}, []any{piece, ok})
	_, ok = tk.GetModel().IdToToken(32000)
	require.False(t, ok)
	id, ok := tk.GetModel().TokenToId("▁Hello")
	require.Equal(t, []any{15043, true}, []any{id, ok})
	folder := t.TempDir()
	require.NoError(t, tk.GetModel().Save(folder, "my"))
	_, err := tokenizer.Open(t.Context(), filepath.Join(folder, "my-tokenizer.json"), nil)
	require.NoError(t, err)
}
