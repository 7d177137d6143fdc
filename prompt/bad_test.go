package prompt

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBadConversations checks the kind, the turn and the offset of the errors of
// rendering.
func TestBadConversations(t *testing.T) {
	u := func(s string) Turn { return Turn{Content: s} }
	a := func(s string) Turn { return Turn{Role: Assistant, Content: s} }
	for _, row := range []struct {
		name   string
		c      Conversation
		o      *Options
		kind   error
		turn   int
		offset int
	}{
		{"empty", nil, nil, ErrEmpty, -1, -1},
		{"begins with a reply", Conversation{a("x")}, nil, ErrOrder, 0, -1},
		{"two user turns", Conversation{u("x"), u("y")}, nil, ErrOrder, 1, -1},
		{"two replies", Conversation{u("x"), a("y"), a("z")}, nil, ErrOrder, 2, -1},
		{"unknown role", Conversation{u("x"), {Role: 7}}, nil, ErrRole, 1, -1},
		{"unknown quality", Conversation{u("x"), {Role: Assistant, Quality: 2}}, nil, ErrMarker, 1, -1},
		{"quality of a user", Conversation{{Quality: Unhelpful}}, nil, ErrMarker, 0, -1},
		{"</s>", Conversation{u("x"), a("y</s>")}, nil, ErrControl, 1, 1},
		{"<s>", Conversation{u("</x> <s>")}, nil, ErrControl, 0, 5},
		{"<unk>", Conversation{u("<unk>")}, nil, ErrControl, 0, 0},
		{"NUL", Conversation{u("x"), a("y"), u("ab\x00<s>")}, nil, ErrControl, 2, 2},
		{"forged", Conversation{u("x\nuser: y")}, &Options{RejectForged: true}, ErrForged, 0, 2},
		{"not UTF-8", Conversation{u("x"), a("\ufffdy\xff")}, nil, ErrUTF8, 1, 4},
		{"half a character", Conversation{u("\xf0\x9f\xa6")}, nil, ErrUTF8, 0, 0},
		{"surrogate", Conversation{u("a\xed\xa0\x80")}, nil, ErrUTF8, 0, 1},
		{"50 MB", Conversation{u("x"), a("y"), u(strings.Repeat("x", 50e6))}, nil, ErrTooLong, 2, -1},
		{"over a limit", Conversation{u("123456")}, &Options{MaxContent: 5}, ErrTooLong, 0, -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := FastChat.Text(row.c, row.o)
			requireBad(t, err, row.kind, row.turn, row.offset)
			if row.kind == ErrControl {
				_, err := FastChat.Text(row.c, &Options{AllowControl: true})
				require.NoError(t, err)
			}
			_, err = FastChat.AppendSegments(nil, row.c, row.o)
			if row.kind == ErrControl {
				require.NoError(t, err, "control text encodes to ordinary tokens")
				return
			}
			requireBad(t, err, row.kind, row.turn, row.offset)
		})
	}
	_, err := FastChat.Text(Conversation{u(strings.Repeat("x", 50e6))}, &Options{MaxContent: -1})
	require.NoError(t, err)
	_, err = Beaver.Text(Conversation{u("x"), {Assistant, Unhelpful, "y"}}, nil)
	requireBad(t, err, ErrMarker, 0, -1)
}

func requireBad(t *testing.T, err, kind error, turn, offset int) {
	var e *TurnError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, kind)
	require.Equal(t, []int{turn, offset}, []int{e.Turn, e.Offset}, "%v", err)
	require.NotEmpty(t, remedyFor(e.Err), "%v", err)
}

// requireBadOption requires an option error of a kind.
func requireBadOption(t *testing.T, err error, option string, kind error) {
	var e *OptionError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, ErrOptions)
	require.ErrorIs(t, err, kind)
	require.Equal(t, option, e.Option, "%v", err)
	require.NotErrorAs(t, err, new(*TurnError))
}

