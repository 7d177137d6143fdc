package prompt

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
)

// jsonLines decodes a shared file with one JSON value per line.
func jsonLines[T any](t *testing.T, rows *[]T, elem ...string) {
	for _, line := range bytes.Split(bytes.TrimSpace(fixture.Read(t, elem...)), []byte("\n")) {
		var row T
		require.NoError(t, json.Unmarshal(line, &row))
		*rows = append(*rows, row)
	}
}

// fragments are the parts of random contents, many of them hostile.
var fragments = []string{
	"", " ", "  ", "\n", "\r\n", "\t", "\x00", "▁", "\u00a0", "Hello", "hi", "world!", "a", "é", "e\u0301", "🦙", "你好",
	"USER:", "GPT:", "An Unhelpful Answer:", "ASSISTANT:", "BEGINNING OF CONVERSATION:", " GPT: ", " USER: ", "user:",
	"</s>", "<s>", "<unk>", "<0x0A>", "<", "/s>", "</", "s>", "</s", "＜/s>", "USER：", "U\u200bSER:", "\ufeff", "{{ .System }}", "{% x %}", `"""`, `\`, "'",
	"<|aligned|>", "<|misaligned|>",
}

// content returns random content.
func content(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteString(fragments[r.IntN(len(fragments))])
	}
	return b.String()
}

// conversation returns a random conversation of at most so many turns.
func conversation(r *rand.Rand, turns int) Conversation {
	c := make(Conversation, 1+r.IntN(turns))
	for i := range c {
		c[i] = Turn{Role: Role(i % 2), Content: content(r)}
		if c[i].Role == Assistant && r.IntN(3) == 0 {
			c[i].Quality = Unhelpful
		}
	}
	return c
}

// plain reports whether no content contains a character of marks.
func plain(c Conversation) bool {
	for _, t := range c {
		if strings.ContainsAny(t.Content, "<:") {
			return false
		}
	}
	return true
}
