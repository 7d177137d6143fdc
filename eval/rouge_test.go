package eval_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/eval"
	"github.com/koala-go/sdk/internal/fixture"
)

// TestRougeGolden compares with rouge_score 0.1.2 and Tk-Instruct's metrics.
func TestRougeGolden(t *testing.T) {
	file, err := os.Open(fixture.Path(t, "golden", "rouge.jsonl"))
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	rows := 0
	for lines.Scan() {
		var row struct {
			Case       string
			Prediction string
			References []string
			PredTokens []string   `json:"pred_tokens"`
			RefTokens  [][]string `json:"ref_tokens"`
			RougeL     []struct{ P, R, F float64 }
			RougeMax   float64 `json:"superni_rougeL"`
			Exact      bool    `json:"superni_exact_match"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &row))
		rows++
		require.ElementsMatch(t, row.PredTokens, eval.RougeWords(row.Prediction), row.Case)
		for i, reference := range row.References {
			got, err := eval.RougeL(row.Prediction, []string{reference})
			require.NoError(t, err)
			require.InDelta(t, row.RougeL[i].F, got.F, 1e-12, row.Case)
			if got.F > 0 {
				require.InDelta(t, row.RougeL[i].P, got.Precision, 1e-12, row.Case)
				require.InDelta(t, row.RougeL[i].R, got.Recall, 1e-12, row.Case)
			}
		}
		best, err := eval.RougeL(row.Prediction, row.References)
		require.NoError(t, err)
		require.InDelta(t, row.RougeMax, best.F, 1e-12, row.Case)
		require.Equal(t, row.Exact, eval.ExactMatch(row.Prediction, row.References), row.Case)
	}
	require.NoError(t, lines.Err())
	require.Equal(t, 47, rows)
}

// longest is the textbook's algorithm for the longest common subsequence.
func longest(a, b []string) int {
	row := make([]int, len(b)+1)
	for i := range a {
		diagonal := 0
		for j := range b {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

// TestRougeLikeTextbook compares texts of all lengths around the blocks of 64
// words with the textbook's algorithm.
func TestRougeLikeTextbook(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := func(n, vocabulary int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("w%d", rng.IntN(vocabulary))
		}
		return strings.Join(list, " ")
	}
	for _, n := range []int{1, 2, 63, 64, 65, 127, 128, 129, 300} {
		for _, m := range []int{1, 63, 64, 65, 200} {
			for _, vocabulary := range []int{1, 2, 20, 1000} {
				a, b := words(n, vocabulary), words(m, vocabulary)
				common := longest(strings.Fields(a), strings.Fields(b))
				got, err := eval.RougeL(a, []string{b})
				require.NoError(t, err)
				require.InDelta(t, float64(common)/float64(n), got.Precision, 1e-12)
				require.InDelta(t, float64(common)/float64(m), got.Recall, 1e-12)
			}
		}
	}
}

func TestRougeBadInput(t *testing.T) {
	_, err := eval.RougeL(strings.Repeat("a ", eval.MaxRougeWords+1), []string{"a"})
	require.ErrorContains(t, err, "shorten it")
	for _, references := range [][]string{nil, {""}, {"你好"}} {
		score, err := eval.RougeL("hello", references)
		require.NoError(t, err)
		require.Zero(t, score)
	}
	require.True(t, eval.ExactMatch("", []string{"!?"}), "both are empty")
	require.False(t, eval.ExactMatch("", nil))
	require.True(t, eval.ExactMatch("3.14", []string{"314"}))
	require.False(t, eval.ExactMatch("İ", []string{"i"}), "Python lowers İ to two characters")
}

func ExampleRougeL() {
	score, err := eval.RougeL("The cat sat down.", []string{"A cat was sitting down", "The dog barks"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("precision %.2f, recall %.2f, F %.2f\n", score.Precision, score.Recall, score.F)
	// Output: precision 0.50, recall 0.40, F 0.44
}

func BenchmarkRougeL(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	text := func(n int) string {
		var s strings.Builder
		for range n {
			fmt.Fprintf(&s, "word%ding ", rng.IntN(500))
		}
		return s.String()
	}
	prediction, reference := text(60), text(60)
	s := eval.NewScorer()
	for b.Loop() {
		if _, err := s.RougeL(prediction, []string{reference}); err != nil {
			b.Fatal(err)
		}
	}
}
