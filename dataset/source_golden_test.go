package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
)

// rows decodes a golden file with a JSON value on each line.
func rows[T any](t testing.TB, name string) (list []T) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(fixture.Read(t, "golden", name)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row T
		require.NoError(t, json.Unmarshal(lines.Bytes(), &row))
		list = append(list, row)
	}
	require.NotEmpty(t, list)
	return list
}

// readLines reads a text and returns its records as lines.
func readLines(t testing.TB, text string, opts ReadOptions) ([]string, error) {
	t.Helper()
	var list []string
	for r, err := range Read(t.Context(), []Input{Text("input", text)}, &opts) {
		if err != nil {
			return list, err
		}
		list = append(list, string(r.AppendJSON(nil)))
	}
	return list, nil
}

// recordRow is a row of the golden files of records.
type recordRow struct {
	Case         string
	PositiveOnly bool `json:"positive_only"`
	ChoiceIndex  int  `json:"choice_index"`
	Input        json.RawMessage
	OK           bool
	Lines        []string `json:"output_lines"`
}

var recordGoldens = map[string]Source{
	"alpaca": Alpaca, "chat_train": ShareGPT, "hh_dialogue": HH, "oig_basic": OIGBasic, "oig_general": OIG,
	"webgpt": WebGPT, "summary": Summary,
}

// refusedByDefault has the cases that succeed in the reference and are defects.
// All others give the same lines without Compat.
var refusedByDefault = map[string]bool{
	"alpaca empty_output": true, "alpaca null_output_passes": true,
	"chat_train ends_with_human_masked_tail": true,
	"chat_train same_index_stable_order":     true, "chat_train empty_strings": true, "chat_train empty_record": true,
	"hh_dialogue odd_middle_human": true, "hh_dialogue odd_last_human_duplicated": true, "hh_dialogue empty_assistant": true,
	"hh_dialogue two_assistants_in_a_row_second_dropped": true, "hh_dialogue no_markers_gives_empty_fields": true,
	"hh_dialogue assistant_first_is_dropped": true, "hh_dialogue marker_text_inside_message": true,
	"oig_general empty_text": true, "oig_general no_marker": true, "oig_general empty_bot": true,
	"webgpt empty_title_nonempty_extract_ignored": true, "webgpt extract_shorter_than_title_zip_truncates": true,
	"webgpt null_answer_becomes_None": true,
	"summary choice_string":           true, "summary choice_bool": true, "summary empty_summary": true,
	"summary choice_minus_one": true, "summary one_summary_only": true, "summary null_post_becomes_None": true,
}

// TestGoldenRecords compares the lines of each rule with those of the reference,
// byte for byte.
func TestGoldenRecords(t *testing.T) {
	for name, source := range recordGoldens {
		for _, row := range rows[recordRow](t, name+".jsonl") {
			opts := ReadOptions{Source: source, PositiveOnly: row.PositiveOnly, Compat: true, Phrase: row.ChoiceIndex + 1}
			lines, err := readLines(t, string(row.Input), opts)
			if row.OK {
				require.NoError(t, err, "%s %s", name, row.Case)
				require.Equal(t, append([]string{}, row.Lines...), append([]string{}, lines...), "%s %s", name, row.Case)
			} else {
				require.Error(t, err, "%s %s", name, row.Case)
			}
			opts.Compat = false
			strict, err := readLines(t, string(row.Input), opts)
			if row.OK && !refusedByDefault[name+" "+row.Case] {
				require.NoError(t, err, "%s %s", name, row.Case)
				require.Equal(t, lines, strict)
				continue
			}
			var e *Error
			require.ErrorAs(t, err, &e, "%s %s", name, row.Case)
			require.Equal(t, "input", e.File)
			require.EqualValues(t, 1, e.Line)
		}
	}
}

// TestGoldenEval compares the evaluation export.
func TestGoldenEval(t *testing.T) {
	for _, row := range rows[recordRow](t, "chat_eval.jsonl") {
		var pairs []EvalPair
		var err error
		for r, e := range Read(t.Context(), []Input{Text("input", string(row.Input))}, &ReadOptions{Source: ShareGPTEval, Compat: true}) {
			if err = e; err == nil {
				pairs = AppendEval(pairs, &r)
			}
		}
		if row.OK {
			require.NoError(t, err, row.Case)
			require.Equal(t, row.Lines[0], string(AppendEvalJSON(nil, pairs)), row.Case)
		} else {
			require.Error(t, err, row.Case)
		}
	}
}

// TestGoldenRawRecords reads one record of each public release.
func TestGoldenRawRecords(t *testing.T) {
	sources := map[string]Source{
		"ShareGPT": ShareGPT, "HC3": HC3, "OIG": OIG, "Alpaca": Alpaca, "Anthropic": HH, "openai/webgpt": WebGPT, "openai/summarize": Summary,
	}
	seen := 0
	for _, row := range rows[struct {
		Dataset string
		Record  json.RawMessage
	}](t, "raw_records.jsonl") {
		for prefix, source := range sources {
			if strings.HasPrefix(row.Dataset, prefix) {
				seen++
				lines, err := readLines(t, string(row.Record), ReadOptions{Source: source})
				require.NoError(t, err, row.Dataset)
				require.NotEmpty(t, lines, row.Dataset)
				array, err := readLines(t, "[\n"+string(row.Record)+"]\n", ReadOptions{Source: source})
				require.NoError(t, err)
				require.Equal(t, lines, array)
			}
		}
	}
	require.Equal(t, len(sources), seen)
}
