package dataset

import (
	"strconv"
	"strings"

	"github.com/koala-go/sdk/internal/strictjson"
)

// The markers before turns. Source: create_hf_data_v2.py.
const (
	MarkerUser   = "USER:"                // before a user turn
	MarkerGPT    = "GPT:"                 // before a reply
	MarkerGPTBad = "An Unhelpful Answer:" // before a reply that people liked less
)

// rule turns a raw record into training records, or returns the reason for
// which the record is left out.
type rule func(o *ruleOutput, data []byte) (drop string, err error)

// ruleOutput collects the records that a rule makes of a raw record.
type ruleOutput struct {
	opts    *ReadOptions
	at      *Position
	raw     []byte
	records []Record
}

// add adds a record. The list says how its fields are tokenized.
func (o *ruleOutput) add(fields []Field, list string) {
	o.records = append(o.records, Record{At: *o.at, Fields: append(fields, Field{Key: "fields", Text: list})})
}

// pairList is the list of fields of a question and its answer.
const pairList = "[marker_user+human_0+marker_gpt],gpt_1,<|eos|>"

// addPair adds the record of a question and an answer.
func (o *ruleOutput) addPair(human string, reply Field) {
	o.add([]Field{{Key: "marker_gpt", Text: MarkerGPT}, {Key: "marker_user", Text: MarkerUser}, {Key: "human_0", Text: human}, reply}, pairList)
}

// defect returns an error of kind ErrDefect, or nil with Compat.
func (o *ruleOutput) defect(field, format string, args ...any) error {
	if o.opts.Compat {
		return nil
	}
	return badField(ErrDefect, field, format, args...)
}

// checkReply refuses a reply without a visible character.
func (o *ruleOutput) checkReply(field, text string) error {
	if strings.TrimSpace(text) == "" {
		return o.defect(field, "the reply is empty")
	}
	return nil
}

// phrase chooses one of the phrases of a task by the seed, the record and the
// number of the choice in the record. The choice does not depend on the position
// of the record, unlike that of the reference.
func (o *ruleOutput) phrase(list []string, choice int) string {
	if o.opts.Phrase > 0 {
		return list[min(o.opts.Phrase, len(list))-1]
	}
	return list[hash64(o.opts.Seed+uint64(choice)<<32, o.raw)%uint64(len(list))]
}

// trainingRecord is the rule of training records: they stay as they are.
func trainingRecord(o *ruleOutput, data []byte) (string, error) {
	fields, err := parseRecord(data)
	if err != nil {
		return "", err
	}
	if o.at.Group > 0 { // the JSON of a Parquet row is not a line of the file
		data = nil
	}
	o.records = append(o.records, Record{At: *o.at, Fields: fields, Line: data})
	return "", nil
}

// ordinal returns a name with a number, such as gpt_1.
func ordinal(name string, i int) string { return name + "_" + strconv.Itoa(i) }

// appendPrompt appends the item of a list of fields that precedes a reply.
// The brackets exclude it from the loss.
func appendPrompt(list []byte, human, marker string) []byte {
	if len(list) > 0 {
		list = append(list, ',')
	}
	list = append(list, "[marker_user+"...)
	list = append(list, human...)
	list = append(list, '+')
	list = append(list, marker...)
	return append(list, ']')
}

// appendReply appends the items of a reply and its end-of-sequence token.
func appendReply(list []byte, key string) []byte {
	if len(list) > 0 {
		list = append(list, ',')
	}
	list = append(list, key...)
	return append(list, ",<|eos|>"...)
}

// readTexts reads some members of an object. Members that are missing have kind
// 0 in the result.
func readTexts(data []byte, names ...string) ([]value, error) {
	j := strictjson.New(data, 0)
	if j.Peek() != '{' {
		if err := j.Skip(); err != nil {
			return nil, err
		}
		return nil, errNotObject
	}
	list := make([]value, len(names))
	err := j.Object(func(name string) error {
		for i, n := range names {
			if n == name {
				return list[i].read(j)
			}
		}
		return j.SkipPython() // the reference reads files of Python's json module
	})
	if err == nil {
		err = j.End()
	}
	return list, err
}

// value is a JSON value. Only the content of a text is kept.
type value struct {
	kind byte // first byte of the value; 0 if it is missing
	text string
}

func (v *value) read(j *strictjson.Reader) (err error) {
	if v.kind = j.Peek(); v.kind == '"' {
		v.text, err = j.String()
		return err
	}
	return j.Skip()
}

// requireText returns the text, or an error if the value is not a text.
func (v *value) requireText(field string) (string, error) {
	if v.kind == '"' {
		return v.text, nil
	}
	return "", wrongKind(field, v.kind, "a text")
}

// readTree reads all of a raw record, which must be an object.
func readTree(data []byte) (*strictjson.Value, error) {
	j := strictjson.New(data, 0)
	v, err := j.Value()
	if err == nil {
		err = j.End()
	}
	if err == nil && v.Kind != '{' {
		err = errNotObject
	}
	return v, err
}

// textOf returns the text of a member.
func textOf(v *strictjson.Value, name string) (string, error) {
	if m := v.Names[name]; m == nil || m.Kind != '"' {
		return "", wrongKind(name, kindOf(m), "a text")
	}
	return v.Names[name].Text, nil
}

// kindOf returns the kind of a value, 0 for nil.
func kindOf(v *strictjson.Value) byte {
	if v == nil {
		return 0
	}
	return v.Kind
}

// wrongKind returns the error for a value of the wrong kind: its first byte, or
// 0 if it is missing.
func wrongKind(field string, kind byte, want string) error {
	got := "a number"
	switch kind {
	case 0:
		return badField(ErrMalformed, field, "the field is missing")
	case 'n':
		got = "null"
	case 't', 'f':
		got = "true or false"
	case '[':
		got = "an array"
	case '{':
		got = "an object"
	case '"':
		got = "a text"
	}
	return badField(ErrMalformed, field, "the value is %s, want %s", got, want)
}
