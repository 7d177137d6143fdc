package prompt

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// preimages returns all conversations that render to a text. It is a slow and simple
// Parse that tries every cut and renders the result.
func preimages(d *Dialect, text string) (found []Conversation, nexts []Quality) {
	var walk func(c Conversation, rest string)
	walk = func(c Conversation, rest string) {
		body, after, closed := strings.Cut(rest, d.End)
		user := ""
		if d.Markers.User != "" {
			user = d.Markers.User + " "
		}
		for i := range len(body) + 1 {
			for q := range Unhelpful + 1 {
				marker := d.Markers.reply(q)
				if i < len(user) || marker == "" {
					continue
				}
				query := Turn{Content: body[len(user):i]}
				if !closed && body == user+query.Content+" "+marker {
					found, nexts = append(found, append(c[:len(c):len(c)], query)), append(nexts, q)
				}
				head := user + query.Content + " " + marker + d.BeforeReply
				if closed && strings.HasPrefix(body, user) && strings.HasPrefix(body, head) {
					reply := Turn{Assistant, q, body[len(head):]}
					both := append(c[:len(c):len(c)], query, reply)
					if after == "" {
						found, nexts = append(found, both), append(nexts, Helpful)
					} else if rest, ok := strings.CutPrefix(after, d.AfterReply); ok && rest != "" {
						walk(both, rest)
					}
				}
			}
		}
	}
	if d.Header != "" {
		var ok bool
		if text, ok = strings.CutPrefix(text, d.Header+" "); !ok {
			return nil, nil
		}
	}
	walk(nil, text)
	return found, nexts
}

// requireParsed checks the laws of Parse and compares it with preimages.
func requireParsed(t testing.TB, d *Dialect, text string) {
	p, err := d.Parse(text)
	if !utf8.ValidString(text) {
		require.ErrorIs(t, err, ErrUTF8)
		return
	}
	want, nexts := preimages(d, text)
	if err != nil {
		requireTyped(t, err, len(text), ErrSyntax, ErrAmbiguous, io.ErrUnexpectedEOF)
		require.NotEqual(t, 1, len(want), "%q in %s: %v", text, d.Name, err)
		require.Equal(t, len(want) > 1, errors.Is(err, ErrAmbiguous) && len(want) > 1, "%q in %s: %v", text, d.Name, err)
		return
	}
	require.Equal(t, []Conversation{p.Conversation}, want, "%q in %s", text, d.Name)
	require.Equal(t, nexts[0], p.Next)
	again, err := d.Text(p.Conversation, &Options{Next: p.Next, AllowControl: true})
	require.NoError(t, err)
	require.Equal(t, text, again)
}

// requireTyped requires a *TurnError with an offset in the text, or an error about an
// option, of exactly one of the kinds.
func requireTyped(t testing.TB, err error, size int, kinds ...error) {
	e := &TurnError{Turn: -1, Offset: -1, Err: err}
	if !errors.Is(err, ErrOptions) {
		require.ErrorAs(t, err, &e)
	}
	n := 0
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			n++
		}
	}
	require.Equal(t, 1, n, "%v", err)
	require.GreaterOrEqual(t, e.Turn, -1)
	require.True(t, -1 <= e.Offset && e.Offset <= size, "%v in %d bytes", err, size)
	require.NotEmpty(t, remedyFor(e.Err), "%v", err)
}

var everyDialect = append(Dialects(),
	&Dialect{"hindsight", Header, HindsightMarkers, " ", "</s>", " "},
	&Dialect{"korbak", Header, KorbakMarkers, "", "</s>", ""},
	&Dialect{"odd", "", Markers{"", "a", "aa"}, "", "|", "x"},
	&Dialect{"one", "h", Markers{"u", "a", ""}, " ", "é.", "\n"})

