package prompt

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// chat returns a conversation with turns of some hundred bytes.
func chat(turns int, unit string) (c Conversation, size int64) {
	for i := range turns {
		c = append(c, Turn{Role: Role(i % 2), Content: strings.Repeat(unit, 1+i%13)})
		size += int64(len(c[i].Content))
	}
	return c, size
}

const english = "How much wood would a woodchuck chuck? "

// BenchmarkAppendText renders 1,001 turns. The rate counts the bytes of content.
func BenchmarkAppendText(b *testing.B) {
	for name, unit := range map[string]string{
		"english": english, "chinese": "土拨鼠能扔多少木头呢？", "html": "<p>How <b>much</b> wood <i>would</i></p> ",
	} {
		b.Run(name, func(b *testing.B) {
			c, size := chat(1001, unit)
			b.SetBytes(size)
			b.ReportAllocs()
			var dst []byte
			var err error
			for b.Loop() {
				dst, err = FastChat.AppendText(dst[:0], c, nil)
			}
			require.NoError(b, err)
			require.Greater(b, int64(len(dst)), size)
		})
	}
}

func BenchmarkParse(b *testing.B) {
	c, size := chat(1001, english)
	text, err := FastChat.Text(c, nil)
	require.NoError(b, err)
	b.SetBytes(size)
	for b.Loop() {
		_, err = FastChat.Parse(text)
	}
	require.NoError(b, err)
}

func BenchmarkInspect(b *testing.B) {
	c, size := chat(1001, english)
	b.SetBytes(size)
	for b.Loop() {
		require.Empty(b, FastChat.Inspect(c))
	}
}

func BenchmarkFilter(b *testing.B) {
	c, size := chat(101, english)
	b.SetBytes(size)
	var dst []byte
	for b.Loop() {
		f := FastChat.NewFilter()
		dst = dst[:0]
		for i := range c {
			for _, word := range strings.SplitAfter(c[i].Content, " ") {
				dst = f.Append(dst, []byte(word))
			}
		}
		dst = f.Close(dst)
	}
	require.Len(b, dst, int(size))
}
