package tokenizer

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reference returns SentencePiece's BPE in its simplest form, for models with
// byte fallback: of all neighbours that form a piece, merge the best, the
// leftmost of equals, until no two form one.
func reference(v *vocabulary) func(text string) []Token {
	ids := map[string]Token{}
	for id, p := range v.pieces {
		ids[p.text] = Token(id)
	}
	normal := func(s string) (Token, bool) {
		id, ok := ids[s]
		return id, ok && v.pieces[id].typ == Normal
	}
	return func(text string) (out []Token) {
		if text == "" {
			return nil
		}
		row := strings.Split(strings.ReplaceAll(strings.Repeat(spaceText, 1)+string([]rune(text)), " ", spaceText), "")
		for at := 0; at >= 0; {
			at = -1
			best := float32(0)
			for i := range row[1:] {
				if id, ok := normal(row[i] + row[i+1]); ok && (at < 0 || v.pieces[id].score > best) {
					best, at = v.pieces[id].score, i
				}
			}
			if at >= 0 {
				row[at] += row[at+1]
				row = append(row[:at+1], row[at+2:]...)
			}
		}
		for _, s := range row {
			if id, ok := normal(s); ok {
				out = append(out, id)
				continue
			}
			for i := range len(s) {
				out = append(out, ids[byteText(s[i])])
			}
		}
		return out
	}
}

// classes are the kinds of random texts.
var classes = []struct {
	name string
	make func(r *rand.Rand, v *vocabulary) string
}{
	{"ascii", func(r *rand.Rand, _ *vocabulary) string { return runes(r, 24, span{' ', '~'}) }},
	{"letters", func(r *rand.Rand, _ *vocabulary) string { return runes(r, 24, span{'a', 'f'}) }},
	{"code", func(r *rand.Rand, _ *vocabulary) string { return glue(r, 8, code...) }},
	{"cjk", func(r *rand.Rand, _ *vocabulary) string {
		return runes(r, 12, span{0x4e00, 0x9fff}, span{0x3040, 0x30ff}, span{' ', ' '})
	}},
	{"emoji", func(r *rand.Rand, _ *vocabulary) string { return glue(r, 8, emoji...) }},
	{"spaces", func(r *rand.Rand, _ *vocabulary) string {
		return glue(r, 6, " ", "▁", strings.Repeat(" ", r.IntN(20)), strings.Repeat("▁", r.IntN(40)), "a", "the", "\n", "\t", "é", "镇")
	}},
	{"bytes", func(r *rand.Rand, _ *vocabulary) string {
		b := make([]byte, r.IntN(24))
		for i := range b {
			b[i] = byte(r.UintN(256))
		}
		return string(b)
	}},
	{"broken", func(r *rand.Rand, _ *vocabulary) string {
		return glue(r, 8, "\xe2", "\x96", "\x81", "▁", "\xff", "a", " ", "\xf0\x9f", "é", "\uFFFD", "\xed\xa0\x80", "\xc0\x80")
	}},
	{"anywhere", func(r *rand.Rand, _ *vocabulary) string {
		return runes(r, 10, span{1, 0x24f}, span{0x370, 0x5ff}, span{0x1f300, 0x1faff}, span{0xe000, 0x10ffff})
	}},
	{"glued", func(r *rand.Rand, v *vocabulary) string {
		var b strings.Builder
		for range r.IntN(8) {
			b.WriteString(strings.ReplaceAll(v.pieces[r.IntN(len(v.pieces))].text, spaceText, " "))
		}
		return b.String()
	}},
}

var code = []string{"func ", "if ", "err", " != ", "nil", " {", "\n", "\t", "}", "(", ")", "->", "==", "::", "std", "int", "i++", ";", "/*", "*/", "    ", "0x1F", "__init__", "<div>", "\"", "\\n", "%s", ",", ".", "foo_bar", "CamelCase", "=", "[]", "&&"}

var emoji = []string{"👩", "\u200d", "💻", "🏽", "👨‍👩‍👧", "🇩🇪", "☺", "️", "🦙", "😶‍🌫️", " ", "a", "✅", "🤗", "1️⃣"}

type span struct{ from, to rune }

// runes returns up to n characters, each from one of the spans.
func runes(r *rand.Rand, n int, spans ...span) string {
	out := make([]rune, r.IntN(n))
	for i := range out {
		s := spans[r.IntN(len(spans))]
		out[i] = s.from + r.Int32N(s.to-s.from+1)
	}
	return string(out)
}

// glue returns up to n of the words, joined.
func glue(r *rand.Rand, n int, words ...string) string {
	var b strings.Builder
	for range r.IntN(n) {
		b.WriteString(words[r.IntN(len(words))])
	}
	return b.String()
}

// rounds returns the number of texts to try of each class: KOALA_ROUNDS, or
// 20,000, or a tenth of that with -short.
func rounds(t testing.TB) int {
	if n, err := strconv.Atoi(os.Getenv("KOALA_ROUNDS")); err == nil {
		return n
	}
	if testing.Short() {
		return 2000
	}
	return 20000
}

var seed = flag.Uint64("seed", 1, "`seed` of the random texts")

// requireLikeReference compares a tokenizer with the reference on n texts of
// each class.
func requireLikeReference(t *testing.T, tok *Tokenizer, n int) {
	requireLike(t, tok, reference(tok.v), n)
}

// requireLike compares a tokenizer with a function on n texts of each class.
func requireLike(t *testing.T, tok *Tokenizer, want func(string) []Token, n int) {

	for _, c := range classes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(*seed, 0))
			for i := range n {
				text := c.make(r, tok.v)
				if got := tok.Encode(text, nil); fmt.Sprint(got) != fmt.Sprint(want(text)) {
					require.Equal(t, want(text), got, "text %d: %q", i, text)
				}
			}
		})
	}
}

func TestLikeReference(t *testing.T) { requireLikeReference(t, Default(), rounds(t)) }
