package koala_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// TestBadJSON checks the kind, the turn and the offset of the errors of
// ParseConversation.
func TestBadJSON(t *testing.T) {
	const x = `{"role":"user","content":"x"}`
	for _, row := range []struct {
		name, json   string
		kind         error
		turn, offset int
		text         string
	}{
		{"nothing", ``, koala.ErrMalformed, -1, 0, "JSON ends"},
		{"empty", `[]`, prompt.ErrEmpty, -1, -1, "empty"},
		{"empty messages", `{"messages":[]}`, prompt.ErrEmpty, -1, -1, "empty"},
		{"no messages", `{}`, koala.ErrMalformed, -1, 0, `no "messages"`},
		{"a string", `"x"`, koala.ErrMalformed, -1, 0, "'['"},
		{"unknown field", `[` + x + `,{"role":"gpt","content":"y","name":"z"}]`, koala.ErrMalformed, 1, 66, `unknown field "name"`},
		{"field in other case", `[{"Role":"user","content":"x"}]`, koala.ErrMalformed, 0, 9, `unknown field "Role"`},
		{"unknown field outside", `{"messages":[` + x + `],"model":"m"}`, koala.ErrMalformed, -1, 52, `unknown field "model"`},
		{"messages twice", `{"messages":[],"messages":[]}`, koala.ErrMalformed, -1, 15, "duplicate"},
		{"role twice", `[{"role":"user","role":"user","content":"x"}]`, koala.ErrMalformed, 0, 16, "duplicate"},
		{"unknown role", `[` + x + `,{"role":"system","content":"y"}]`, prompt.ErrRole, 1, 39, `unknown role "system"`},
		{"unknown quality", `[` + x + `,{"role":"gpt","content":"y","quality":"good"}]`, prompt.ErrMarker, 1, 69, `unknown quality "good"`},
		{"quality of a user", `[{"role":"user","content":"x","quality":"helpful"}]`, koala.ErrMalformed, 0, 1, "quality of a user"},
		{"no role", `[{"content":"x"}]`, koala.ErrMalformed, 0, 1, "without a role"},
		{"no content", `[{"role":"user"}]`, koala.ErrMalformed, 0, 1, "without content"},
		{"null content", `[{"role":"user","content":null}]`, koala.ErrMalformed, 0, 26, "JSON has"},
		{"number as content", `[{"role":"user","content":5}]`, koala.ErrMalformed, 0, 26, "JSON has"},
		{"null turn", `[null]`, koala.ErrMalformed, 0, 1, "JSON has"},
		{"lone surrogate", `[` + x + `,{"role":"gpt","content":"\ud800"}]`, koala.ErrMalformed, 1, 56, "lone surrogate"},
		{"low surrogate", `[{"role":"user","content":"a\udc00"}]`, koala.ErrMalformed, 0, 28, "lone surrogate"},
		{"two high surrogates", `[{"role":"user","content":"\ud800\ud800"}]`, koala.ErrMalformed, 0, 27, "lone surrogate"},
		{"not UTF-8", "[{\"role\":\"user\",\"content\":\"\xff\"}]", koala.ErrMalformed, 0, 27, "not UTF-8"},
		{"newline in a string", "[{\"role\":\"user\",\"content\":\"\n\"}]", koala.ErrMalformed, 0, 27, "control character"},
		{"byte order mark", "\ufeff[" + x + "]", koala.ErrMalformed, -1, 0, "JSON has"},
		{"cut short", `[{"role":"user","content":"x`, koala.ErrMalformed, 0, 28, "ends"},
		{"comma at the end", `[` + x + `,]`, koala.ErrMalformed, 1, 31, "JSON has"},
		{"goes on", `[` + x + `] x`, koala.ErrMalformed, -1, 32, "follows"},
		{"two user turns", `[` + x + `,` + x + `]`, prompt.ErrOrder, 1, -1, "two user turns"},
		{"starts with a reply", `[{"role":"gpt","content":"x"}]`, prompt.ErrOrder, 0, -1, "begins with a reply"},
		{"deep", `[` + strings.Repeat("[", 1e6), koala.ErrMalformed, 0, 1, "JSON has"},
	} {
		t.Run(row.name, func(t *testing.T) {
			data := []byte(row.json)
			c, err := lawful(t, data)
			require.Nil(t, c)
			requireTurn(t, err, row.kind, row.turn, row.offset)
			require.ErrorContains(t, err, row.text)
		})
	}
}

