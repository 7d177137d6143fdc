package koala_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// fitted finds the longest window by trying all.
func fitted(c prompt.Conversation, next prompt.Quality, bos bool, budget int) (dropped, tokens int, fits bool) {
	for k := 0; k < len(c); k += 2 {
		ids, _ := reference(c[k:], next, bos)
		if len(ids) <= budget {
			return k, len(ids), true
		}
	}
	return 0, 0, false
}

func TestFit(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 4))
	dropped, refused := 0, 0
	for range 1000 {
		c := conversation(r, 10)
		o := &koala.Options{BOS: r.IntN(2) == 0, Budget: 10 + r.IntN(120), Render: prompt.Options{Next: prompt.Quality(r.IntN(2))}}
		want, tokens, fits := fitted(c, o.Render.Next, o.BOS, o.Budget)
		kept, w, err := koala.Fit(c, o)
		if !fits {
			requireOverBudget(t, err, o.Budget, len(c)-1)
			refused++
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c[want:], kept)
		all, _ := reference(c, o.Render.Next, false)
		left, _ := reference(c[want:], o.Render.Next, false)
		require.Equal(t, koala.Window{Dropped: want, DroppedTokens: len(all) - len(left), Tokens: tokens}, w)
		if want > 0 {
			dropped++
		}
	}
	require.Greater(t, dropped, 100)
	require.Greater(t, refused, 50)
}

func requireOverBudget(t *testing.T, err error, budget, turn int) {
	var over *koala.BudgetError
	var at *prompt.TurnError
	require.ErrorAs(t, err, &over)
	require.ErrorAs(t, err, &at)
	require.Equal(t, budget, over.Budget)
	require.Greater(t, over.Need, budget)
	require.Equal(t, turn, at.Turn)
	require.ErrorContains(t, err, "raise the budget")
}

func TestFitCuts(t *testing.T) {
	long := strings.Repeat("How much wood would a woodchuck chuck? ", 20)
	for _, c := range []prompt.Conversation{
		{{Content: long}},
		{{Content: "x"}, {Role: prompt.Assistant, Content: "y"}, {Content: long}},
		{{Content: "x"}, {Role: prompt.Assistant, Content: long}},
		{{Content: strings.Repeat("🦙 ", 100)}},
		{{Content: strings.Repeat("  ", 500) + "x"}},
	} {
		for budget := 5; budget < 80; budget++ {
			for _, overflow := range []koala.Overflow{koala.KeepStart, koala.KeepEnd} {
				o := &koala.Options{Budget: budget, Overflow: overflow, BOS: true}
				kept, w, err := koala.Fit(c, o)
				last := len(c) - 1
				if err != nil {
					requireOverBudget(t, err, budget, last)
					require.Less(t, budget, 30, "a part of the turn fits")
					continue
				}
				ids, err := koala.AppendIDs(nil, kept, o)
				require.NoError(t, err)
				require.Len(t, ids, w.Tokens)
				require.LessOrEqual(t, w.Tokens, budget)
				require.GreaterOrEqual(t, w.Tokens, budget-6, "cut too much of %.40q", c[last].Content)
				require.Equal(t, last&^1, w.Dropped)
				before, _ := reference(c[:last&^1], prompt.Helpful, false)
				require.Equal(t, max(len(before)-9, 0), w.DroppedTokens, "the 9 tokens of the header are not dropped")
				got := kept[len(kept)-1].Content
				require.Equal(t, len(c[last].Content)-len(got), w.CutBytes)
				if overflow == koala.KeepStart {
					require.True(t, strings.HasPrefix(c[last].Content, got))
				} else {
					require.True(t, strings.HasSuffix(c[last].Content, got))
				}
			}
		}
	}
	_, _, err := koala.Fit(prompt.Conversation{{Content: ""}}, &koala.Options{Budget: 3, Overflow: koala.KeepEnd})
	requireOverBudget(t, err, 3, 0)
}

func TestFitRefuses(t *testing.T) {
	_, _, err := koala.Fit(nil, nil)
	require.ErrorIs(t, err, prompt.ErrEmpty)
	_, _, err = koala.Fit(prompt.Conversation{{}, {}}, nil)
	require.ErrorIs(t, err, prompt.ErrOrder)
	_, _, err = koala.Fit(prompt.Conversation{{}}, &koala.Options{Dialect: &prompt.Dialect{}})
	require.ErrorIs(t, err, prompt.ErrDialect)
	_, _, err = koala.Fit(prompt.Conversation{{}, {Role: prompt.Assistant}, {Content: "\xff"}}, nil)
	var e *prompt.TurnError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, prompt.ErrUTF8)
	require.Equal(t, 2, e.Turn)
}

// TestChatLikeFit changes chats at random and compares each chat with Fit and
// AppendIDs, which encode the whole conversation again.
func TestChatLikeFit(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 150 {
		o := &koala.Options{BOS: r.IntN(2) == 0, Budget: 40 + r.IntN(300)}
		chat, err := koala.New(o)
		require.NoError(t, err)
		for range 40 {
			change(t, r, chat, o)
			c := chat.Conversation()
			ids, w, err := chat.AppendIDs([]koala.Token{9})
			want, wantW, wantErr := koala.Fit(c, o)
			if wantErr != nil {
				require.EqualError(t, err, wantErr.Error())
				require.Len(t, ids, 1)
				continue
			}
			require.NoError(t, err)
			wantIDs, err := koala.AppendIDs([]koala.Token{9}, want, o)
			require.NoError(t, err)
			require.Equal(t, wantIDs, ids)
			require.Equal(t, wantW, w)
			require.Equal(t, len(ids)-1, w.Tokens)
			text, _, err := chat.AppendText(nil)
			wantText, wantErr := prompt.FastChat.Text(want, &o.Render)
			if wantErr == nil {
				require.NoError(t, err)
				require.Equal(t, wantText, string(text))
			} else {
				require.ErrorIs(t, err, prompt.ErrControl)
			}
		}
	}
}

// change makes a random change to a chat.
func change(t *testing.T, r *rand.Rand, chat *koala.Chat, o *koala.Options) {
	n := len(chat.Conversation())
	switch r.IntN(8) {
	case 0:
		require.Equal(t, n > 0, chat.Undo())
		require.Len(t, chat.Conversation(), max(n-1, 0))
	case 1:
		o.Render.Next = prompt.Quality(r.IntN(2))
		require.NoError(t, chat.SetNext(o.Render.Next))
	case 2:
		if r.IntN(10) == 0 {
			chat.Reset()
			require.Empty(t, chat.Conversation())
		}
	default:
		turn := prompt.Turn{Role: prompt.Role(n % 2), Content: content(r)}
		if turn.Role == prompt.Assistant {
			turn.Quality = prompt.Quality(r.IntN(2))
		}
		require.NoError(t, chat.Add(turn))
	}
}
