package prompt

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// filtered returns the reply of a whole stream. It is a simple filter: the stop sequence
// that is complete first ends the reply, the longest one of several, and one space before
// the reply is removed.
func filtered(d *Dialect, stream string, stops ...string) (reply, stop, cut string) {
	stream = strings.TrimPrefix(stream, " ")
	stops = append([]string{d.End, d.Markers.User, d.Header}, stops...)
	for end := range len(stream) + 1 {
		for _, s := range stops {
			if s != "" && strings.HasSuffix(stream[:end], s) && len(s) > len(stop) {
				stop, cut = s, stream[end-len(s):]
			}
		}
		if stop != "" {
			return string([]rune(stream[:len(stream)-len(cut)])), stop, cut
		}
	}
	return string([]rune(stream)), "", ""
}

// certain returns the part of an unfinished valid stream that a filter must return: all
// whole characters except for the longest end that may begin a stop sequence.
func certain(d *Dialect, stream string, stops ...string) string {
	stream = strings.TrimPrefix(stream, " ")
	for n := len(stream); n > 0; n-- {
		for _, s := range append([]string{d.End, d.Markers.User, d.Header}, stops...) {
			if len(s) > n && strings.HasPrefix(s, stream[len(stream)-n:]) {
				return whole(stream[:len(stream)-n])
			}
		}
	}
	return whole(stream)
}

// whole returns a text without an incomplete character at its end.
func whole(s string) string {
	for n := 1; n <= min(3, len(s)); n++ {
		if end := s[len(s)-n:]; !utf8.FullRuneInString(end) {
			return s[:len(s)-n]
		}
	}
	return s
}

// requireFiltered compares a Filter with filtered for one way to cut the stream into
// pieces.
func requireFiltered(t testing.TB, stream, cuts []byte, stops ...string) {
	want, stop, cut := filtered(&FastChat, string(stream), stops...)
	f := FastChat.NewFilter(stops...)
	var got []byte
	seen := 0
	for i := 0; seen < len(stream); i++ {
		n := len(stream) - seen
		if i < len(cuts) {
			n = min(n, int(cuts[i])%8)
		}
		got = f.Append(got, stream[seen:seen+n])
		seen += n
		require.True(t, utf8.Valid(got))
		require.True(t, strings.HasPrefix(want, string(got)), "%q gave %q of %q", stream, got, want)
		if utf8.Valid(stream) && !f.Done() {
			require.Equal(t, certain(&FastChat, string(stream[:seen]), stops...), string(got), "held back too much of %q", stream[:seen])
		}
	}
	got = f.Close(got)
	require.Equal(t, want, string(got), "%q in %v", stream, cuts)
	e := f.Ending()
	require.Equal(t, stop, e.Stop)
	require.Equal(t, len(cut), e.CutBytes)
	require.Equal(t, cut[:min(len(cut), 1024)], e.Cut)
	require.Equal(t, bytes.HasPrefix(stream, []byte(" ")), e.Trimmed)
	require.Equal(t, stop == "", e.Reason == StreamEnd)
	require.True(t, f.Done())
	require.Empty(t, f.Append(nil, []byte("more")))
	require.Empty(t, f.Close(nil))
	require.Equal(t, len(cut)+4, f.Ending().CutBytes)
}

func TestFilterLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	pieces := append(fragments, "U", "US", "USER", "</", "</s", "B", "BEGINNING", "\xf0\x9f", "\xff", "st", "stop", "a", "ab", "abcde", "cd")
	for range 20_000 {
		var stream []byte
		for range r.IntN(8) {
			stream = append(stream, pieces[r.IntN(len(pieces))]...)
		}
		cuts := make([]byte, r.IntN(20))
		for i := range cuts {
			cuts[i] = byte(r.UintN(256))
		}
		requireFiltered(t, stream, cuts, "stop", "de", "abcde", "cd", "\n\n", "")
		requireFiltered(t, stream, cuts, "op", "stop", "t")
		requireFiltered(t, stream, nil)
		requireFiltered(t, stream, bytes.Repeat([]byte{1}, len(stream)))
	}
}

func TestFilterReasons(t *testing.T) {
	for _, row := range []struct {
		stream, reply string
		want          Ending
	}{
		{" Hi!</s>", "Hi!", Ending{Reason: EndOfReply, Stop: "</s>", Cut: "</s>", CutBytes: 4, Trimmed: true}},
		{"Hi! USER: no", "Hi! ", Ending{Reason: ForgedTurn, Stop: "USER:", Cut: "USER: no", CutBytes: 8}},
		{"x BEGINNING OF CONVERSATION: USER: y", "x ", Ending{Reason: ForgedHeader, Stop: Header, Cut: "BEGINNING OF CONVERSATION: USER: y", CutBytes: 34}},
		{"  two ###", " two ", Ending{Reason: CustomStop, Stop: "###", Cut: "###", CutBytes: 3, Trimmed: true}},
		{"US", "US", Ending{}},
		{"", "", Ending{}},
		{"a stop", "a ", Ending{Reason: CustomStop, Stop: "stop", Cut: "stop", CutBytes: 4}},
		{"a\xffb\xf0\x9f", "a\ufffdb\ufffd\ufffd", Ending{Replaced: 3}},
	} {
		f := FastChat.NewFilter("###", "op", "stop")
		got := f.Close(f.Append(nil, []byte(row.stream)))
		require.Equal(t, row.reply, string(got))
		require.Equal(t, row.want, f.Ending())
	}
	require.Equal(t, "forged turn", ForgedTurn.String())
	require.Equal(t, "stream end", StreamEnd.String())
}
