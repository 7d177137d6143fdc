package dataset

import (
	"strings"

	"github.com/koala-go/sdk/internal/strictjson"
)

// The rules of WebGPT and Summary make a record of a better and one of a worse
// answer. This file holds what they share.

// feedbackFields returns the first fields of a record of a rated answer.
func feedbackFields() []Field {
	f := make([]Field, 0, 8)
	return append(f, Field{Key: "marker_user", Text: MarkerUser}, Field{Key: "marker_gpt", Text: MarkerGPT}, Field{Key: "marker_gpt_bad", Text: MarkerGPTBad})
}

// addRated adds the record of one rated answer. Before names the fields
// that precede the answer.
func (o *ruleOutput) addRated(fields []Field, before []string, index int, good bool, answer string) {
	key, marker := ordinal("gpt", index), "marker_gpt"
	if !good {
		key, marker = ordinal("gpt_bad", index), "marker_gpt_bad"
	}
	list := appendPrompt(nil, strings.Join(before, "+"), marker)
	o.add(append(fields, Field{Key: key, Text: answer}), string(appendReply(list, key)))
}

// choiceNumber returns the number of the choice of a phrase within a raw record.
func choiceNumber(good bool) int {
	if good {
		return 0
	}
	return 1
}

// memberOrNone returns the text of a member: see textOrNone.
func (o *ruleOutput) memberOrNone(v *strictjson.Value, name string) (string, error) {
	return o.textOrNone(name, v.Names[name])
}

// textOrNone returns a text. With Compat, null becomes the word None, as in
// Python's str(None).
func (o *ruleOutput) textOrNone(field string, v *strictjson.Value) (string, error) {
	switch {
	case v != nil && v.Kind == '"':
		return v.Text, nil
	case v != nil && v.Kind == 'n':
		return "None", o.defect(field, "the value is null and would become the word None")
	}
	return "", wrongKind(field, kindOf(v), "a text")
}
