package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// eachText calls f with n random texts of each class.
func eachText(t *testing.T, n int, f func(t *testing.T, text string)) {
	for _, c := range classes {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(*seed, 1))
			for range n {
				f(t, c.make(r, Default().v))
			}
		})
	}
}

// equal is require.Equal for lists. It is faster if they are equal, and takes
// nil for an empty list.
func equal[T comparable](t testing.TB, want, got []T, text string) {
	t.Helper()
	if fmt.Sprint(want) != fmt.Sprint(got) {
		require.Equal(t, want, got, "%q", text)
	}
}

// requireLaws checks what holds for every text and tokenizer.
func requireLaws(t testing.TB, tok *Tokenizer, text string) {
	ids := tok.Encode(text, nil)
	require.Equal(t, len(ids), tok.Count(text, nil), "%q", text)

	again, spans := tok.AppendEncodeSpans([]Token{7}, []Span{{9, 9}}, text, nil)
	equal(t, append([]Token{7}, ids...), again, text)
	requireSpans(t, tok, spans[1:], text)

	decoded, err := tok.Decode(ids)
	require.NoError(t, err)
	require.True(t, utf8.ValidString(decoded))
	if _, ok := tok.ID(spaceText); ok && tok.v.byteFallback && !tok.v.trim && tok.v.prefix == prefixAlways {
		require.Equal(t, lossy(text), decoded)
		equal(t, ids, tok.Encode(decoded, nil), text)
	}
	requireStreamed(t, tok, ids, decoded)
}

// lossy returns what decoding the tokens of a text gives: a space for ▁, and
// U+FFFD for invalid bytes.
func lossy(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string([]rune(text)), "\uFFFD"), spaceText, " ")
}

// requireSpans checks that spans are in order and adjacent.
func requireSpans(t testing.TB, tok *Tokenizer, spans []Span, text string) {
	at := 0
	for i, s := range spans {
		if tok.v.trim && i == 0 {
			at = s.Begin
		}
		require.Equal(t, at, s.Begin, "span %d of %q: %v", i, text, spans)
		require.GreaterOrEqual(t, s.End, s.Begin)
		at = s.End
	}
	if !tok.v.trim && len(spans) > 0 {
		require.Equal(t, len(text), at, "%q: %v", text, spans)
	}
}

// requireStreamed decodes tokens one by one.
func requireStreamed(t testing.TB, tok *Tokenizer, ids []Token, want string) {
	d := tok.NewDecoder()
	var out []byte
	for i := range ids {
		var err error
		out, err = d.Append(out, ids[i:i+1])
		require.NoError(t, err)
		require.True(t, utf8.Valid(out))
	}
	require.Equal(t, want, string(d.Flush(out)))
}

func TestLaws(t *testing.T) {
	eachText(t, rounds(t)/10, func(t *testing.T, text string) { requireLaws(t, Default(), text) })
}

// TestDecodeAnything decodes random ids, all at once and one by one.
func TestDecodeAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(*seed, 2))
	for range rounds(t) {
		ids := make([]Token, r.IntN(12))
		for i := range ids {
			if ids[i] = r.Int32N(32000); r.IntN(2) == 0 {
				ids[i] = r.Int32N(300)
			}
		}
		text, err := Default().Decode(ids)
		require.NoError(t, err)
		requireStreamed(t, Default(), ids, text)
	}
}

func TestDecodeOutOfRange(t *testing.T) {
	for _, id := range []Token{-1, 32000, 1<<31 - 1, -1 << 31} {
		text, err := Default().Decode([]Token{15043, 3186, id, 3186})
		var bad *RangeError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, RangeError{2, id, 32000}, *bad)
		require.Equal(t, "Hello world", text)
	}
	d := Default().NewDecoder()
	_, err := d.Append(nil, []Token{1, 2, 3})
	require.NoError(t, err)
	_, err = d.Append(nil, []Token{5, 40000})
	require.EqualError(t, err, "token id 40000 is out of range: position 4: give ids from 0 to 31999")
}

func TestCheckText(t *testing.T) {
	require.NoError(t, CheckText("é \uFFFD"))
	var bad *TextError
	require.ErrorAs(t, CheckText("é \uFFFD\xe2\x96"), &bad)
	require.Equal(t, 6, bad.Offset)
}