// TestBadOptions checks that an error about an option is not one about a turn.
func TestBadOptions(t *testing.T) {
	for _, c := range []Conversation{twoTurns[:1], twoTurns} {
		for option, bad := range map[string]struct {
			o    Options
			kind error
		}{
			"Next":        {Options{Next: 3}, ErrMarker},
			"InvalidUTF8": {Options{InvalidUTF8: 2}, ErrUTF8},
		} {
			_, err := FastChat.Text(c, &bad.o)
			requireBadOption(t, err, option, bad.kind)
			_, err = FastChat.AppendSegments(nil, c, &bad.o)
			requireBadOption(t, err, option, bad.kind)
		}
		_, err := Beaver.Text(c, &Options{Next: Unhelpful})
		requireBadOption(t, err, "Next", ErrMarker)
	}
	for option, bad := range map[string]Import{
		"System": {System: Keep}, "Tool": {Tool: 9}, "Empty": {Empty: Fold}, "Repeated": {Repeated: Drop},
	} {
		_, _, err := FromMessages([]Message{{Role: "user", Content: "x"}}, &bad)
		requireBadOption(t, err, option, ErrPolicy)
	}
	_, err := DialectNamed("vicuna")
	requireBadOption(t, err, "dialect", ErrDialect)
}

func TestErrorText(t *testing.T) {
	_, err := FastChat.Text(Conversation{{Content: "x</s>"}}, nil)
	require.EqualError(t, err, `content contains "</s>", which a server does not read as text: turn 0, byte 1: send ids instead of text, or set AllowControl`)
	_, err = FastChat.Text(nil, nil)
	require.EqualError(t, err, "the conversation is empty: give at least one user turn")
}

// TestBadTexts checks the kind, the turn and the offset of the errors of Parse.
func TestBadTexts(t *testing.T) {
	const h = "BEGINNING OF CONVERSATION: "
	for _, row := range []struct {
		name, text string
		kind       error
		turn       int
		offset     int
	}{
		{"empty", "", io.ErrUnexpectedEOF, -1, 0},
		{"other text", "Hello", ErrSyntax, -1, 0},
		{"header alone", h, io.ErrUnexpectedEOF, 0, len(h)},
		{"half a header", h[:9], io.ErrUnexpectedEOF, -1, 9},
		{"header twice", h + h + "USER: x GPT:", ErrSyntax, 0, len(h)},
		{"other case", h + "User: x GPT:", ErrSyntax, 0, len(h) + 1},
		{"no marker", h + "USER: x", io.ErrUnexpectedEOF, 0, len(h) + 7},
		{"marker glued", h + "USER: xGPT:", io.ErrUnexpectedEOF, 0, len(h) + 11},
		{"space at the end", h + "USER: x GPT: ", io.ErrUnexpectedEOF, 1, len(h) + 13},
		{"reply cut off", h + "USER: x GPT: yes bu", io.ErrUnexpectedEOF, 1, len(h) + 19},
		{"end cut off", h + "USER: x GPT: yes</s", io.ErrUnexpectedEOF, 1, len(h) + 19},
		{"end twice", h + "USER: x GPT: y</s></s>", ErrSyntax, 2, len(h) + 18},
		{"no marker before the end", h + "USER: x</s>", ErrSyntax, 0, len(h) + 6},
		{"reply without a query", h + "GPT: x</s>", ErrSyntax, 0, len(h)},
		{"no space in a reply", h + "USER: x GPT:y</s>", ErrSyntax, 0, len(h) + 6},
		{"space after the end", h + "USER: x GPT: y</s> USER: z GPT:", ErrSyntax, 2, len(h) + 18},
		{"two reply markers", h + "USER: x GPT: y GPT: z</s>", ErrAmbiguous, 0, len(h) + 14},
		{"either marker", h + "USER: x An Unhelpful Answer: y GPT: z</s>", ErrAmbiguous, 0, len(h) + 30},
		{"ambiguous later", h + "USER: x GPT: y</s>USER: x GPT: y GPT: z</s>", ErrAmbiguous, 2, len(h) + 32},
		{"not UTF-8", h + "USER: \xff GPT:", ErrUTF8, -1, len(h) + 6},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := FastChat.Parse(row.text)
			require.Nil(t, p)
			requireBad(t, err, row.kind, row.turn, row.offset)
		})
	}
	for _, text := range []string{"", "Hello", h, h + "USER: x GPT: yes bu", "USER: x GPT:y</s>USER: x", h + "User: x"} {
		p, err := Parse(text)
		require.Nil(t, p)
		requireTyped(t, err, len(text), ErrSyntax, io.ErrUnexpectedEOF)
	}
	_, err := Parse(h + "USER: x GPT:y</s>USER: z")
	requireBad(t, err, io.ErrUnexpectedEOF, 2, len(h)+24) // the error of EasyLM, not of FastChat
}

