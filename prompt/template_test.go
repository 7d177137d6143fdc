package prompt

import (
	"math/rand/v2"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
)

// ollamaMessage is a message in the form in which Ollama 0.17.4 passes it to a template.
type ollamaMessage struct {
	Role, Content, Thinking string
	Images, ToolCalls       []any
	ToolName, ToolCallID    string
}

// ollama renders a template like Ollama 0.17.4, which joins messages of the same role,
// passes system messages twice, and renders missing keys as nothing.
func ollama(source string, messages []Message) (string, error) {
	t, err := template.New("").Option("missingkey=zero").Parse(source)
	if err != nil {
		return "", err
	}
	var system []string
	var collated []*ollamaMessage
	for _, m := range messages {
		if m.Role == "system" {
			system = append(system, m.Content)
		}
		if n := len(collated); n > 0 && collated[n-1].Role == m.Role && m.Role != "tool" {
			collated[n-1].Content += "\n\n" + m.Content
			continue
		}
		collated = append(collated, &ollamaMessage{Role: m.Role, Content: m.Content})
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{
		"System": strings.Join(system, "\n\n"), "Messages": collated, "Tools": []any(nil), "Response": "",
		"Think": false, "ThinkLevel": "", "IsThinkSet": false,
	})
	return b.String(), err
}

func TestOllamaTemplate(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	o := &Options{AllowControl: true}
	for i := range 200 {
		c := conversation(r, 6)
		for j := range c {
			c[j].Quality = Helpful // Ollama's messages have none
		}
		messages := c.Messages()
		if i%2 == 0 {
			at := 2 * r.IntN((len(c)+1)/2)
			messages = append(messages[:at:at], append([]Message{{Role: "system", Content: content(r)}}, messages[at:]...)...)
			var err error
			c, _, err = FromMessages(messages, &Import{System: Fold, Empty: Keep})
			require.NoError(t, err)
		}
		want, err := FastChat.Text(c, o)
		require.NoError(t, err)
		got, err := ollama(OllamaTemplate, messages)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	user, gpt := Message{Role: "user", Content: "x"}, Message{Role: "assistant", Content: "y"}
	for _, bad := range [][]Message{{gpt}, {user, {Role: "tool", Content: "z"}}, {user, gpt, {Role: "system", Content: "z"}}} {
		_, err := ollama(OllamaTemplate, bad)
		require.ErrorContains(t, err, "Koala")
	}
}

// TestOllamaRecorded renders the recorded requests to a real Ollama and compares with the
// text that its template made.
func TestOllamaRecorded(t *testing.T) {
	var recorded struct {
		Cases []struct {
			Name    string
			Request struct {
				Body struct {
					Model    string
					Messages []Message
				}
			}
			Response struct {
				JSON struct {
					Debug struct {
						Text string `json:"rendered_template"`
					} `json:"_debug_info"`
				}
			}
		}
	}
	fixture.JSON(t, &recorded, "vectors", "servers", "ollama-0.17.4", "template.json")
	compared := 0
	for _, c := range recorded.Cases {
		text := c.Response.JSON.Debug.Text
		// The recorded template left out system messages and put a marker after a last reply.
		if text == "" || c.Request.Body.Model != "koala-tiny" || len(c.Request.Body.Messages) == 0 || c.Name == "chat_system" || c.Name == "chat_ends_with_assistant" {
			continue
		}
		got, err := ollama(OllamaTemplate, c.Request.Body.Messages)
		require.NoError(t, err)
		require.Equal(t, text, got, c.Name)
		compared++
	}
	require.GreaterOrEqual(t, compared, 4)
}

func TestOllamaModelfile(t *testing.T) {
	m := OllamaModelfile("./koala-7b.gguf")
	require.True(t, strings.HasPrefix(m, "FROM ./koala-7b.gguf\n"))
	_, rest, found := strings.Cut(m, `TEMPLATE """`)
	require.True(t, found)
	source, rest, found := strings.Cut(rest, `"""`)
	require.True(t, found)
	require.Equal(t, OllamaTemplate, source)
	require.Contains(t, rest, "\nPARAMETER stop \"</s>\"\nPARAMETER stop \"USER:\"\n")
}
