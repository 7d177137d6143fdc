package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// vocabularyOf returns a model with byte fallback whose pieces have falling
// scores.
func vocabularyOf(pieces ...string) *vocabulary {
	v := newVocabulary(KindSentencePiece)
	v.byteFallback, v.trim = true, false
	v.pieces = append(v.pieces, piece{"<unk>", 0, Unknown})
	for b := range 256 {
		v.pieces = append(v.pieces, piece{byteText(byte(b)), 0, Byte})
	}
	for i, text := range pieces {
		v.pieces = append(v.pieces, piece{text, float32(-i), Normal})
	}
	return v
}

// TestPaths has for each fast path a model that breaks its assumption: the path
// must be off and the tokens right.
func TestPaths(t *testing.T) {
	letters := []string{"▁", "a", "b", "c", "d"}
	runs := []string{"▁a", "ab", "▁ab", "▁▁", "▁▁▁"}
	for _, row := range []struct {
		name     string
		pieces   []string
		change   func(v *vocabulary)
		runs     bool
		isLinear bool
	}{
		{"all hold", runs, func(v *vocabulary) { score(v, "▁▁▁", scoreOf(v, "▁▁")) }, true, true},
		{"runs of different scores", runs, nil, false, true},
		{"runs before other pieces", runs, func(v *vocabulary) { score(v, "▁▁▁", 1); score(v, "▁▁", 1) }, false, false},
		{"a missing run", append(runs, "▁▁▁▁▁"), func(v *vocabulary) {
			score(v, "▁▁▁", -99)
			score(v, "▁▁", -99)
			score(v, "▁▁▁▁▁", -99)
		}, false, false},
		{"▁ inside a piece", []string{"a▁", "a▁b", "▁a"}, nil, false, true},
		{"▁ before a run", []string{"▁▁", "▁▁a"}, nil, false, true},
		{"no single ▁", []string{"▁a", "▁ab"}, func(v *vocabulary) { rename(v, "▁", "x") }, false, true},
		{"equal scores", []string{"ab", "bc", "abc"}, func(v *vocabulary) { score(v, "ab", scoreOf(v, "bc")) }, true, false},
		{"a piece that is never made", []string{"ab", "bcd"}, nil, true, false},
		{"a piece that encodes to others", []string{"bc", "ab", "abc", "abcd", "cd"}, func(v *vocabulary) { score(v, "abcd", 5) }, true, false},
		{"a character that is not a piece", []string{"az", "zz", "▁az"}, nil, true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := vocabularyOf(append(letters, row.pieces...)...)
			if row.change != nil {
				row.change(v)
			}
			tok, err := newTokenizer(v)
			require.NoError(t, err)
			p := tok.Properties()
			require.Equal(t, []bool{row.runs, row.isLinear}, []bool{p.CutAtRuns, p.Linear})
			requireSmall(t, tok, 2000)
		})
	}
}

// TestBreaks has models in whose pieces a control character follows another
// character, or another character follows \r. Words would be cut inside such
// pieces, so they must not be looked up.
func TestBreaks(t *testing.T) {
	for _, row := range []struct {
		pieces []string
		words  bool
	}{
		{[]string{"ab", "▁\n", "▁\r", "a\r", "ab\r"}, true},
		{[]string{"a\n"}, false},
		{[]string{"▁a\t"}, false},
		{[]string{"\n\n"}, false},
		{[]string{"\ra"}, false},
		{[]string{"▁\r", "▁\r\n"}, false},
	} {
		tok, err := newTokenizer(vocabularyOf(append([]string{"▁", "a", "b", "\n", "\r", "\t", "▁a"}, row.pieces...)...))
		require.NoError(t, err)
		require.Equal(t, row.words, tok.Properties().Words, "%q", row.pieces)
		want := reference(tok.v)
		r := rand.New(rand.NewPCG(*seed, 8))
		for range 2000 {
			text := glue(r, 14, "a", "b", " ", "▁", "z", "\xff", "\n", "\r", "\t", "\x00", "ab", "  ")
			equal(t, want(text), tok.Encode(text, nil), text)
		}
	}
	require.True(t, Default().Properties().Words)
}

// TestUnknownRuns has a model without byte fallback, in which a token depends on
// the one before it: a run of unknown characters has one token. Words must not
// be looked up.
func TestUnknownRuns(t *testing.T) {
	v := vocabularyOf("▁", "a", "b", "▁a", "ab", "▁▁")
	v.byteFallback = false
	for b := range 256 {
		find(v, byteText(byte(b))).typ = Control
	}
	tok, err := newTokenizer(v)
	require.NoError(t, err)
	require.True(t, tok.Properties().CutAtRuns)
	require.False(t, tok.Properties().Words)
	id := func(text string) Token { id, _ := tok.ID(text); return id }
	for range 2 {
		for n := 1; n < 40; n++ {
			row := strings.Repeat("z", n)
			require.Equal(t, []Token{id("▁"), 0}, tok.Encode(row, nil))
			require.Equal(t, []Token{id("▁a"), 0, id("ab"), id("▁"), 0}, tok.Encode("a"+row+"ab "+row, nil))
		}
	}
}