func requireTurn(t testing.TB, err, kind error, turn, offset int) {
	var e *prompt.TurnError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, kind)
	require.Equal(t, []int{turn, offset}, []int{e.Turn, e.Offset}, "%v", err)
}

// lawful parses and checks that the memory used is proportional to the input.
func lawful(t testing.TB, data []byte) (c prompt.Conversation, err error) {
	limit := uint64(1<<20 + 32*len(data))
	parse := func() { c, err = koala.ParseConversation(data) }
	least := refusaltest.Allocated(parse)
	for try := 0; least > limit && try < 2; try++ {
		least = min(least, refusaltest.Allocated(parse))
	}
	require.LessOrEqual(t, least, limit)
	return c, err
}

func TestGoodJSON(t *testing.T) {
	want := prompt.Conversation{{Content: "x\U0001f999\x00"}, {Role: prompt.Assistant, Quality: prompt.Unhelpful, Content: "y"}, {Content: ""}}
	for _, text := range []string{
		`[{"role":"user","content":"x\ud83e\udd99\u0000"},{"role":"assistant","content":"y","quality":"unhelpful"},{"role":"user","content":""}]`,
		` {"messages" : [ {"content":"x🦙\u0000","role":"human"}, {"quality":"unhelpful","role":"gpt","content":"\u0079"},{"role":"human","content":""}]}` + "\n",
	} {
		c, err := lawful(t, []byte(text))
		require.NoError(t, err)
		require.Equal(t, want, c)
		again, err := koala.AppendConversation([]byte("before "), c)
		require.NoError(t, err)
		require.Equal(t, `before [{"role":"user","content":"x🦙\u0000"},{"role":"assistant","content":"y","quality":"unhelpful"},{"role":"user","content":""}]`, string(again))
	}
	_, err := koala.AppendConversation(nil, nil)
	require.ErrorIs(t, err, prompt.ErrEmpty)
	_, err = koala.AppendConversation(nil, prompt.Conversation{{Content: "x"}, {Role: prompt.Assistant, Content: "\xff"}})
	requireTurn(t, err, prompt.ErrUTF8, 1, -1)
	// ParseConversation reads 50 MB; rendering refuses them.
	c, err := koala.ParseConversation([]byte(`[{"role":"user","content":"` + strings.Repeat("x", 50e6) + `"}]`))
	require.NoError(t, err)
	_, err = koala.AppendIDs(nil, c, nil)
	requireTurn(t, err, prompt.ErrTooLong, 0, -1)
}

func TestImport(t *testing.T) {
	fold := &prompt.Import{System: prompt.Fold}
	both := prompt.Conversation{{Content: "x"}, {Role: prompt.Assistant, Content: "y"}}
	for _, row := range []struct {
		json  string
		o     *prompt.Import
		want  prompt.Conversation
		notes int
	}{
		{`[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]`, nil, both, 0},
		{`{"messages":[{"role":"system","content":"S"},{"role":"user","content":[{"type":"text","text":"x"},{"text":"z","type":"text"}]}]}`, fold, prompt.Conversation{{Content: "S\nxz"}}, 1},
		{`{"id":"a1","conversations":[{"from":"human","value":"x"},{"from":"gpt","value":"y"}]}`, nil, both, 0},
		{`{"prompt":"q","context":"USER: x GPT:y</s>","temperature":0.5}`, nil, append(both[:2:2], prompt.Turn{Content: "q"}), 0},
		{`{"prompt":""}`, nil, prompt.Conversation{{}}, 0},
	} {
		c, notes, err := koala.ImportConversation([]byte(row.json), row.o)
		require.NoError(t, err, row.json)
		require.Equal(t, row.want, c)
		require.Len(t, notes, row.notes)
	}
	for _, row := range []struct {
		json         string
		kind         error
		turn, offset int
	}{
		{`[{"role":"system","content":"x"}]`, prompt.ErrPolicy, 0, -1},
		{`[{"role":"user","content":"x","tool_calls":[]}]`, koala.ErrMalformed, 0, 43},
		{`[{"role":"user","content":[{"type":"image_url","image_url":"x"}]}]`, koala.ErrMalformed, 0, 27},
		{`[{"role":"user","content":[{"type":"text","text":"x","y":"z"}]}]`, koala.ErrMalformed, 0, 27},
		{`[{"role":"assistant","content":null}]`, koala.ErrMalformed, 0, 31},
		{`[{"role":"user"}]`, koala.ErrMalformed, 0, 1},
		{`{"messages":[],"prompt":""}`, koala.ErrMalformed, -1, 24},
		{`{"id":"x"}`, koala.ErrMalformed, -1, 0},
		{`{"model":"x"}`, koala.ErrMalformed, -1, 9},
		{`{"prompt":"x","context":"USER: x GPT:y"}`, io.ErrUnexpectedEOF, 1, 13},
		{`{"prompt":"x"} {}`, koala.ErrMalformed, -1, 15},
	} {
		_, _, err := koala.ImportConversation([]byte(row.json), nil)
		requireTurn(t, err, row.kind, row.turn, row.offset)
	}
}

