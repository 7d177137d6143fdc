package prompt

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFromMessages(t *testing.T) {
	system, user, gpt, tool := Message{Role: "system", Content: "S"}, Message{Role: "user", Content: "U"}, Message{Role: "gpt", Content: "A"}, Message{Role: "tool", Content: "T"}
	none := Message{Role: "human"}
	for _, row := range []struct {
		name string
		in   []Message
		o    *Import
		want Conversation
		note []Note
		kind error // instead of want
		at   int
	}{
		{"plain", []Message{user, gpt, user}, nil, Conversation{{Content: "U"}, {Role: Assistant, Content: "A"}, {Content: "U"}}, nil, nil, 0},
		{"other names", []Message{{Role: "human", Content: "x"}, {Role: "chatgpt", Content: "y", Quality: Unhelpful}}, nil, Conversation{{Content: "x"}, {Assistant, Unhelpful, "y"}}, nil, nil, 0},
		{"system refused", []Message{system, user}, nil, nil, nil, ErrPolicy, 0},
		{"system folded", []Message{system, system, user}, &Import{System: Fold}, Conversation{{Content: "S\nS\nU"}}, []Note{{0, "system", Fold}, {1, "system", Fold}}, nil, 0},
		{"system folded later", []Message{user, gpt, system, user}, &Import{System: Fold}, Conversation{{Content: "U"}, {Role: Assistant, Content: "A"}, {Content: "S\nU"}}, []Note{{2, "system", Fold}}, nil, 0},
		{"system at the end", []Message{user, gpt, system}, &Import{System: Fold}, nil, nil, ErrPolicy, 2},
		{"system dropped", []Message{system, user}, &Import{System: Drop}, Conversation{{Content: "U"}}, []Note{{0, "system", Drop}}, nil, 0},
		{"system alone", []Message{system}, &Import{System: Drop}, nil, nil, ErrEmpty, -1},
		{"tool refused", []Message{user, tool}, nil, nil, nil, ErrPolicy, 1},
		{"tool folded", []Message{user, gpt, tool, user}, &Import{Tool: Fold}, Conversation{{Content: "U"}, {Role: Assistant, Content: "A"}, {Content: "T\nU"}}, []Note{{2, "tool", Fold}}, nil, 0},
		{"tool dropped", []Message{user, tool, gpt}, &Import{Tool: Drop}, Conversation{{Content: "U"}, {Role: Assistant, Content: "A"}}, []Note{{1, "tool", Drop}}, nil, 0},
		{"empty refused", []Message{user, gpt, none}, nil, nil, nil, ErrPolicy, 2},
		{"empty dropped", []Message{none, user}, &Import{Empty: Drop}, Conversation{{Content: "U"}}, []Note{{0, "human", Drop}}, nil, 0},
		{"empty kept", []Message{none}, &Import{Empty: Keep}, Conversation{{}}, []Note{{0, "human", Keep}}, nil, 0},
		{"repeated refused", []Message{user, user}, nil, nil, nil, ErrOrder, 1},
		{"repeated folded", []Message{user, user, gpt, gpt}, &Import{Repeated: Fold}, Conversation{{Content: "U\nU"}, {Role: Assistant, Content: "A\nA"}}, []Note{{1, "user", Fold}, {3, "gpt", Fold}}, nil, 0},
		{"repeated of other qualities", []Message{user, gpt, {Role: "gpt", Content: "B", Quality: Unhelpful}}, &Import{Repeated: Fold}, nil, nil, ErrOrder, 2},
		{"reply first", []Message{gpt}, nil, nil, nil, ErrOrder, 0},
		{"unknown role", []Message{user, {Role: "narrator", Content: "x"}}, nil, nil, nil, ErrRole, 1},
		{"quality of a user", []Message{{Role: "user", Content: "x", Quality: Unhelpful}}, nil, nil, nil, ErrMarker, 0},
		{"none", nil, nil, nil, nil, ErrEmpty, -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, notes, err := FromMessages(row.in, row.o)
			if row.kind != nil {
				requireBad(t, err, row.kind, row.at, -1)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.want, got)
			require.Equal(t, row.note, notes)
			require.NoError(t, got.Check())
			again, notes, err := FromMessages(got.Messages(), &Import{Empty: Keep})
			require.NoError(t, err)
			require.Equal(t, got, again)
			require.LessOrEqual(t, len(notes), 1)
		})
	}
}

func TestNames(t *testing.T) {
	require.Equal(t, []string{"user", "assistant", "role 9"}, []string{User.String(), Assistant.String(), Role(9).String()})
	require.Equal(t, []string{"helpful", "unhelpful", "quality 9"}, []string{Helpful.String(), Unhelpful.String(), Quality(9).String()})
	require.Equal(t, []string{"query", "reply", "end"}, []string{Query.String(), Reply.String(), End.String()})
	require.Equal(t, []string{"marker", "control", "byte name"}, []string{LooksLikeMark.String(), ControlText.String(), ByteName.String()})
	require.Equal(t, []string{"refuse", "fold", "drop", "keep"}, []string{Refuse.String(), Fold.String(), Drop.String(), Keep.String()})
	require.Equal(t, "conversation of 3 turns", twoTurns.String())
	for name, want := range map[string]Role{"user": User, "human": User, "assistant": Assistant, "gpt": Assistant} {
		got, err := ParseRole(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := ParseRole("User")
	require.ErrorIs(t, err, ErrRole)
	_, err = ParseQuality("")
	require.ErrorIs(t, err, ErrMarker)
	q, err := ParseQuality("unhelpful")
	require.NoError(t, err)
	require.Equal(t, Unhelpful, q)
}
