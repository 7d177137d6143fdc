package dataset

import (
	"strconv"

	"github.com/koala-go/sdk/internal/strictjson"
)

// webGPTPhrases tell the model to use the quotes. Source:
// create_hf_data_v2.py.
var webGPTPhrases = []string{
	"Quote the following sources in your answer: ",
	"Use the following sources in your answer: ",
	"You may use the following sources in your answer: ",
	"You may quote the following sources in your answer: ",
	"The following sources may be helpful: ",
}

// webGPTRecords makes a record of the answer with the higher score, and one of
// the other.
func webGPTRecords(o *ruleOutput, data []byte) (string, error) {
	v, err := readTree(data)
	if err != nil {
		return "", err
	}
	var score [2]float64
	for i := range score {
		name := ordinal("score", i)
		m := v.Names[name]
		if m == nil || m.Kind != '0' {
			return "", wrongKind(name, kindOf(m), "a number")
		}
		if score[i], err = strconv.ParseFloat(m.Text, 64); err != nil {
			return "", badField(ErrMalformed, name, "the number %.40s is out of range", m.Text)
		}
	}
	if score[0] == score[1] {
		return "tie", nil
	}
	best := 0
	if score[1] > score[0] {
		best = 1
	}
	if err := o.addAnswer(v, best, true); err != nil || o.opts.PositiveOnly {
		return "", err
	}
	return "", o.addAnswer(v, 1-best, false)
}

// addAnswer adds the record of one answer with its quotes.
func (o *ruleOutput) addAnswer(v *strictjson.Value, i int, good bool) error {
	question := v.Get("question")
	if question == nil || question.Kind != '{' {
		return wrongKind("question", kindOf(v.Names["question"]), "an object")
	}
	human, err := o.memberOrNone(question, "full_text")
	if err != nil {
		return err
	}
	fields := append(feedbackFields(), Field{Key: ordinal("human", i), Text: human})
	before := []string{ordinal("human", i)}
	quotes, err := o.quotes(v, i, good)
	if err != nil {
		return err
	}
	if quotes != "" {
		key := ordinal("quote", i)
		fields = append(fields, Field{Key: key, Text: quotes})
		before = append(before, key)
	}
	name := ordinal("answer", i)
	answer, err := o.memberOrNone(v, name)
	if err == nil {
		err = o.checkReply(name, answer)
	}
	if err == nil {
		o.addRated(fields, before, i, good, answer)
	}
	return err
}

// quotes returns a phrase and the quotes of an answer, or nothing if there are
// none.
func (o *ruleOutput) quotes(v *strictjson.Value, i int, good bool) (string, error) {
	name := ordinal("quotes", i)
	q := v.Names[name]
	if q == nil || q.Kind != '{' {
		return "", wrongKind(name, kindOf(q), "an object")
	}
	titles, extracts := q.Names["title"], q.Names["extract"]
	if kindOf(titles) != '[' || len(titles.Items) > 0 && kindOf(extracts) != '[' {
		return "", wrongKind(name, kindOf(titles), "an object with lists of titles and extracts")
	}
	if extracts != nil && len(titles.Items) != len(extracts.Items) {
		// Python's zip stops at the end of the shorter list.
		if err := o.defect(name, "%d titles and %d extracts: those without a partner are lost", len(titles.Items), len(extracts.Items)); err != nil {
			return "", err
		}
	}
	if len(titles.Items) == 0 {
		return "", nil
	}
	text := []byte(o.phrase(webGPTPhrases, choiceNumber(good)))
	for k := range min(len(titles.Items), len(extracts.Items)) {
		title, err := o.textOrNone(name, titles.Items[k])
		if err != nil {
			return "", err
		}
		extract, err := o.textOrNone(name, extracts.Items[k])
		if err != nil {
			return "", err
		}
		text = append(text, "["+strconv.Itoa(k+1)+"] title: "+title+" content: "+extract+" "...)
	}
	return string(text), nil
}
