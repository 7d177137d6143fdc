package dataset

import (
	"slices"
	"strings"
)

// Source is the name of a public data set whose records Read can turn into
// training records. The zero value means training records, as this package and
// the reference write them.
type Source string

// The sources. SourceInfo describes each of them.
const (
	// ShareGPT has records of human_0, gpt_1, … in {"train":[…],"eval":[…]}
	// (chat_data_v3.json), or {"id","conversations":[{"from","value"}]} as in
	// the public dumps.
	ShareGPT Source = "sharegpt"
	// ShareGPTEval has the same records, read for an evaluation: turns stay as
	// they are, and there is no list of fields.
	ShareGPTEval Source = "sharegpt-eval"
	// HC3 has question, human_answers[] and chatgpt_answers[]. Each answer makes
	// a record.
	HC3 Source = "hc3"
	// OIG is unified_*.jsonl except unified_basic.jsonl: a text with turns after
	// <human>: and <bot>:.
	OIG Source = "oig"
	// OIGBasic is unified_basic.jsonl, which has a rule of its own.
	OIGBasic Source = "oig-basic"
	// Alpaca has instruction, input and output.
	Alpaca Source = "alpaca"
	// HH is Anthropic's: a chosen and a rejected conversation.
	HH Source = "hh"
	// WebGPT has two answers with quotes and scores. Ties are dropped.
	WebGPT Source = "webgpt"
	// Summary is OpenAI's summarize_from_feedback: a post and two summaries, one
	// of them chosen.
	Summary Source = "summary"
)

// SourceInfo describes a Source.
type SourceInfo struct {
	Name        Source   // value of ReadOptions.Source
	Description string   // data set and shape of its records, in one line
	Fields      []string // fields that the rule reads; a star at the end matches any ending
	Eval        bool     // records are for an evaluation: they have no list of fields and are not for training

	rule   rule
	sparse bool // a field that is null in a table is left out of the record
}

// sourceTable has a row for each source. To add a source, add a constant, a row
// and a file source_NAME.go with its rule.
var sourceTable = []SourceInfo{
	{Name: ShareGPT, Description: "ShareGPT conversations: turns are numbered fields or a list", Fields: []string{"conversations", "human*", "gpt*"}, rule: shareGPTRecord, sparse: true},
	{Name: ShareGPTEval, Description: "ShareGPT conversations for an evaluation", Fields: []string{"conversations", "human*", "gpt*"}, Eval: true, rule: shareGPTEvalRecord, sparse: true},
	{Name: HC3, Description: "HC3: questions with answers of people and of ChatGPT", Fields: []string{"question", "human_answers", "chatgpt_answers"}, rule: hc3Records},
	{Name: OIG, Description: "OIG's unified_*.jsonl, except unified_basic.jsonl", Fields: []string{"text"}, rule: oigRecord},
	{Name: OIGBasic, Description: "OIG's unified_basic.jsonl", Fields: []string{"text"}, rule: oigBasicRecord},
	{Name: Alpaca, Description: "Alpaca: instructions with an optional input, and outputs", Fields: []string{"instruction", "input", "output"}, rule: alpacaRecord},
	{Name: HH, Description: "Anthropic's HH: a chosen and a rejected conversation", Fields: []string{"chosen", "rejected"}, rule: hhRecords},
	{Name: WebGPT, Description: "WebGPT comparisons: two answers with quotes and scores", Fields: []string{"question", "quotes_0", "quotes_1", "answer_0", "answer_1", "score_0", "score_1"}, rule: webGPTRecords},
	{Name: Summary, Description: "OpenAI's summarize_from_feedback: a post and two summaries", Fields: []string{"info", "summaries", "choice"}, rule: summaryRecords},
}

// trainingRecords is the row of the empty Source.
var trainingRecords = SourceInfo{Description: "training records", Fields: []string{"*"}, rule: trainingRecord, sparse: true}

// Sources returns the descriptions of all sources.
func Sources() []SourceInfo { return slices.Clone(sourceTable) }

// info returns the row of a source.
func (s Source) info() (*SourceInfo, bool) {
	if s == "" {
		return &trainingRecords, true
	}
	i := slices.IndexFunc(sourceTable, func(row SourceInfo) bool { return row.Name == s })
	if i < 0 {
		return nil, false
	}
	return &sourceTable[i], true
}

// sourceNames returns the names of all sources.
func sourceNames() []Source {
	names := make([]Source, len(sourceTable))
	for i := range sourceTable {
		names[i] = sourceTable[i].Name
	}
	return names
}

// reads reports whether the rule reads a field. Other columns of a Parquet file
// are not decoded.
func (s *SourceInfo) reads(name string) bool {
	return slices.ContainsFunc(s.Fields, func(field string) bool {
		if prefix, ok := strings.CutSuffix(field, "*"); ok {
			return strings.HasPrefix(name, prefix)
		}
		return name == field
	})
}