// TestEncoderInPieces compares an Encoder whose reader returns one byte at a
// time with AppendEncode.
func TestEncoderInPieces(t *testing.T) {
	for mode := SpecialsNone; mode <= SpecialsLlamaCpp; mode++ {
		opts := &Options{BOS: true, EOS: true, Specials: mode}
		r := rand.New(rand.NewPCG(*seed, 3))
		for range rounds(t) / 100 {
			var b strings.Builder
			for range r.IntN(30) {
				b.WriteString(classes[r.IntN(len(classes))].make(r, Default().v))
				b.WriteString([]string{"", "<s>", "</s>", "<unk>", "<", " "}[r.IntN(6)])
			}
			text := b.String()
			equal(t, Default().Encode(text, opts), streamed(t, iotest.OneByteReader(strings.NewReader(text)), opts), text)
		}
	}
}

// streamed encodes with an Encoder whose blocks are small.
func streamed(t *testing.T, r io.Reader, opts *Options) []Token {
	e := Default().NewEncoder(r, opts)
	e.step = 7
	var ids []Token
	for {
		var err error
		if ids, err = e.Append(ids); err == io.EOF {
			return ids
		}
		require.NoError(t, err)
	}
}

func TestEncoderErrors(t *testing.T) {
	failed := errors.New("failed")
	e := Default().NewEncoder(iotest.ErrReader(failed), nil)
	for range 2 {
		_, err := e.Append(nil)
		require.ErrorIs(t, err, failed)
	}
	e = Default().NewEncoder(idle{}, nil)
	_, err := e.Append(nil)
	require.ErrorIs(t, err, io.ErrNoProgress)
}

// idle is a reader that returns neither bytes nor an error.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestBatch(t *testing.T) {
	r := rand.New(rand.NewPCG(*seed, 4))
	texts := make([]string, 5000)
	for i := range texts {
		texts[i] = classes[r.IntN(len(classes))].make(r, Default().v)
	}
	for _, workers := range []int{0, 1, 8} {
		for i, ids := range Default().EncodeBatch(texts, nil, workers) {
			equal(t, Default().Encode(texts[i], nil), ids, texts[i])
		}
	}
	require.Empty(t, Default().EncodeBatch(nil, nil, 0))
}

func TestTruncate(t *testing.T) {
	opts := &Options{BOS: true}
	eachText(t, rounds(t)/100, func(t *testing.T, text string) {
		n := Default().Count(text, opts)
		for budget := range n + 2 {
			start := Default().Truncate(text, budget, KeepStart, opts)
			end := Default().Truncate(text, budget, KeepEnd, opts)
			require.True(t, strings.HasPrefix(text, start) && strings.HasSuffix(text, end))
			require.True(t, betweenCharacters(text, len(start)) && betweenCharacters(text, len(text)-len(end)))
			require.LessOrEqual(t, Default().Count(start, opts), max(budget, 1))
			require.LessOrEqual(t, Default().Count(end, opts), max(budget, 1))
			if budget >= n {
				require.Equal(t, []string{text, text}, []string{start, end})
			} else if text != "" {
				require.NotEqual(t, text, start)
				require.NotEqual(t, text, end)
			}
		}
	})
	require.Equal(t, "Hello", Default().Truncate("Hello world", 1, KeepStart, nil))
	require.Equal(t, " x", Default().Truncate("Hello world x", 2, KeepEnd, nil))
	require.Equal(t, "a", Default().Truncate("a🦙", 3, KeepStart, nil))
}