// TestKnownWords encodes words by themselves, so that the cache has them, and
// then before and after other text. A word that ends within a run of ▁ must not
// be taken for the same word.
func TestKnownWords(t *testing.T) {
	want := reference(Default().v)
	words := []string{"a", "word", "▁", "a▁", "▁a", "▁▁", "\xe2\x96", "\xff", "é", "Я▁", "中文", "\x00", "a\x00", "x,y.z(", "\t\t}", "fifteen_letters", "sixteen_letters_", "a/b/c/d/e/f/g/h/i/j/k", "qzqzqzqzqzqzqzqzqzqz"}
	for range 2 {
		for _, left := range words {
			equal(t, want(left), Default().Encode(left, nil), left)
			for _, between := range []string{" ", "  ", "▁", "▁ ", " ▁", "\n", ""} {
				for _, right := range words {
					text := left + between + right
					equal(t, want(text), Default().Encode(text, nil), text)
					require.Equal(t, len(want(text)), Default().Count(text, nil), text)
				}
			}
		}
	}
}

// TestCache puts keys of all lengths with all numbers of tokens into a cache. It
// must return the right tokens or none.
func TestCache(t *testing.T) {
	c, kept := newCache(), 0
	tokens := func(n, length int) (row []Token) {
		for i := range n {
			row = append(row, Token((length*31+i*7+1)%maxLink))
		}
		return append(row[:max(0, n-1)], maxLink-1)
	}
	for length := 1; length <= cacheText; length++ {
		for _, spaced := range []bool{false, true} {
			for n := 1; n <= cacheTokens; n++ {
				key := keyOf(strings.Repeat(string(rune('@'+n)), 30), 3, 3+length, spaced)
				c.put(&key, tokens(n, length), length)
				got, bytes := c.get([]Token{5}, &key)
				require.Equal(t, length, bytes)
				require.Equal(t, append([]Token{5}, tokens(n, length)...), got, "%d bytes", length)
			}
		}
	}
	for i := range 4 * cacheLines {
		key := cacheKey{a: uint64(i), b: 9<<57 | 7, kind: 18}
		c.put(&key, []Token{Token(i), 1, 2, Token(i)}, i%cacheShort)
	}
	for i := range 4 * cacheLines {
		key := cacheKey{a: uint64(i), b: 9<<57 | 7, kind: 18}
		if got, bytes := c.get(nil, &key); bytes >= 0 {
			kept++
			require.Equal(t, i%cacheShort, bytes)
			require.Equal(t, []Token{Token(i), 1, 2, Token(i)}, got)
		}
	}
	require.Greater(t, kept, cacheLines)
	require.True(t, c.full())
	large, still := c.grown(), 0
	require.False(t, large.full())
	for i := range 4 * cacheLines {
		key := cacheKey{a: uint64(i), b: 9<<57 | 7, kind: 18}
		if got, bytes := large.get(nil, &key); bytes >= 0 {
			still++
			require.Equal(t, i%cacheShort, bytes)
			require.Equal(t, []Token{Token(i), 1, 2, Token(i)}, got)
		}
	}
	require.Greater(t, still, kept*3/4)
}

// find returns a piece by its text.
func find(v *vocabulary, text string) *piece {
	for id := range v.pieces {
		if v.pieces[id].text == text {
			return &v.pieces[id]
		}
	}
	panic("no piece " + text)
}

func score(v *vocabulary, text string, to float32)      { find(v, text).score = to }
func scoreOf(v *vocabulary, text string) float32        { return find(v, text).score }
func rename(v *vocabulary, text string, becomes string) { find(v, text).text = becomes }

// requireSmall compares a tokenizer with the reference on n texts of a few
// letters.
func requireSmall(t *testing.T, tok *Tokenizer, n int) {
	want := reference(tok.v)
	r := rand.New(rand.NewPCG(*seed, 6))
	for range n {
		text := glue(r, 14, "a", "b", "c", "d", " ", "  ", "▁", "z", "\xff", "\n", "ab", "abc")
		equal(t, want(text), tok.Encode(text, nil), text)
	}
	requireLaws(t, tok, strings.Repeat("ab ▁c", 10))
}

// TestRandomVocabularies compares random models, which have all combinations of
// fast paths, with the reference.
func TestRandomVocabularies(t *testing.T) {
	r := rand.New(rand.NewPCG(*seed, 7))
	kinds := map[[2]bool]int{}
	for range rounds(t) / 40 {
		pieces := randomPieces(r)
		v, shuffled := vocabularyOf(pieces...), r.IntN(2) == 0
		for id := 257; id < len(v.pieces); id++ {
			if shuffled && r.IntN(3) == 0 {
				v.pieces[id].score = float32(-r.IntN(len(pieces)))
			}
		}
		tok, err := newTokenizer(v)
		require.NoError(t, err)
		kinds[[2]bool{tok.runs != nil, tok.isLinear}]++
		requireSmall(t, tok, 100)
	}
	require.Len(t, kinds, 4, "%v", kinds)
}

// randomPieces returns the texts of pieces. Most are joined from two earlier
// ones.
func randomPieces(r *rand.Rand) []string {
	pieces := []string{"▁", "a", "b", "c"}
	seen := map[string]bool{"▁": true, "a": true, "b": true, "c": true}
	for range r.IntN(14) {
		text := pieces[r.IntN(len(pieces))] + pieces[r.IntN(len(pieces))]
		if r.IntN(20) == 0 {
			text = glue(r, 6, "a", "b", "c", "▁", "ab", "▁▁")
		}
		if r.IntN(8) > 0 {
			text = strings.ReplaceAll(text, spaceText, "")
			text = strings.Repeat(spaceText, r.IntN(2)) + text
		}
		if text != "" && !seen[text] {
			seen[text] = true
			pieces = append(pieces, text)
		}
	}
	return pieces[r.IntN(2):]
}
