package dataset

import (
	"github.com/koala-go/sdk/internal/strictjson"
)

// pairSpec is how a question and its answer go together.
const pairSpec = "[marker_user+human_0+marker_gpt],gpt_1,<|eos|>"

// pair makes the record of a question and an answer.
func (o *output) pair(human string, reply Field) {
	o.add([]Field{{Key: "marker_gpt", Text: MarkerGPT}, {Key: "marker_user", Text: MarkerUser}, {Key: "human_0", Text: human}, reply}, pairSpec)
}

// alpaca makes a record of an instruction, its input after a space if there
// is one, and the output.
func alpaca(o *output, data []byte) (string, error) {
	v, err := texts(data, "instruction", "input", "output")
	if err != nil {
		return "", err
	}
	human, err := v[0].must("instruction")
	if err != nil {
		return "", err
	}
	input, err := v[1].must("input")
	if err != nil {
		return "", err
	}
	if input != "" {
		human += " " + input
	}
	reply := Field{Key: "gpt_1", Text: v[2].text}
	switch {
	case o.r.Compat && v[2].kind == 'n': // json.dumps writes None as null
		reply.Text, reply.JSON = "null", true
	case v[2].kind != '"':
		_, err = v[2].must("output")
	default:
		err = o.reply("output", reply.Text)
	}
	if err == nil {
		o.pair(human, reply)
	}
	return "", err
}

// hc3 makes a record of each answer, first the persons' and then ChatGPT's.
// Source: Koala's blog; the released pipeline reads only OIG's copy.
func hc3(o *output, data []byte) (string, error) {
	v, err := tree(data)
	if err != nil {
		return "", err
	}
	question, err := textOf(v, "question")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"human_answers", "chatgpt_answers"} {
		list := v.Names[name]
		if list == nil || list.Kind != '[' {
			return "", wrongKind(name, kindOf(list), "an array")
		}
		for _, item := range list.Items {
			if item.Kind != '"' {
				return "", wrongKind(name, item.Kind, "a text")
			}
			if err := o.reply(name, item.Text); err != nil {
				return "", err
			}
			o.pair(question, Field{Key: "gpt_1", Text: item.Text})
		}
	}
	return "", nil
}

// tree reads all of a raw record.
func tree(data []byte) (*strictjson.Value, error) {
	j := strictjson.New(data, 0)
	v, err := j.Value()
	if err == nil {
		err = j.End()
	}
	if err == nil && v.Kind != '{' {
		err = errNoObject
	}
	return v, err
}

// textOf is the text of a member.
func textOf(v *strictjson.Value, name string) (string, error) {
	if m := v.Names[name]; m == nil || m.Kind != '"' {
		return "", wrongKind(name, kindOf(m), "a text")
	}
	return v.Names[name].Text, nil
}

// kindOf is 0 for nil.
func kindOf(v *strictjson.Value) byte {
	if v == nil {
		return 0
	}
	return v.Kind
}
