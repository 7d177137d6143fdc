package koala_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// TestModerator checks that flagged texts are withheld, wherever the stream is
// cut, and that the chat does not change.
func TestModerator(t *testing.T) {
	filler := strings.Repeat("all is well. ", 30)
	for _, step := range []int{0, 1, 16, 64, -1} {
		for n := 1; n < 40; n += 3 {
			chat, err := koala.New(&koala.Options{Moderator: backend.NewWordList("bomb", "very bad"), ModerateStep: step})
			require.NoError(t, err)
			var shown strings.Builder

			_, err = chat.Ask(t.Context(), says("A", 1), "How to make a BOMB?", &shown)
			flagged := requireFlagged(t, err)
			require.Equal(t, koala.FlaggedError{Role: prompt.User, Reason: "bomb"}, *flagged)

			_, err = chat.Ask(t.Context(), says(filler+"a bomb "+filler, n), "Q", &shown)
			flagged = requireFlagged(t, err)
			require.Equal(t, koala.FlaggedError{Role: prompt.Assistant, Reason: "bomb"}, *flagged)
			require.True(t, strings.HasPrefix(filler, shown.String()), shown.String())
			require.Empty(t, chat.Conversation())

			shown.Reset()
			_, err = chat.Ask(t.Context(), says(filler+"very bad", n), "Q", &shown)
			requireFlagged(t, err)
			require.NotContains(t, shown.String(), "very", "step %d, pieces of %d", step, n)

			shown.Reset()
			_, err = chat.Ask(t.Context(), says(" "+filler+"bombastic", n), "Q", &shown)
			require.NoError(t, err)
			require.Equal(t, filler+"bombastic", shown.String())
			require.Equal(t, shown.String(), chat.Conversation()[1].Content)
		}
	}
}

func requireFlagged(t *testing.T, err error) *koala.FlaggedError {
	t.Helper()
	require.ErrorIs(t, err, koala.ErrFlagged)
	var flagged *koala.FlaggedError
	require.ErrorAs(t, err, &flagged)
	return flagged
}

type brokenModerator struct{ err error }

func (m brokenModerator) Moderate(context.Context, string) (string, error) { return "", m.err }

// TestModeratorFails checks that nothing passes if the moderator fails.
func TestModeratorFails(t *testing.T) {
	down := errors.New("down")
	chat, err := koala.New(&koala.Options{Moderator: brokenModerator{down}})
	require.NoError(t, err)
	_, err = chat.Ask(t.Context(), says("A", 1), "Q", nil)
	require.ErrorIs(t, err, down)
	require.NoError(t, chat.User("Q"))
	var shown strings.Builder
	_, err = chat.Answer(t.Context(), says("A", 1), &shown)
	require.ErrorIs(t, err, down)
	require.Empty(t, shown.String())
	require.Len(t, chat.Conversation(), 1)
}

// TestModerators checks that the first reason or error is returned.
func TestModerators(t *testing.T) {
	down := errors.New("down")
	words, broken := backend.NewWordList("bomb"), brokenModerator{down}
	for _, row := range []struct {
		all    koala.Moderators
		reason string
		err    error
	}{
		{nil, "", nil},
		{koala.Moderators{words, backend.NewWordList("a")}, "bomb", nil},
		{koala.Moderators{backend.NewWordList("fine"), words}, "bomb", nil},
		{koala.Moderators{words, broken}, "bomb", nil},
		{koala.Moderators{backend.NewWordList("fine"), broken, words}, "", down},
	} {
		reason, err := row.all.Moderate(t.Context(), "a bomb")
		require.Equal(t, row.reason, reason)
		require.Equal(t, row.err, err)
	}
}

// TestAnswer requests a second reply to the same query with other sampling.
func TestAnswer(t *testing.T) {
	chat, err := koala.New(nil)
	require.NoError(t, err)
	_, err = chat.Answer(t.Context(), says("A", 1), nil)
	require.ErrorIs(t, err, prompt.ErrEmpty)
	_, err = chat.Ask(t.Context(), says("A", 1), "Q", nil)
	require.NoError(t, err)
	_, err = chat.Answer(t.Context(), says("B", 1), nil)
	require.ErrorIs(t, err, prompt.ErrOrder)
	require.True(t, chat.Undo())
	s := chat.Sampling()
	s.Temperature = 0.25
	chat.SetSampling(s)
	require.Equal(t, s, chat.Sampling())
	ending, err := chat.Answer(t.Context(), says("B", 1), nil)
	require.NoError(t, err)
	require.Equal(t, 16, ending.Window.Tokens)
	require.Equal(t, prompt.Conversation{{Content: "Q"}, {Role: prompt.Assistant, Content: "B"}}, chat.Conversation())
}
