package bleu

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
)

// rows decodes a golden file of one JSON value per line.
func rows[T any](t *testing.T, name string) (list []T) {
	lines := bufio.NewScanner(bytes.NewReader(fixture.Read(t, "golden", name)))
	for lines.Scan() {
		var row T
		require.NoError(t, json.Unmarshal(lines.Bytes(), &row))
		list = append(list, row)
	}
	require.NotEmpty(t, list)
	return list
}

// TestGolden compares with scores of sacrebleu 2.
func TestGolden(t *testing.T) {
	for _, row := range rows[struct {
		Case, Hyp, Ref string
		Score          float64
		Counts, Totals [Order]int
		Precisions     [Order]float64
		BP             float64
		SysLen         int     `json:"sys_len"`
		RefLen         int     `json:"ref_len"`
		Effective      float64 `json:"sentence_score_effective_order"`
	}](t, "bleu.jsonl") {
		s := Compare(row.Hyp, row.Ref)
		require.Equal(t, Stats{row.Counts, row.Totals, row.SysLen, row.RefLen}, s, row.Case)
		require.InDelta(t, row.Score, s.Score(), 1e-9, row.Case)
		require.InDelta(t, row.Effective, s.ScoreEffectiveOrder(), 1e-9, row.Case)
		require.InDelta(t, row.BP, s.Brevity(), 1e-9, row.Case)
		p := s.Precisions()
		for n := range p {
			require.InDelta(t, row.Precisions[n], p[n], 1e-9, row.Case)
		}
	}
}

func TestGoldenTokens(t *testing.T) {
	for _, row := range rows[struct {
		Text   string
		Tokens []string
	}](t, "tokenizer_13a.jsonl") {
		require.Equal(t, append([]string{}, row.Tokens...), append([]string{}, Tokenize(row.Text)...), row.Text)
	}
}

// TestTokens covers texts in which one match consumes a character that the next
// one would need. The expected tokens are sacrebleu's.
func TestTokens(t *testing.T) {
	for text, want := range map[string][]string{
		"...":                {".", ".", "."},
		"a..b":               {"a", ".", ".", "b"},
		"1..2":               {"1", ".", ".", "2"},
		"1.,2":               {"1", ".", ",", "2"},
		",":                  {","},
		"1-2--3":             {"1", "-", "2", "-", "-3"},
		"é.é,è":              {"é", ".", "é", ",", "è"},
		"a\x1cb\u00a0c":      {"a", "b", "c"},
		"&amp;lt;":           {"<"},
		"x-\n y\nz":          {"x", "y", "z"},
		"<skip<skipped>ped>": {"<", "skipped", ">"},
	} {
		require.Equal(t, want, Tokenize(text), "%q", text)
	}
}

// TestEndOfLine checks that a dash at the end of a text is kept, although a
// dash before a newline within a text is removed.
func TestEndOfLine(t *testing.T) {
	s := Compare("a b c d-\n", "a b c d-")
	require.InDelta(t, 100, s.Score(), 1e-9)
}

// TestNoSharedBigram checks a claim of Index: a hypothesis of five tokens or
// more that shares no bigram scores at most 15.98.
func TestNoSharedBigram(t *testing.T) {
	most := 0.0
	for hyp := 5; hyp <= 200; hyp++ {
		for ref := 1; ref <= hyp+50; ref++ {
			s := Stats{Correct: [Order]int{min(hyp, ref)}, Total: totals(hyp), HypLen: hyp, RefLen: ref}
			most = max(most, s.Score())
		}
	}
	require.InDelta(t, 15.97, most, 0.01)
	five := Compare("a b c d e", "e d c b a")
	require.InDelta(t, most, five.Score(), 1e-9)
	s := Compare("a b c d", "d c b a")
	require.Greater(t, s.Score(), 20.0)
	require.False(t, math.IsNaN((&Stats{}).Score()))
}
