package prompt

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
)

var twoTurns = Conversation{
	{Role: User, Content: "Hello!"},
	{Role: Assistant, Content: "A"},
	{Role: User, Content: "Q"},
}

// TestStrings pins the text of each dialect.
func TestStrings(t *testing.T) {
	for _, row := range []struct {
		d    *Dialect
		want string
	}{
		{&EasyLM, "BEGINNING OF CONVERSATION: USER: Hello! GPT:A</s>USER: Q GPT:"},
		{&FastChat, "BEGINNING OF CONVERSATION: USER: Hello! GPT: A</s>USER: Q GPT:"},
		{&Eval, "BEGINNING OF CONVERSATION: USER: Hello! GPT: A</s> USER: Q GPT:"},
		{&Beaver, "BEGINNING OF CONVERSATION: USER: Hello! ASSISTANT:A</s>USER: Q ASSISTANT:"},
		{&EasyLMContext, "USER: Hello! GPT:A</s>USER: Q GPT:"},
	} {
		t.Run(row.d.Name, func(t *testing.T) {
			got, err := row.d.Text(twoTurns, nil)
			require.NoError(t, err)
			require.Equal(t, row.want, got)
			p, err := row.d.Parse(got)
			require.NoError(t, err)
			require.Equal(t, twoTurns, p.Conversation)
			closed, err := row.d.Text(twoTurns[:2], nil)
			require.NoError(t, err)
			require.Equal(t, row.want[:len(closed)], closed)
			require.Equal(t, "</s>", closed[len(closed)-4:])
		})
	}
}

func TestMarkers(t *testing.T) {
	c := Conversation{{User, Helpful, "x"}, {Assistant, Unhelpful, "bad"}, {User, Helpful, "y"}, {Assistant, Helpful, "good"}, {User, Helpful, "z"}}
	for _, row := range []struct {
		m    Markers
		want string
	}{
		{KoalaMarkers, "H USER: x An Unhelpful Answer: bad</s>USER: y GPT: good</s>USER: z An Unhelpful Answer:"},
		{HindsightMarkers, "H User: x An unhelpful answer: bad</s>User: y A helpful answer: good</s>User: z An unhelpful answer:"},
		{KorbakMarkers, "H x <|misaligned|> bad</s>y <|aligned|> good</s>z <|misaligned|>"},
		{Markers{"Q:", "+", "-"}, "H Q: x - bad</s>Q: y + good</s>Q: z -"},
	} {
		d := Dialect{"mine", "H", row.m, " ", "</s>", ""}
		got, err := d.Text(c, &Options{Next: Unhelpful})
		require.NoError(t, err)
		require.Equal(t, row.want, got)
		p, err := d.Parse(got)
		require.NoError(t, err)
		require.Equal(t, c, p.Conversation)
		require.Equal(t, Unhelpful, p.Next)
	}
}

// TestVectors compares with the prompts in EasyLM's documentation.
func TestVectors(t *testing.T) {
	var v struct{ P1, P2 string }
	fixture.JSON(t, &v, "vectors", "koala.json")
	c := Conversation{{Content: "Hello!"}, {Role: Assistant, Content: "Hi! How can I help you?"}, {Content: "What is the largest animal on earth?"}}
	got, err := EasyLM.Text(c[:1], nil)
	require.NoError(t, err)
	require.Equal(t, v.P1, got)
	got, err = EasyLM.Text(c, nil)
	require.NoError(t, err)
	require.Equal(t, v.P2, got)
	p, err := Parse(v.P2)
	require.NoError(t, err)
	require.Equal(t, "easylm", p.Dialect.Name)
	require.Equal(t, c, p.Conversation)
}

// TestServed compares with the recorded chats of EasyLM's server, and TestExported with
// the prefixes of the evaluation export.
func TestServed(t *testing.T) {
	var rows []struct {
		Case  string
		Turns []struct {
			Prompt, Response string
			ContextIn        string `json:"context_in"`
			ModelInput       string `json:"model_input"`
			ContextOut       string `json:"context_out"`
		}
	}
	jsonLines(t, &rows, "golden", "serve_chat.jsonl")
	compared := 0
	for _, row := range rows {
		for i, turn := range row.Turns {
			c, err := FromEasyLM(turn.Prompt, turn.ContextIn)
			if err != nil {
				continue // a context with forged turns
			}
			query, context, err := c.EasyLM(&Options{AllowControl: true})
			require.NoError(t, err)
			require.Equal(t, turn.Prompt, query)
			require.Equal(t, turn.ContextIn, context, "%s, turn %d", row.Case, i)
			text, err := EasyLM.Text(c, &Options{AllowControl: true})
			require.NoError(t, err)
			require.Equal(t, turn.ModelInput, text, "%s, turn %d", row.Case, i)
			out, err := EasyLMContext.Text(append(c, Turn{Role: Assistant, Content: turn.Response}), &Options{AllowControl: true})
			require.NoError(t, err)
			require.Equal(t, turn.ContextOut, out)
			compared++
		}
	}
	require.Greater(t, compared, 5)
}

func TestExported(t *testing.T) {
	var rows []struct {
		Case    string
		OK      bool
		Outputs []struct{ Prefix, Text []string }
	}
	jsonLines(t, &rows, "golden", "chat_eval.jsonl")
	compared := 0
	for _, row := range rows {
		for _, out := range row.Outputs {
			for i, prefix := range out.Prefix {
				p, err := Eval.Parse(prefix)
				if err != nil {
					t.Logf("%s: %v", row.Case, err)
					continue
				}
				text, err := Eval.Text(p.Conversation, nil)
				require.NoError(t, err)
				require.Equal(t, prefix, text, "%s", row.Case)
				require.Len(t, p.Conversation, 2*i+1)
				compared++
			}
		}
	}
	require.Greater(t, compared, 5)
}
