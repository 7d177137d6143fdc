package koala_test

import (
	"math/rand/v2"
	"strings"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
)

// fragments are the parts of random contents: the traps that the specification
// lists.
var fragments = []string{
	"", " ", "  ", "   ", strings.Repeat(" ", 18), "\n", "\r\n", "\t", "\x00", "▁", "\u00a0", "Hello", " Hello", "hi", "world!", "aaaa", "é", "e\u0301",
	"ﬁ", "Ａ", "🦙", "你好", "USER:", "GPT:", " GPT: ", "An Unhelpful Answer:", prompt.Header, "user:", "USER：", "U\u200bSER:",
	"</s>", "<s>", "<unk>", "<0x0A>", "<0xFF>", "<", "/s>", "</", "s>", "<pad>", "▁</s>", "</s", "\ufeff",
}

func content(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteString(fragments[r.IntN(len(fragments))])
	}
	return b.String()
}

func conversation(r *rand.Rand, turns int) prompt.Conversation {
	c := make(prompt.Conversation, 1+r.IntN(turns))
	for i := range c {
		c[i] = prompt.Turn{Role: prompt.Role(i % 2), Content: content(r)}
		if c[i].Role == prompt.Assistant {
			c[i].Quality = prompt.Quality(r.IntN(2))
		}
	}
	return c
}

// reference returns the ids and the loss mask of a conversation by the steps of
// the training code.
func reference(c prompt.Conversation, next prompt.Quality, bos bool) (ids []koala.Token, mask []bool) {
	markers := [...]string{"GPT:", "An Unhelpful Answer:"}
	add := func(loss bool, some ...koala.Token) {
		ids = append(ids, some...)
		for range some {
			mask = append(mask, loss)
		}
	}
	if bos {
		add(false, 1)
	}
	for i := 0; i < len(c); i += 2 {
		query := "USER: " + c[i].Content + " "
		if i == 0 {
			query = "BEGINNING OF CONVERSATION: " + query
		}
		if i+1 == len(c) {
			add(false, tokenizer.Default().Encode(query+markers[next], nil)...)
			continue
		}
		add(false, tokenizer.Default().Encode(query+markers[c[i+1].Quality], nil)...)
		add(true, tokenizer.Default().Encode(c[i+1].Content, nil)...)
		add(true, 2)
	}
	return ids, mask
}
