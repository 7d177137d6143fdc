package koala_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
)

// prose returns a conversation of English turns of some hundred bytes, from a text
// that every Go installation has.
func prose(b *testing.B, turns int) prompt.Conversation {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(b, err)
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "src/testdata/Isaac.Newton-Opticks.txt"))
	if err != nil {
		b.Skip("needs Go's sources: ", err)
	}
	c := make(prompt.Conversation, turns)
	for i := range c {
		at := i * 397 % (len(text) - 1000)
		c[i] = prompt.Turn{Role: prompt.Role(i % 2), Content: string([]rune(string(text[at : at+100+i*37%400])))}
	}
	return c
}

// BenchmarkIDs encodes 101 turns. The plain run is the tokenizer alone on the same
// segments, rendered beforehand.
func BenchmarkIDs(b *testing.B) {
	c := prose(b, 101)
	segments, err := prompt.FastChat.AppendSegments(nil, c, nil)
	require.NoError(b, err)
	var texts []string
	size := int64(0)
	for i := range segments {
		texts = append(texts, segments[i].Text())
		size += int64(len(texts[i]))
	}
	ids := make([]koala.Token, 0, 1<<16)
	b.Run("ids", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			ids, _ = koala.AppendIDs(ids[:0], c, nil)
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			ids = ids[:0]
			for _, text := range texts {
				ids = tokenizer.Default().AppendEncode(ids, text, nil)
			}
		}
	})
}

// BenchmarkChat adds an exchange to chats of several lengths and makes the next
// prompt of 1,500 tokens. The time must not grow with the length.
func BenchmarkChat(b *testing.B) {
	all := prose(b, 1001)
	for _, turns := range []int{11, 101, 1001} {
		b.Run(fmt.Sprint(turns), func(b *testing.B) {
			chat := filled(b, all[:turns-2], 1500)
			ids := make([]koala.Token, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				must(b, chat.Add(all[0]))
				ids, _, _ = chat.AppendIDs(ids[:0])
				chat.Undo()
				must(b, chat.Add(all[0]))
				must(b, chat.Add(all[1]))
				chat.Undo()
				chat.Undo()
			}
		})
	}
}

func must(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

func filled(b *testing.B, c prompt.Conversation, budget int) *koala.Chat {
	chat, err := koala.New(&koala.Options{Budget: budget})
	require.NoError(b, err)
	for i := range len(c) &^ 1 {
		require.NoError(b, chat.Add(c[i]))
	}
	return chat
}

// BenchmarkBudget finds the window of 1,001 turns and copies its ids.
func BenchmarkBudget(b *testing.B) {
	all := prose(b, 1001)
	for _, budget := range []int{1500, 50_000} {
		b.Run(fmt.Sprint(budget), func(b *testing.B) {
			chat := filled(b, all, budget)
			require.NoError(b, chat.Add(all[1000]))
			ids := make([]koala.Token, 0, 1<<17)
			b.ReportAllocs()
			for b.Loop() {
				ids, _, _ = chat.AppendIDs(ids[:0])
			}
			require.Greater(b, len(ids), 1000)
		})
	}
}