// requireOption requires an error about an option that is not one about a turn.
func requireOption(t testing.TB, err error, option string) {
	t.Helper()
	var e *prompt.OptionError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, koala.ErrOptions)
	require.Equal(t, option, e.Option)
	require.NotErrorAs(t, err, new(*prompt.TurnError))
}

// TestBadOptions checks that every function with options refuses those that cannot
// be used, and names them.
func TestBadOptions(t *testing.T) {
	for _, row := range []struct {
		o      koala.Options
		option string
		kind   error
	}{
		{koala.Options{Dialect: &prompt.Dialect{}}, "Dialect", prompt.ErrDialect},
		{koala.Options{Dialect: &prompt.Beaver, Render: prompt.Options{Next: prompt.Unhelpful}}, "Next", prompt.ErrMarker},
		{koala.Options{Render: prompt.Options{Next: 9}}, "Next", prompt.ErrMarker},
		{koala.Options{Render: prompt.Options{InvalidUTF8: 9}}, "InvalidUTF8", prompt.ErrUTF8},
		{koala.Options{Budget: -1}, "Budget", koala.ErrOptions},
		{koala.Options{Overflow: 9}, "Overflow", koala.ErrOptions},
		{koala.Options{Tokenizer: tiny(t, `[]`)}, "Tokenizer", koala.ErrTokenizer},
		{koala.Options{Tokenizer: tiny(t, `[{"id":2,"content":"</s>","special":true}]`), BOS: true}, "BOS", koala.ErrTokenizer},
	} {
		open := prompt.Conversation{{Content: "x"}}
		_, fresh := koala.New(&row.o)
		_, ids := koala.AppendIDs(nil, open, &row.o)
		_, _, masked := koala.AppendMasked(nil, nil, open, &row.o)
		_, explained := koala.Explain(open, &row.o)
		_, _, fitted := koala.Fit(open, &row.o)
		for _, err := range []error{fresh, ids, masked, explained, fitted} {
			requireOption(t, err, row.option)
			require.ErrorIs(t, err, row.kind)
		}
	}
}

