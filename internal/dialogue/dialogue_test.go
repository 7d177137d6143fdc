package dialogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/koala"
)

// TestTokens compares the dialogue's tokens with those of package koala.
func TestTokens(t *testing.T) {
	tokens, inReply, err := Tokens(32000)
	require.NoError(t, err)
	want, mask, err := koala.AppendMasked(nil, nil, conversation, &koala.Options{BOS: true})
	require.NoError(t, err)
	require.Equal(t, want, tokens)
	require.Equal(t, mask, inReply)
	require.Greater(t, len(tokens), 150)
}

func TestSmallVocabulary(t *testing.T) {
	_, _, err := Tokens(31999)
	require.Equal(t, &VocabularyError{32000, 31999}, err)
	require.ErrorContains(t, err, ": give tokens of your own")
}
