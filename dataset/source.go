package dataset

import (
	"strconv"

	"github.com/koala-go/sdk/internal/strictjson"
)

// Source is a public data set, in the form in which it was released, or one
// of the forms that people pass on.
type Source string

// The sources. The zero value stands for training records as they are written
// here and by the reference.
const (
	// ShareGPT has records of human_0, gpt_1, …, in {"train":[…],"eval":[…]}
	// (chat_data_v3.json), or the dumps' {"id","conversations":[{"from","value"}]}.
	ShareGPT Source = "sharegpt"
	// ShareGPTEval is the same for an evaluation: turns are kept as they are.
	ShareGPTEval Source = "sharegpt-eval"
	// HC3 has a question, human_answers[] and chatgpt_answers[]; each answer
	// makes a record.
	HC3 Source = "hc3"
	// OIG is the unified_*.jsonl files but for one: turns after <human>: and
	// <bot>: in a text.
	OIG Source = "oig"
	// OIGBasic is unified_basic.jsonl, which has a rule of its own.
	OIGBasic Source = "oig-basic"
	// Alpaca has instruction, input and output.
	Alpaca Source = "alpaca"
	// HH is Anthropic's: chosen and rejected conversations.
	HH Source = "hh"
	// WebGPT has two answers with quotes and scores; ties are dropped.
	WebGPT Source = "webgpt"
	// Summary is OpenAI's summarize_from_feedback: a post and two summaries,
	// of which one was chosen.
	Summary Source = "summary"
)

// Sources lists the sources' names.
func Sources() []Source {
	return []Source{ShareGPT, ShareGPTEval, HC3, OIG, OIGBasic, Alpaca, HH, WebGPT, Summary}
}

// The markers that stand before turns. Source: create_hf_data_v2.py.
const (
	MarkerUser   = "USER:"
	MarkerGPT    = "GPT:"
	MarkerGPTBad = "An Unhelpful Answer:"
)

// rule makes training records of a raw record, or gives the reason for which
// there is none.
type rule func(o *output, data []byte) (drop string, err error)

var rules = map[Source]rule{
	"": trainingRecord, ShareGPT: sharegpt, ShareGPTEval: sharegptEval, HC3: hc3, OIG: oig, OIGBasic: oigBasic,
	Alpaca: alpaca, HH: hh, WebGPT: webgpt, Summary: summary,
}

// output takes the records that a rule makes.
type output struct {
	r       *ReadOptions
	at      *Position
	raw     []byte
	records []Record
}

// add ends a record: its fields, and how they go together.
func (o *output) add(fields []Field, spec string) {
	o.records = append(o.records, Record{At: *o.at, Fields: append(fields, Field{Key: "fields", Text: spec})})
}

// defect is an error unless the reference's behaviour is asked for.
func (o *output) defect(field, format string, args ...any) error {
	if o.r.Compat {
		return nil
	}
	return badField(ErrDefect, field, format, args...)
}

// phrase chooses one of a task's phrases: by the seed, the record and the
// place of the choice in it.
func (o *output) phrase(list []string, place int) string {
	if o.r.Phrase > 0 {
		return list[min(o.r.Phrase, len(list))-1]
	}
	return list[hash64(o.r.Seed+uint64(place)<<32, o.raw)%uint64(len(list))]
}

// trainingRecord reads what was written before.
func trainingRecord(o *output, data []byte) (string, error) {
	fields, err := parseRecord(data)
	if err != nil {
		return "", err
	}
	if o.at.Group > 0 { // a row of a table was no line
		data = nil
	}
	o.records = append(o.records, Record{At: *o.at, Fields: fields, Line: data})
	return "", nil
}

// ordinal is a name with a number, as in gpt_1.
func ordinal(name string, i int) string { return name + "_" + strconv.Itoa(i) }

// reply refuses an empty reply.
func (o *output) reply(field, text string) error {
	if text == "" {
		return o.defect(field, "the reply is empty")
	}
	return nil
}

// texts reads the values of some names of an object, which must be texts. In
// the result ok is false for what is missing.
func texts(data []byte, names ...string) ([]value, error) {
	j := strictjson.New(data, 0)
	if j.Peek() != '{' {
		if err := j.Skip(); err != nil {
			return nil, err
		}
		return nil, errNoObject
	}
	list := make([]value, len(names))
	err := j.Object(func(name string) error {
		for i, n := range names {
			if n == name {
				return list[i].read(j)
			}
		}
		return j.Skip()
	})
	if err == nil {
		err = j.End()
	}
	return list, err
}

// value is a text, or the first byte of what stands in its place; 0 when
// nothing does.
type value struct {
	kind byte
	text string
}

func (v *value) read(j *strictjson.Reader) (err error) {
	if v.kind = j.Peek(); v.kind == '"' {
		v.text, err = j.String()
		return err
	}
	return j.Skip()
}

// must is the text of a field, or what is wrong with it.
func (v *value) must(field string) (string, error) {
	if v.kind == '"' {
		return v.text, nil
	}
	return "", wrongKind(field, v.kind, "a text")
}

// wrongKind says what stands where something else is due.
func wrongKind(field string, kind byte, due string) error {
	is := "a number stands"
	switch kind {
	case 0:
		return badField(ErrMalformed, field, "the field is missing")
	case 'n':
		is = "null stands"
	case 't', 'f':
		is = "true or false stands"
	case '[':
		is = "an array stands"
	case '{':
		is = "an object stands"
	case '"':
		is = "a text stands"
	}
	return badField(ErrMalformed, field, "%s where %s is due", is, due)
}