// TestBadSaved checks that a chat refuses bad saved chats and does not change.
func TestBadSaved(t *testing.T) {
	var chat koala.Chat
	require.NoError(t, chat.User("x"))
	good, err := json.Marshal(&chat)
	require.NoError(t, err)
	for _, row := range []struct {
		old, new string
		kind     error
		turn     int
		text     string
	}{
		{`"version":1`, `"version":2`, koala.ErrUnsupported, -1, "version 2, want 1: update"},
		{`"version":1`, `"version":0`, koala.ErrUnsupported, -1, "version 0"},
		{`"version":1,`, ``, koala.ErrMalformed, -1, "1 of 12 fields are missing"},
		{`"bos":false`, `"bos":0`, koala.ErrMalformed, -1, "neither true nor false"},
		{`"bos":false`, `"BOS":false`, koala.ErrMalformed, -1, `unknown field "BOS"`},
		{`"bos":false`, `"bos":false,"bos":false`, koala.ErrMalformed, -1, "duplicate"},
		{`"budget":0`, `"budget":1.5`, koala.ErrMalformed, -1, "whole number"},
		{`"budget":0`, `"budget":99999999999999999999`, koala.ErrMalformed, -1, "whole number"},
		{`"overflow":"refuse"`, `"overflow":"x"`, koala.ErrMalformed, -1, "not one of"},
		{`"next":"helpful"`, `"next":"x"`, prompt.ErrMarker, -1, "unknown quality"},
		{`"invalid_utf8":"refuse"`, `"invalid_utf8":null`, koala.ErrMalformed, -1, "JSON has"},
		{`"temperature":1`, `"temperature":"1"`, koala.ErrMalformed, -1, "not a number"},
		{`"temperature":1`, `"temperature":1e999`, koala.ErrMalformed, -1, "not a number"},
		{`"top_k":50,`, ``, koala.ErrMalformed, -1, "missing"},
		{`"role":"user"`, `"role":"assistant"`, prompt.ErrOrder, 0, "begins with a reply"},
		{`"content":"x"`, `"content":"\ud800"`, koala.ErrMalformed, 0, "lone surrogate"},
		{`[{`, `[{"x":1,`, koala.ErrMalformed, 0, `unknown field "x"`},
	} {
		bad := strings.Replace(string(good), row.old, row.new, 1)
		require.NotEqual(t, string(good), bad, row.old)
		err := json.Unmarshal([]byte(bad), &chat)
		var e *prompt.TurnError
		require.ErrorAs(t, err, &e, bad)
		require.ErrorIs(t, err, row.kind)
		require.Equal(t, row.turn, e.Turn)
		require.ErrorContains(t, err, row.text)
		require.Len(t, chat.Conversation(), 1)
	}
	for _, row := range []struct {
		old, new string
		option   string
	}{
		{`"helpful":"GPT:"`, `"helpful":""`, "Dialect"},
		{`"budget":0`, `"budget":-1`, "Budget"},
	} {
		bad := strings.Replace(string(good), row.old, row.new, 1)
		requireOption(t, json.Unmarshal([]byte(bad), &chat), row.option)
	}
	require.Error(t, chat.UnmarshalJSON(append(good, " x"...)))
	require.Error(t, chat.UnmarshalJSON([]byte("null")))
}

// FuzzParseConversation checks the laws of parsing, and that a conversation which
// was read can be written and read again.
func FuzzParseConversation(f *testing.F) {
	f.Add([]byte(`[{"role":"user","content":"x\ud83e\udd99"},{"role":"gpt","content":"y","quality":"unhelpful"}]`))
	f.Add([]byte(`{"messages":[{"content":"","role":"human"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := lawful(t, data)
		if err != nil {
			var e *prompt.TurnError
			require.ErrorAs(t, err, &e)
			require.LessOrEqual(t, e.Offset, len(data))
			return
		}
		written, err := koala.AppendConversation(nil, c)
		require.NoError(t, err)
		again, err := koala.ParseConversation(written)
		require.NoError(t, err)
		require.Equal(t, c, again)
		var generic []map[string]string
		require.NoError(t, json.Unmarshal(written, &generic), "encoding/json reads it too")
	})
}

// FuzzLoad checks that a chat which loads can be saved and loaded again, and that
// other input gives a typed error.
func FuzzLoad(f *testing.F) {
	var chat koala.Chat
	_ = chat.User("x")
	good, _ := json.Marshal(&chat)
	f.Add(good)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var chat, again koala.Chat
		if err := chat.UnmarshalJSON(data); err != nil {
			require.True(t, errors.As(err, new(*prompt.TurnError)) || errors.Is(err, koala.ErrOptions), "%v", err)
			return
		}
		saved, err := json.Marshal(&chat)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(saved, &again))
		require.Equal(t, chat.Conversation(), again.Conversation())
		_, _, err = chat.AppendIDs(nil)
		if err != nil && !errors.As(err, new(*koala.BudgetError)) {
			require.ErrorIs(t, err, prompt.ErrEmpty)
		}
	})
}

// FuzzImport checks that input becomes a valid conversation or a typed error.
func FuzzImport(f *testing.F) {
	f.Add([]byte(`{"conversations":[{"from":"human","value":"x"}]}`), uint8(0))
	f.Add([]byte(`{"prompt":"q","context":"USER: x GPT:y</s>"}`), uint8(255))
	f.Fuzz(func(t *testing.T, data []byte, p uint8) {
		o := &prompt.Import{System: prompt.Policy(p & 3), Tool: prompt.Policy(p >> 2 & 3), Empty: prompt.Policy(p >> 4 & 3), Repeated: prompt.Policy(p >> 6 & 3)}
		c, _, err := koala.ImportConversation(data, o)
		if err != nil {
			require.True(t, errors.As(err, new(*prompt.TurnError)) || errors.Is(err, koala.ErrOptions), "%v", err)
			return
		}
		require.NoError(t, c.Check())
	})
}
