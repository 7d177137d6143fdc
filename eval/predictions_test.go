package eval_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/eval"
)

func TestScorePredictions(t *testing.T) {
	list, err := eval.ReadPredictions(strings.NewReader(`
{"id":"a-1","prediction":"the cat","references":["a cat","the cat"],"task":"a","category":"x"}
{"id":"a-2","prediction":"dog","references":["cat"],"task":"a","category":"x"}
{"id":7,"prediction":"one two three","Task":"b","Categories":["y","z"],"Instance":{"input":"?","output":["one three"]}}
`), false)
	require.NoError(t, err)
	r, err := eval.ScorePredictions(list)
	require.NoError(t, err)
	require.Equal(t, eval.RougeScores{Rows: 3, RougeL: 60, ExactMatch: 33.3333}, r.RougeScores)
	require.Equal(t, map[string]eval.RougeScores{"a": {Rows: 2, RougeL: 50, ExactMatch: 50}, "b": {Rows: 1, RougeL: 80}}, r.Tasks)
	require.Equal(t, map[string]eval.RougeScores{"x": {Rows: 2, RougeL: 50, ExactMatch: 50}, "y": {Rows: 1, RougeL: 80}}, r.Categories)
}

func TestReadReferences(t *testing.T) {
	list, err := eval.ReadPredictions(strings.NewReader(`{"id":"1","prediction":"yes"}`), true)
	require.NoError(t, err)
	const rows = `{"id":"1","Task":"t","Categories":["c"],"Instance":{"output":["Yes."]}}` + "\n" + `{"id":"2","Instance":{"output":["no"]}}`
	require.NoError(t, eval.ReadReferences(strings.NewReader(rows), list))
	require.Equal(t, []eval.Prediction{{ID: "1", Prediction: "yes", References: []string{"Yes."}, Task: "t", Category: "c"}}, list)
	require.ErrorContains(t, eval.ReadReferences(strings.NewReader(`{"id":"2","references":["x"]}`), list), `"1" has no row in the references`)
	require.ErrorContains(t, eval.ReadReferences(strings.NewReader(`{"id":"1"}`), list), "line 1: the row has no references")
}

func TestBadPredictions(t *testing.T) {
	for text, says := range map[string]string{
		`{"prediction":"x","references":["y"]}`:                                  `no member "id"`,
		`{"id":"1","references":["y"]}`:                                          `no member "prediction"`,
		`{"id":"1","prediction":"x"}`:                                            "no references",
		`{"id":"1","prediction":"x","references":[]}`:                            "no references",
		`{"id":"1","prediction":"x","references":"y"}`:                           "not a list of strings",
		`{"id":"1","prediction":"x","references":["y",1]}`:                       "item 1 of member",
		`{"id":"1","prediction":null,"references":["y"]}`:                        `no member "prediction"`,
		`{"id":"1","prediction":1,"references":["y"]}`:                           "not a string",
		`{"id":"1","prediction":"x","references":["y"]} {}`:                      "line 1: ",
		strings.Repeat(`{"id":"1","prediction":"x","references":["y"]}`+"\n", 2): `line 2: the id "1" occurs twice`,
	} {
		_, err := eval.ReadPredictions(strings.NewReader(text), false)
		require.ErrorContains(t, err, says, text)
	}
}

func ExampleScorePredictions() {
	r, err := eval.ScorePredictions([]eval.Prediction{
		{ID: "1", Prediction: "Paris", References: []string{"paris"}, Task: "capitals"},
		{ID: "2", Prediction: "Rome, Italy", References: []string{"Rome"}, Task: "capitals"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("Rouge-L %.1f, exact match %.1f\n", r.RougeL, r.ExactMatch)
	// Output: Rouge-L 83.3, exact match 50.0
}
