package prompt

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

func FuzzParse(f *testing.F) {
	for _, d := range everyDialect {
		text, _ := d.Text(twoTurns, nil)
		f.Add(text)
	}
	f.Add("BEGINNING OF CONVERSATION: USER: a GPT: b GPT: c</s>USER: An Unhelpful Answer:")
	f.Add("BEGINNING OF CONVERSATION: USER: GPT: GPT:</s>")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4000 {
			return
		}
		for _, d := range everyDialect {
			requireParsed(t, d, text)
		}
		allocated := refusaltest.Allocated(func() { _, _ = Parse(text) })
		require.LessOrEqual(t, allocated, uint64(1<<20+32*len(text)))
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("Hello!", "Hi", "Q GPT: x", uint8(0))
	f.Add("a GPT:", " b", "</s", uint8(9))
	f.Fuzz(func(t *testing.T, a, b, c string, choice uint8) {
		conv := Conversation{{User, Helpful, a}, {Assistant, Quality(choice >> 1 & 1), b}, {User, Helpful, c}}
		d := everyDialect[int(choice>>2)%len(everyDialect)]
		text, err := d.Text(conv, &Options{Next: Quality(choice & 1)})
		if err != nil {
			requireTyped(t, err, max(len(a), len(b), len(c)), ErrControl, ErrMarker, ErrUTF8)
			return
		}
		p, err := d.Parse(text)
		if err != nil {
			require.ErrorIs(t, err, ErrAmbiguous)
			return
		}
		require.Equal(t, conv, p.Conversation)
		require.Equal(t, Quality(choice&1), p.Next)
	})
}

func FuzzInspect(f *testing.F) {
	f.Add("USER: </s> U\u200bSER： <0x0A>")
	f.Fuzz(func(t *testing.T, text string) {
		requireFindings(t, text)
	})
}

func FuzzFilter(f *testing.F) {
	f.Add([]byte(" Hi!</s>USER:"), []byte{1, 3, 2})
	f.Add([]byte("\xe2\x96\x81US\xffER: x"), []byte{1})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		if len(stream) > 1000 {
			return // what it is compared with takes quadratic time
		}
		requireFiltered(t, stream, cuts, "stop", "st", "US", "\n\n")
		requireFiltered(t, stream, cuts)
	})
}