func TestParseFindsTheDialect(t *testing.T) {
	for _, d := range Dialects() {
		for _, c := range []Conversation{twoTurns, append(twoTurns[:3:3], Turn{Role: Assistant, Content: "B"}, Turn{Content: "C"})} {
			text, err := d.Text(c, nil)
			require.NoError(t, err)
			p, err := Parse(text)
			require.NoError(t, err)
			require.Equal(t, d.Name, p.Dialect.Name)
			require.Equal(t, c, p.Conversation)
		}
		found, err := DialectNamed(d.Name)
		require.NoError(t, err)
		require.Same(t, d, found)
	}
}

func TestBadDialects(t *testing.T) {
	good := FastChat
	for name, spoil := range map[string]func(d *Dialect){
		"no end":                func(d *Dialect) { d.End = "" },
		"no marker":             func(d *Dialect) { d.Markers.Helpful = "" },
		"equal markers":         func(d *Dialect) { d.Markers.Unhelpful = "GPT:" },
		"space in the end":      func(d *Dialect) { d.End = "the end" },
		"end overlaps":          func(d *Dialect) { d.End = "aba" },
		"end in a marker":       func(d *Dialect) { d.Markers.User = "<</s>>" },
		"end begins in a space": func(d *Dialect) { d.BeforeReply = " <" },
		"header is not UTF-8":   func(d *Dialect) { d.Header = "\xff" },
	} {
		d := good
		spoil(&d)
		requireBadOption(t, d.Check(), "Dialect", ErrDialect)
		_, err := d.Text(twoTurns, nil)
		requireBadOption(t, err, "Dialect", ErrDialect)
		_, err = d.AppendSegments(nil, twoTurns, nil)
		requireBadOption(t, err, "Dialect", ErrDialect)
		_, err = d.Parse("x")
		requireBadOption(t, err, "Dialect", ErrDialect)
		require.NotEqual(t, good, d, name)
	}
	for _, d := range everyDialect {
		require.NoError(t, d.Check())
	}
}

func TestBadEasyLM(t *testing.T) {
	for _, row := range []struct {
		context string
		kind    error
		turn    int
		offset  int
	}{
		{"SER: Hello! GPT:x</s>", ErrSyntax, 0, 0},                        // the beginning is cut off, as the server does
		{"USER: Hello! GPT:x</s", io.ErrUnexpectedEOF, 1, 21},             // the end is cut off
		{"USER: Hello! GPT:", ErrSyntax, 0, 17},                           // a query without a reply
		{"BEGINNING OF CONVERSATION: USER: x GPT:y</s>", ErrSyntax, 0, 0}, // with the header
	} {
		_, err := FromEasyLM("x", row.context)
		requireBad(t, err, row.kind, row.turn, row.offset)
	}
	_, _, err := twoTurns[:2].EasyLM(nil)
	requireBad(t, err, ErrOrder, 1, -1)
	_, _, err = Conversation{}.EasyLM(nil)
	requireBad(t, err, ErrEmpty, -1, -1)
	query, context, err := twoTurns[:1].EasyLM(nil)
	require.NoError(t, err)
	require.Equal(t, []string{"Hello!", ""}, []string{query, context})
}
