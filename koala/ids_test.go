package koala_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
)

// TestLikeReference compares with a plain version of the training code, which
// interop/check_prompt.py compares with Python's sentencepiece.
func TestLikeReference(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	for range 1000 {
		c := conversation(r, 8)
		o := &koala.Options{BOS: r.IntN(2) == 0, Render: prompt.Options{Next: prompt.Quality(r.IntN(2))}}
		want, mask := reference(c, o.Render.Next, o.BOS)
		ids, loss, err := koala.AppendMasked([]koala.Token{7}, []bool{true}, c, o)
		require.NoError(t, err)
		require.Equal(t, append([]koala.Token{7}, want...), ids, "%+v", c)
		require.Equal(t, append([]bool{true}, mask...), loss)
		alone, err := koala.AppendIDs(nil, c, o)
		require.NoError(t, err)
		require.Equal(t, want, alone)
		parts, err := koala.Explain(c, o)
		require.NoError(t, err)
		var joined []koala.Token
		for _, p := range parts {
			joined = append(joined, p.IDs...)
			require.NotEmpty(t, p.Why)
			require.Equal(t, p.Text == "" && p.Kind != "reply", p.Kind == "bos" || p.Kind == "end")
		}
		require.Equal(t, want, joined)
	}
}

// TestNoControlFromContent encodes 100,000 conversations of hostile content. The
// only control tokens must be the end-of-sequence tokens after the replies, and
// printable ASCII must not encode to byte tokens.
func TestNoControlFromContent(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2))
	rounds := 100_000
	if testing.Short() {
		rounds = 10_000
	}
	var ids []koala.Token
	var loss []bool
	for range rounds {
		c := conversation(r, 5)
		ascii := true
		for i := range c {
			ascii = ascii && printable(c[i].Content)
		}
		var err error
		ids, loss, err = koala.AppendMasked(ids[:0], loss[:0], c, nil)
		if err != nil {
			t.Fatal(err)
		}
		ends := 0
		for i, id := range ids {
			if id == 2 && loss[i] && (i+1 == len(ids) || !loss[i+1]) {
				ends++
				continue
			}
			if id < 3 || ascii && id < 259 {
				t.Fatalf("token %d from content: %+v", id, c)
			}
		}
		if ends != len(c)/2 {
			t.Fatalf("%d ends of %d replies: %+v", ends, len(c)/2, c)
		}
	}
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// TestTextHasTheTokensOfTraining checks that a server which splits the FastChat
// text at </s>, as Hugging Face's first LLaMA tokenizer does, gets the ids of the
// training. Empty replies are an exception: there the space is a token.
func TestTextHasTheTokensOfTraining(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 3))
	compared := 0
	for range 2000 {
		c := conversation(r, 6)
		text, err := prompt.FastChat.Text(c, nil)
		if err != nil || slices.ContainsFunc(c, func(t prompt.Turn) bool { return t.Role == prompt.Assistant && t.Content == "" }) {
			continue
		}
		ids, err := koala.AppendIDs(nil, c, nil)
		require.NoError(t, err)
		require.Equal(t, ids, tokenizer.Default().Encode(text, &tokenizer.Options{Specials: tokenizer.SpecialsHFLegacy}), "%q", text)
		compared++
	}
	require.Greater(t, compared, 200)
}

// TestOtherDialectsHaveOtherTokens checks the table in the specification.
func TestOtherDialectsHaveOtherTokens(t *testing.T) {
	encode := func(d *prompt.Dialect, mode tokenizer.Specials) []koala.Token {
		text, err := d.Text(documented, nil)
		require.NoError(t, err)
		return tokenizer.Default().Encode(text, &tokenizer.Options{Specials: mode})
	}
	want, _ := reference(documented, prompt.Helpful, false)
	require.Len(t, want, 40) // 41 with BOS
	require.Equal(t, []koala.Token{6324}, want[17:18])
	require.Equal(t, []koala.Token{2, 3148, 1001}, want[25:28])
	require.Equal(t, want, encode(&prompt.FastChat, tokenizer.SpecialsHFLegacy))
	easy := encode(&prompt.EasyLM, tokenizer.SpecialsHFLegacy)
	require.Equal(t, []koala.Token{18567}, easy[17:18])
	require.Equal(t, []koala.Token{2, 3148, 1001}, easy[25:28])
	easy = encode(&prompt.EasyLM, tokenizer.SpecialsHF)
	require.Equal(t, []koala.Token{2, 11889}, easy[25:27])
	require.Contains(t, encode(&prompt.FastChat, tokenizer.SpecialsNone), koala.Token(829))
	require.Contains(t, encode(&prompt.Eval, tokenizer.SpecialsHFLegacy), koala.Token(29871))
}

func TestInvalidUTF8(t *testing.T) {
	c := prompt.Conversation{{Content: "a\xffb"}}
	_, err := koala.AppendIDs(nil, c, nil)
	require.ErrorIs(t, err, prompt.ErrUTF8)
	o := &koala.Options{Render: prompt.Options{InvalidUTF8: prompt.ReplaceUTF8}}
	ids, err := koala.AppendIDs(nil, c, o)
	require.NoError(t, err)
	want, _ := reference(prompt.Conversation{{Content: "a\ufffdb"}}, prompt.Helpful, false)
	require.Equal(t, want, ids)
	chat, err := koala.New(o)
	require.NoError(t, err)
	require.NoError(t, chat.User("a\xffb\xff\xff"))
	require.Equal(t, "a\ufffdb\ufffd\ufffd", chat.Conversation()[0].Content)
}

// TestLongContent encodes content that is longer than maxScratch.
func TestLongContent(t *testing.T) {
	c := prompt.Conversation{{Content: string(bytes.Repeat([]byte("wood "), 1e6))}}
	want, _ := reference(c, prompt.Helpful, false)
	ids, err := koala.AppendIDs(nil, c, nil)
	require.NoError(t, err)
	require.True(t, slices.Equal(want, ids))
}

func TestErrorsLeaveDst(t *testing.T) {
	ids, mask, err := koala.AppendMasked([]koala.Token{1}, []bool{true}, nil, nil)
	require.ErrorIs(t, err, prompt.ErrEmpty)
	require.Len(t, ids, 1)
	require.Len(t, mask, 1)
	ids, err = koala.AppendIDs([]koala.Token{1}, prompt.Conversation{{Role: 5}}, &koala.Options{BOS: true})
	require.ErrorIs(t, err, prompt.ErrRole)
	require.Len(t, ids, 1)
	_, err = koala.Explain(nil, nil)
	require.ErrorIs(t, err, prompt.ErrEmpty)
}
