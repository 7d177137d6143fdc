package backend

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/koala-go/sdk/koala"

	"github.com/stretchr/testify/require"
)

func TestSSE(t *testing.T) {
	for _, row := range []struct {
		stream string
		events []string
		err    error
	}{
		{"", nil, io.EOF},
		{"data: a\n\n", []string{"a"}, io.EOF},
		{"data:a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}, io.EOF},
		{": comment\n\nevent: x\nid: 5\ndata: a\ndata: b\n\n", []string{"a\nb"}, io.EOF},
		{"error: {}\n\n", []string{"{}"}, io.EOF},
		{"data\n\n", nil, io.EOF},
		{"\ufeffdata: a\n\n", []string{"a"}, io.EOF},
		{"event: ping\ndata: {}\n\ndata: a\n\n", []string{"a"}, io.EOF},
		{"data:  two spaces\n\n", []string{" two spaces"}, io.EOF},
		{"data: a\n", []string{"a"}, io.ErrUnexpectedEOF},
		{"data: a", []string{"a"}, io.ErrUnexpectedEOF},
		{"data: a\n\ndata", []string{"a"}, io.ErrUnexpectedEOF},
		{"garbage\n\n", nil, ErrBroken},
		{"data: " + strings.Repeat("x", maxLine) + "\n\n", nil, ErrBroken},
		{strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", 9), nil, ErrBroken},
		{"data: " + strings.Repeat("x", maxLine-8) + "\n\n", []string{strings.Repeat("x", maxLine-8)}, io.EOF},
	} {
		for _, r := range []io.Reader{strings.NewReader(row.stream), iotest.OneByteReader(strings.NewReader(row.stream)), iotest.DataErrReader(strings.NewReader(row.stream))} {
			events, err := all(newSSE(newLines(r)))
			require.ErrorIs(t, err, row.err, "%.40q", row.stream)
			require.Equal(t, row.events, events, "%.40q", row.stream)
		}
	}
}

func TestNDJSON(t *testing.T) {
	for stream, want := range map[string][]string{
		"": nil, "a\n": {"a"}, "a\r\n\r\n\nb\n": {"a", "b"},
	} {
		events, err := all(newNDJSON(newLines(strings.NewReader(stream))))
		require.Equal(t, io.EOF, err)
		require.Equal(t, want, events)
	}
	_, err := all(newNDJSON(newLines(strings.NewReader("a\nb"))))
	require.Equal(t, io.ErrUnexpectedEOF, err)
}

func all(e events) (list []string, err error) {
	for {
		event, err := e.next()
		if err == nil || len(event) > 0 {
			list = append(list, string(event))
		}
		if err != nil {
			return list, err
		}
	}
}

// FuzzSSE compares with a simple reader of whole streams.
func FuzzSSE(f *testing.F) {
	for _, seed := range []string{
		"data: a\n\n", "data: a\r\ndata:b\n\n: c\n\nevent: x\n\n", "data: a", "x\n", "error: {}\n\ndata: [DONE]\n\n",
		"\ufeffdata: a\n\n", "data:\n\ndata: a\n", "event: ping\ndata: {}\n\ndata: a\n\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		got, err := all(newSSE(newLines(iotest.HalfReader(strings.NewReader(stream)))))
		want, bad := simpleSSE(stream)
		require.Equal(t, want, got)
		require.ErrorIs(t, err, bad)
	})
}

// simpleSSE returns the events of a whole stream, and the error at its end.
func simpleSSE(stream string) (want []string, err error) {
	lines := strings.Split(strings.TrimPrefix(stream, "\ufeff"), "\n")
	var data []string
	ping := false
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && i < len(lines)-1: // the end of an event
			if all := strings.Join(data, "\n"); !ping && strings.TrimSpace(all) != "" {
				want = append(want, all)
			}
			data, ping = nil, false
		case line == "" || line[0] == ':' || name == "id" || name == "retry":
		case name == "event":
			ping = value == "ping"
		case name == "data" || name == "error":
			data = append(data, value)
		default:
			return want, ErrBroken
		}
	}
	if all := strings.Join(data, "\n"); all != "" {
		want = append(want, all)
	}
	if lines[len(lines)-1] == "" && data == nil {
		return want, io.EOF
	}
	return want, io.ErrUnexpectedEOF
}

// FuzzNDJSON compares with a simple reader of whole streams.
func FuzzNDJSON(f *testing.F) {
	f.Add("{}\n\n{}\r\n")
	f.Add("{}")
	f.Fuzz(func(t *testing.T, stream string) {
		got, err := all(newNDJSON(newLines(iotest.HalfReader(strings.NewReader(stream)))))
		var want []string
		parts := strings.Split(strings.TrimPrefix(stream, "\ufeff"), "\n")
		for i, line := range parts {
			line = strings.TrimSuffix(line, "\r")
			if strings.TrimSpace(line) != "" || i == len(parts)-1 && line != "" {
				want = append(want, line)
			}
		}
		require.Equal(t, want, got)
		require.Equal(t, map[bool]error{true: io.EOF, false: io.ErrUnexpectedEOF}[parts[len(parts)-1] == ""], err)
	})
}

// FuzzTake passes any event to every protocol.
func FuzzTake(f *testing.F) {
	for _, seed := range []string{
		`{"content":"a","stop":true,"stop_type":"word","stopping_word":"x"}`, `{"choices":[{"text":"a","finish_reason":"stop","stop_reason":2}]}`,
		`{"response":"a","done":true,"context":""}`, `{"output_text":["a"]}`, `{"error":{"message":"x"}}`, "[DONE]", "\xff",
		`{"results":[{"flagged":true,"categories":{"x":true}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		event, _ = replaceInvalid(event)
		require.True(t, utf8.Valid(event))
		for _, k := range Kinds() {
			var rep koala.Report
			text, _, err := k.row().protocol.take(event, &rep)
			require.True(t, err == nil || text == "")
			whole, _ := new(joiner).join(text, true)
			require.True(t, utf8.ValidString(whole))
		}
		_, _, _ = moderationTake(event, new(koala.Report))
		words := clean(parseError(event).Words, "key")
		require.True(t, utf8.ValidString(words))
		require.LessOrEqual(t, len(words), maxWords)
	})
}

func TestClean(t *testing.T) {
	require.Equal(t, "a b [secret] �", clean(" a\r\n\tb\x00 key \xff\u202e", "key"))
	require.Len(t, clean(strings.Repeat("é", 1000), ""), 299)
}

func TestWordList(t *testing.T) {
	l, err := ReadWordList(strings.NewReader("# a comment\nbomb\nBad  Words\n\n炸弹\n!!\n"))
	require.NoError(t, err)
	for text, want := range map[string]string{
		"": "", "a bombastic day": "", "BOMB!": "bomb", "the ｂｏｍｂ": "bomb", "bo\u200bmb": "bomb", "bad, words": "Bad  Words", "bad": "", "badwords": "",
		"words bad": "", "做炸弹的": "炸弹", "炸了弹": "", "BAD\nWORDS": "Bad  Words", "\xffbomb\xff": "bomb",
	} {
		got, err := l.Moderate(t.Context(), text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	_, err = ReadWordList(strings.NewReader(strings.Repeat("x", 1<<17)))
	require.Error(t, err)
}
