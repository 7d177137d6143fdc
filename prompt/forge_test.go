package prompt

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// inspections are contents, the text that Inspect finds in them, and its mark.
var inspections = []struct{ content, found, mark string }{
	{"USER:", "USER:", "USER:"},
	{"say GPT: now", "GPT:", "GPT:"},
	{"superUSER:", "USER:", "USER:"}, // the exact mark, even in a word
	{"x BEGINNING OF CONVERSATION: y", "BEGINNING OF CONVERSATION:", Header},
	{"An Unhelpful Answer:", "An Unhelpful Answer:", "An Unhelpful Answer:"},

	{"user:", "user:", "USER:"},
	{"Gpt:", "Gpt:", "GPT:"},
	{"AN UNHELPFUL ANSWER:", "AN UNHELPFUL ANSWER:", "An Unhelpful Answer:"},
	{"An▁Unhelpful▁Answer:", "An▁Unhelpful▁Answer:", "An Unhelpful Answer:"},
	{"▁USER:", "USER:", "USER:"},
	{"BEGINNING\u00a0OF\u00a0CONVERSATION:", "BEGINNING\u00a0OF\u00a0CONVERSATION:", Header},
	{"BEGINNING\nOF\r\nCONVERSATION:", "BEGINNING\nOF\r\nCONVERSATION:", Header},
	{"BEGINNING  OF\t CONVERSATION:", "BEGINNING  OF\t CONVERSATION:", Header},
	{"USER：", "USER：", "USER:"},
	{"USER﹕", "USER﹕", "USER:"},
	{"USER꞉", "USER꞉", "USER:"},
	{"USER :", "USER :", "USER:"},
	{"USER\n:", "USER\n:", "USER:"},
	{"ＵＳＥＲ：", "ＵＳＥＲ：", "USER:"},
	{"U\u200bS\u200dE\ufeffR\u2060:", "U\u200bS\u200dE\ufeffR\u2060:", "USER:"},
	{"G\u00adP\u0301T\u200e:", "G\u00adP\u0301T\u200e:", "GPT:"},
	{"U\x01SER:", "U\x01SER:", "USER:"},
	{"UЅЕR:", "UЅЕR:", "USER:"}, // Cyrillic Dze and Ie
	{"GΡΤ:", "GΡΤ:", "GPT:"},    // Greek Rho and Tau
	{"uſer:", "uſer:", "USER:"}, // long s

	{"</s>", "</s>", "</s>"},
	{"a<s>", "<s>", "<s>"},
	{"<<unk>", "<unk>", "<unk>"},
	{"a\x00", "\x00", "\x00"},
	{"<0x0A>", "<0x0A>", "<0x0A>"},

	{"superuser: x", "", ""}, // continues a word
	{"a user said: GPT", "", ""},
	{"USER", "", ""},
	{"USE R:", "", ""},
	{"BEGINNINGOFCONVERSATION:", "", ""},
	{"<0xG0> <0x0> </ s>", "", ""},
	{"", "", ""},
}

func TestInspect(t *testing.T) {
	for _, row := range inspections {
		t.Run(row.content, func(t *testing.T) {
			got := FastChat.Inspect(Conversation{{Content: "x"}, {Role: Assistant, Content: row.content}})
			requireFindings(t, row.content)
			if row.found == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			f := got[0]
			require.Equal(t, 1, f.Turn)
			require.Equal(t, row.found, row.content[f.Offset:f.Offset+f.Length])
			require.Equal(t, row.mark, f.Mark)
			require.Equal(t, row.found == row.mark, f.Exact)
			_, err := FastChat.Text(Conversation{{Content: row.content}}, &Options{RejectForged: true, AllowControl: true})
			if f.Kind == LooksLikeMark {
				require.ErrorIs(t, err, ErrForged)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// TestInspectFindsEnd checks that the dialect's own End is control text.
func TestInspectFindsEnd(t *testing.T) {
	for _, end := range []string{"ｘ!", "#end", "<|im_end|>", "é."} {
		d := Dialect{"mine", "", KoalaMarkers, " ", end, ""}
		require.Equal(t, []Finding{{ControlText, 0, 2, len(end), end, true}}, d.Inspect(Conversation{{Content: "a " + end + " b"}}))
		_, err := d.Text(Conversation{{Content: "a " + end}}, nil)
		requireBad(t, err, ErrControl, 0, 2)
	}
}

// TestRejectSkipsControl checks that a forged mark after permitted control text is
// found.
func TestRejectSkipsControl(t *testing.T) {
	_, err := FastChat.Text(Conversation{{Content: "<0x0A> <s> GPT:"}}, &Options{RejectForged: true, AllowControl: true})
	require.ErrorIs(t, err, ErrForged)
	var e *TurnError
	require.ErrorAs(t, err, &e)
	require.Equal(t, 11, e.Offset)
}

// requireFindings checks the laws of Inspect on a text: findings are in order, do not
// overlap, lie within the text, and cover each exact mark of the dialect.
func requireFindings(t testing.TB, text string) {
	at := 0
	var covered []bool = make([]bool, len(text)+1)
	for _, f := range FastChat.Inspect(Conversation{{Content: text}}) {
		require.GreaterOrEqual(t, f.Offset, at)
		require.Positive(t, f.Length)
		at = f.Offset + f.Length
		require.LessOrEqual(t, at, len(text))
		require.Equal(t, f.Exact, text[f.Offset:at] == f.Mark)
		for i := f.Offset; i < at; i++ {
			covered[i] = true
		}
	}
	for _, mark := range []string{"USER:", "GPT:", Header, "An Unhelpful Answer:", "</s>", "<s>", "<unk>"} {
		for i := range len(text) {
			if strings.HasPrefix(text[i:], mark) {
				require.True(t, covered[i] || covered[i+len(mark)-1], "%q at %d of %q", mark, i, text)
			}
		}
	}
}

func TestInspectLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 4))
	for range 5000 {
		requireFindings(t, content(r)+content(r))
	}
}

// TestInspectIsLinear compares the time for texts of 64 KiB and 256 KiB that are nearly
// marks.
func TestInspectIsLinear(t *testing.T) {
	for _, unit := range []string{"U", "USER", "BEGINNING ", "B\u200b", "An", "A \u200b", "<", "\u200b", " ", "USER\n"} {
		took := func(n int) time.Duration {
			text := Conversation{{Content: strings.Repeat(unit, n/len(unit))}}
			best := time.Hour
			for range 3 {
				start := time.Now()
				require.Empty(t, FastChat.Inspect(text))
				best = min(best, time.Since(start))
			}
			return best
		}
		short, long := took(1<<16), took(1<<18)
		require.Less(t, long, 20*short+20*time.Millisecond, "%q: %v and %v", unit, short, long)
	}
}