// TestRoundTrip checks that a rendered text is parsed to the same conversation or is
// ambiguous.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	equal, ambiguous, refused := 0, 0, 0
	for range 20_000 {
		c := conversation(r, 6)
		o := &Options{Next: Quality(r.IntN(2))}
		for _, d := range everyDialect {
			text, err := d.Text(c, o)
			if err != nil {
				requireTyped(t, err, 1<<20, ErrControl, ErrMarker)
				refused++
				continue
			}
			p, err := d.Parse(text)
			if err != nil {
				require.ErrorIs(t, err, ErrAmbiguous, "%q in %s", text, d.Name)
				require.False(t, plain(c) && d.Name != "odd" && d.Name != "one", "%q in %s", text, d.Name)
				ambiguous++
				continue
			}
			require.Equal(t, c, p.Conversation, "%q in %s", text, d.Name)
			if c.Open() {
				require.Equal(t, o.Next, p.Next)
			}
			equal++
		}
	}
	t.Logf("%d equal, %d ambiguous, %d refused", equal, ambiguous, refused)
	require.Greater(t, equal, 50_000)
	require.Greater(t, ambiguous, 500)
	require.Greater(t, refused, 1000)
}

// TestParseAnything parses random texts of marks, most of which cannot be rendered.
func TestParseAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2))
	parsed := 0
	for range 3000 {
		for _, d := range everyDialect {
			parts := []string{d.Header, " ", d.Markers.User, d.Markers.Helpful, d.Markers.Unhelpful, d.BeforeReply, d.End, d.AfterReply, "x", " ", d.Markers.Helpful, d.End}
			text := ""
			if d.Header != "" && r.IntN(4) > 0 {
				text = d.Header + " "
			}
			junk := func(n int) (s string) {
				for range r.IntN(n) {
					s += parts[r.IntN(len(parts))]
				}
				return s
			}
			for range r.IntN(3) {
				text += d.Markers.User + " x" + junk(3) + " " + d.Markers.Helpful + d.BeforeReply + junk(2) + d.End + d.AfterReply
			}
			text += junk(8)
			requireParsed(t, d, text)
			if _, err := d.Parse(text); err == nil {
				parsed++
			}
		}
	}
	require.Greater(t, parsed, 500)
}

// TestSegmentsAreTheText checks that the concatenated segments are EasyLM's text.
func TestSegmentsAreTheText(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 3))
	for range 2000 {
		c := conversation(r, 6)
		o := &Options{AllowControl: true, Next: Quality(r.IntN(2))}
		segments, err := EasyLM.AppendSegments(nil, c, o)
		require.NoError(t, err)
		var joined []byte
		for i := range segments {
			s := &segments[i]
			require.Equal(t, s.Kind == End, s.Control())
			require.Equal(t, s.Kind != Query, s.Loss())
			if s.Control() {
				require.Empty(t, s.Text())
				joined = append(joined, "</s>"...)
				continue
			}
			require.Equal(t, c[s.Turn].Content, s.Content)
			joined = s.AppendText(joined)
		}
		text, err := EasyLM.Text(c, o)
		require.NoError(t, err)
		require.Equal(t, text, string(joined))
		other, err := Eval.AppendSegments(nil, c, o)
		require.NoError(t, err)
		require.Equal(t, segments, other, "the spaces of a dialect are in no segment")
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	dst := []byte("before ")
	got, err := FastChat.AppendText(dst, twoTurns, nil)
	require.NoError(t, err)
	require.Equal(t, "before BEGINNING OF CONVERSATION: USER: Hello! GPT: A</s>USER: Q GPT:", string(got))
	got, err = FastChat.AppendText(dst, Conversation{{Content: "</s>"}}, nil)
	require.Error(t, err)
	require.Equal(t, "before ", string(got))
	segments, err := FastChat.AppendSegments([]Segment{{Kind: End}}, nil, nil)
	require.Error(t, err)
	require.Len(t, segments, 1)
}

func TestInvalidUTF8(t *testing.T) {
	c := Conversation{{Content: "a\xffb\xe2\x96"}}
	_, err := FastChat.Text(c, nil)
	require.ErrorIs(t, err, ErrUTF8)
	got, err := FastChat.Text(c, &Options{InvalidUTF8: ReplaceUTF8})
	require.NoError(t, err)
	require.Equal(t, "BEGINNING OF CONVERSATION: USER: a\ufffdb\ufffd\ufffd GPT:", got)
	_, err = FastChat.AppendSegments(nil, c, nil)
	require.ErrorIs(t, err, ErrUTF8)
}

func TestNoAllocations(t *testing.T) {
	dst := make([]byte, 0, 1000)
	segments := make([]Segment, 0, 10)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		dst, _ = FastChat.AppendText(dst[:0], twoTurns, &Options{Next: Unhelpful})
		segments, _ = FastChat.AppendSegments(segments[:0], twoTurns, nil)
	}))
}
