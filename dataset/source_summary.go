package dataset

import (
	"strconv"
	"strings"

	"github.com/koala-go/sdk/internal/strictjson"
)

// summaryPhrases ask for a summary. Source: create_hf_data_v2.py.
var summaryPhrases = []string{
	"Write a summary of the following article: ",
	"Generate a summary of the following text: ",
	"Summarize the following article: ",
	"Summarize the following text: ",
	"Write a summary of the following text: ",
	"Here is a news article, please summarize it: ",
	"Please write a summary of the following paragraph: ",
	"Please summarize the following paragraph: ",
}

// summaryRecords makes a record of the summary that was chosen, and one of the
// other.
func summaryRecords(o *ruleOutput, data []byte) (string, error) {
	v, err := readTree(data)
	if err != nil {
		return "", err
	}
	list := v.Names["summaries"]
	if list == nil || list.Kind != '[' {
		return "", wrongKind("summaries", kindOf(list), "an array")
	}
	best, err := o.choice(v.Names["choice"])
	if err != nil {
		return "", err
	}
	if len(list.Items) != 2 && !o.opts.Compat {
		return "", badField(ErrMalformed, "summaries", "%d summaries, want 2", len(list.Items))
	}
	if err := o.addSummary(v, list.Items, best, true); err != nil || o.opts.PositiveOnly {
		return "", err
	}
	return "", o.addSummary(v, list.Items, 1-best, false)
}

// choice returns the index of the chosen summary. With Compat it may be any
// value that Python's int accepts.
func (o *ruleOutput) choice(v *strictjson.Value) (int, error) {
	kind := kindOf(v)
	ok := kind == '0'
	var n int64
	switch {
	case ok:
		n, ok = parseInt(v.Text)
		if f, err := strconv.ParseFloat(v.Text, 64); !ok && o.opts.Compat && err == nil && f > -1e9 && f < 1e9 {
			n, ok = int64(f), true
		}
	case o.opts.Compat && kind == '"':
		n, ok = parseInt(v.Text)
	case o.opts.Compat && (kind == 't' || kind == 'f'):
		ok = true
		if kind == 't' {
			n = 1
		}
	}
	if !ok {
		return 0, wrongKind("choice", kind, "a whole number")
	}
	if n < -1<<30 || n > 1<<30 || !o.opts.Compat && n != 0 && n != 1 {
		return 0, badField(ErrMalformed, "choice", "choice %d is neither 0 nor 1", n)
	}
	return int(n), nil
}

// addSummary adds the record of one summary. The names of its fields have the
// index, which may be negative.
func (o *ruleOutput) addSummary(v *strictjson.Value, list []*strictjson.Value, index int, good bool) error {
	i := index
	if i < 0 { // Python counts negative indexes from the end
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return badField(ErrMalformed, "choice", "summary %d is not among the %d", index, len(list))
	}
	info := v.Names["info"]
	if info == nil || info.Kind != '{' {
		return wrongKind("info", kindOf(info), "an object")
	}
	if list[i].Kind != '{' {
		return wrongKind("summaries", list[i].Kind, "an object")
	}
	post, err := o.memberOrNone(info, "post")
	if err != nil {
		return err
	}
	answer, err := textOf(list[i], "text")
	if err != nil {
		return err
	}
	answer = strings.TrimLeftFunc(answer, isSpace)
	if err := o.checkReply("summaries", answer); err != nil {
		return err
	}
	key := ordinal("human", index)
	fields := append(feedbackFields(), Field{Key: key, Text: o.phrase(summaryPhrases, choiceNumber(good)) + post})
	o.addRated(fields, []string{key}, index, good, answer)
	return nil
}
