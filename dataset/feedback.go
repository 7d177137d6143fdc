package dataset

import (
	"strconv"
	"strings"

	"github.com/koala-go/sdk/internal/strictjson"
)

// webgptPhrases tell the model to use the quotes. Source:
// create_hf_data_v2.py.
var webgptPhrases = []string{
	"Quote the following sources in your answer: ",
	"Use the following sources in your answer: ",
	"You may use the following sources in your answer: ",
	"You may quote the following sources in your answer: ",
	"The following sources may be helpful: ",
}

// summaryPhrases ask for a summary. Source: the same.
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

// feedbackFields begin the records of rated answers.
func feedbackFields() []Field {
	f := make([]Field, 0, 8)
	return append(f, Field{Key: "marker_user", Text: MarkerUser}, Field{Key: "marker_gpt", Text: MarkerGPT}, Field{Key: "marker_gpt_bad", Text: MarkerGPTBad})
}

// rated makes the record of one answer.
func (o *output) rated(fields []Field, prompt []string, index int, good bool, answer string) {
	key, marker := ordinal("gpt", index), "marker_gpt"
	if !good {
		key, marker = ordinal("gpt_bad", index), "marker_gpt_bad"
	}
	spec := appendPrompt(nil, strings.Join(prompt, "+"), marker)
	o.add(append(fields, Field{Key: key, Text: answer}), string(appendReply(spec, key)))
}

// webgpt makes a record of the answer with the higher score and one of the
// other.
func webgpt(o *output, data []byte) (string, error) {
	v, err := tree(data)
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
			return "", badField(ErrMalformed, name, "%.40s is out of range", m.Text)
		}
	}
	if score[0] == score[1] {
		return "tie", nil
	}
	best := 0
	if score[1] > score[0] {
		best = 1
	}
	if err := o.answer(v, best, true); err != nil || o.r.PositiveOnly {
		return "", err
	}
	return "", o.answer(v, 1-best, false)
}

// answer makes the record of one answer, with its quotes.
func (o *output) answer(v *strictjson.Value, i int, good bool) error {
	question := v.Get("question")
	if question == nil || question.Kind != '{' {
		return wrongKind("question", kindOf(v.Names["question"]), "an object")
	}
	human, err := o.orNone(question, "full_text")
	if err != nil {
		return err
	}
	fields := append(feedbackFields(), Field{Key: ordinal("human", i), Text: human})
	prompt := []string{ordinal("human", i)}
	quotes, err := o.quotes(v, i, good)
	if err != nil {
		return err
	}
	if quotes != "" {
		key := ordinal("quote", i)
		fields = append(fields, Field{Key: key, Text: quotes})
		prompt = append(prompt, key)
	}
	name := ordinal("answer", i)
	answer, err := o.orNone(v, name)
	if err == nil {
		err = o.reply(name, answer)
	}
	if err == nil {
		o.rated(fields, prompt, i, good, answer)
	}
	return err
}

// quotes is the phrase and the quotes, "" when there are none.
func (o *output) quotes(v *strictjson.Value, i int, good bool) (string, error) {
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
		if err := o.defect(name, "%d titles and %d extracts: what has no partner is lost", len(titles.Items), len(extracts.Items)); err != nil {
			return "", err
		}
	}
	if len(titles.Items) == 0 {
		return "", nil
	}
	text := []byte(o.phrase(webgptPhrases, choicePlace(good)))
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

// choicePlace numbers the choices within a record.
func choicePlace(good bool) int {
	if good {
		return 0
	}
	return 1
}

// orNone is the text of a member. In compat mode null is Python's None.
func (o *output) orNone(v *strictjson.Value, name string) (string, error) {
	return o.textOrNone(name, v.Names[name])
}

func (o *output) textOrNone(field string, v *strictjson.Value) (string, error) {
	switch {
	case v != nil && v.Kind == '"':
		return v.Text, nil
	case v != nil && v.Kind == 'n':
		return "None", o.defect(field, "null stands where a text is due: it would become the word None")
	}
	return "", wrongKind(field, kindOf(v), "a text")
}

// summary makes a record of the summary that was chosen and one of the other.
func summary(o *output, data []byte) (string, error) {
	v, err := tree(data)
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
	if len(list.Items) != 2 && !o.r.Compat {
		return "", badField(ErrMalformed, "summaries", "%d summaries where two are due", len(list.Items))
	}
	if err := o.summarized(v, list.Items, best, true); err != nil || o.r.PositiveOnly {
		return "", err
	}
	return "", o.summarized(v, list.Items, 1-best, false)
}

// choice says which summary was chosen. In compat mode it may be all that
// Python's int takes.
func (o *output) choice(v *strictjson.Value) (int, error) {
	kind := kindOf(v)
	ok := kind == '0'
	var n int64
	switch {
	case ok:
		n, ok = parseInt(v.Text)
		if f, err := strconv.ParseFloat(v.Text, 64); !ok && o.r.Compat && err == nil && f > -1e9 && f < 1e9 {
			n, ok = int64(f), true
		}
	case o.r.Compat && kind == '"':
		n, ok = parseInt(v.Text)
	case o.r.Compat && (kind == 't' || kind == 'f'):
		ok = true
		if kind == 't' {
			n = 1
		}
	}
	if !ok {
		return 0, wrongKind("choice", kind, "a whole number")
	}
	if n < -1<<30 || n > 1<<30 || !o.r.Compat && n != 0 && n != 1 {
		return 0, badField(ErrMalformed, "choice", "choice %d is neither 0 nor 1", n)
	}
	return int(n), nil
}

// summarized makes the record of one summary.
func (o *output) summarized(v *strictjson.Value, list []*strictjson.Value, index int, good bool) error {
	place := index
	if place < 0 { // as Python counts
		place += len(list)
	}
	if place < 0 || place >= len(list) {
		return badField(ErrMalformed, "choice", "summary %d is not among the %d", index, len(list))
	}
	info := v.Names["info"]
	if info == nil || info.Kind != '{' {
		return wrongKind("info", kindOf(info), "an object")
	}
	if list[place].Kind != '{' {
		return wrongKind("summaries", list[place].Kind, "an object")
	}
	post, err := o.orNone(info, "post")
	if err != nil {
		return err
	}
	answer, err := textOf(list[place], "text")
	if err != nil {
		return err
	}
	answer = strings.TrimLeftFunc(answer, isSpace)
	if err := o.reply("summaries", answer); err != nil {
		return err
	}
	key := ordinal("human", index)
	fields := append(feedbackFields(), Field{Key: key, Text: o.phrase(summaryPhrases, choicePlace(good)) + post})
	o.rated(fields, []string{key}, index, good, answer)
	return nil
}