// TestLongChunks compares the linear method with the queue on long texts that
// cannot be cut.
func TestLongChunks(t *testing.T) {
	slow := *Default().v
	slow.halves, slow.queued = nil, true
	tok, err := newTokenizer(&slow)
	require.NoError(t, err)
	require.False(t, tok.isLinear)
	r := rand.New(rand.NewPCG(*seed, 5))
	for _, unit := range []string{"a", "ab", "halten", "thethere", "=", "-_", "ии", "aaab", "1", "0x"} {
		text := strings.Repeat(unit, 500+r.IntN(500))
		equal(t, tok.Encode(text, nil), Default().Encode(text, nil), text)
	}
	for n := range 80 { // around the length up to which short merges
		for range 20 {
			text := "é"[:2*(n%2)] + runes(r, n+1, span{'a', 'e'})
			equal(t, tok.Encode(text, nil), Default().Encode(text, nil), text)
		}
	}
	for range rounds(t) / 200 {
		text := runes(r, 2000, span{'a', 'a' + r.Int32N(25)})
		equal(t, tok.Encode(text, nil), Default().Encode(text, nil), text)
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector sync.Pool drops items at random")
	}
	text := strings.Repeat("Hello, wörld! 🦙 \xff 镇  x\n<s>", 50)
	ids, out := make([]Token, 0, 1<<13), make([]byte, 0, 1<<13)
	tok := Default()
	r := rand.New(rand.NewPCG(*seed, 9))
	var unknown []string // words and chunks that are not in the cache
	for range 101 {
		unknown = append(unknown, runes(r, 400, span{'a', 'z'}, span{'0', '9'}, span{' ', ' '}, span{0x400, 0x44f}))
	}
	for name, f := range map[string]func(){
		"new words":    func() { ids, unknown = tok.AppendEncode(ids[:0], unknown[0], nil), unknown[1:] },
		"AppendEncode": func() { ids = tok.AppendEncode(ids[:0], text, nil) },
		"with options": func() { ids = tok.AppendEncode(ids[:0], text, &Options{BOS: true, Specials: SpecialsHF}) },
		"Count":        func() { tok.Count(text, nil) },
		"AppendDecode": func() { out, _ = tok.AppendDecode(out[:0], ids) },
	} {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}

// TestRemembered encodes texts from several goroutines that use the same slots
// of the cache.
func TestRemembered(t *testing.T) {
	texts := make([]string, 3000)
	for i := range texts {
		texts[i] = fmt.Sprintf("word%d x%dy", i, i*7)
	}
	want := Default().EncodeBatch(texts, nil, 1)
	tok, err := newTokenizer(llamaVocabulary())
	require.NoError(t, err)
	for round := range 5 {
		for i, ids := range tok.EncodeBatch(texts, nil, 4) {
			equal(t, want[i], ids, fmt.Sprint(round, texts[i]))
		}
	}
}

func TestExportedIsTheSame(t *testing.T) {
	for _, format := range []Format{FormatSPM, FormatHF} {
		var b bytes.Buffer
		require.NoError(t, Default().Export(&b, format))
		tok, err := NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
		require.NoError(t, err)
		require.Equal(t, Default().Len(), tok.Len())
		eachText(t, rounds(t)/100, func(t *testing.T, text string) {
			equal(t, Default().Encode(text, nil), tok.Encode(text, nil), text)
		})
	}
	require.ErrorIs(t, Default().Export(io.Discard, "x"), ErrOptions)
}

// window returns the 16 bytes at offset at, with zeros after the end of the
// text.
func window(text string, at int) (a, b uint64) {
	if a, b = tail(text); at+16 > len(text) {
		return shifted(a, b, at+16-len(text))
	}
	return load8(text, at), load8(text, at+8)
}

// TestWindow compares the arithmetic on 16 bytes with loops, for all lengths and
// offsets of a text. It uses bytes that end a word, and others that differ from
// them in one bit or produce a carry.
func TestWindow(t *testing.T) {
	for n := range 40 {
		for at := max(0, n-15); at < n; at++ {
			for _, fill := range []byte{'!', 'a', ' ' | 0x80, 0x80, 0xa1, 0xff} {
				for _, end := range []byte{' ', '\n', '\r', 0, 0x1f} {
					text := bytes.Repeat([]byte{fill}, n)
					for i := at; i < n; i++ {
						text[i] = end
						a, b := window(string(text), at)
						require.Equal(t, min(i-at, 16), untilBreak(a, b), "%q from %d", text, at)
						text[i] = fill
					}
					var want [16]byte
					copy(want[:], text[at:])
					a, b := window(string(text), at)
					require.Equal(t, string(want[:]), string(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, a), b)))
				}
			}
		}
	}
}
