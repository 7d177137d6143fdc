package dataset

import "strings"

// turn is what one side says.
type turn struct {
	human bool
	text  string
}

// hh makes a record of the conversation that people chose, and one of the
// other, each of whose replies is marked as unhelpful.
func hh(o *output, data []byte) (string, error) {
	v, err := texts(data, "chosen", "rejected")
	if err != nil {
		return "", err
	}
	if err := o.side("chosen", v[0], "gpt"); err != nil || o.r.PositiveOnly {
		return "", err
	}
	return "", o.side("rejected", v[1], "gpt_bad")
}

// side makes the record of one conversation.
func (o *output) side(field string, v value, reply string) error {
	text, err := v.must(field)
	if err != nil {
		return err
	}
	turns, err := o.hhTurns(field, text)
	if err != nil {
		return err
	}
	fields := make([]Field, 0, len(turns)+4)
	fields = append(fields, Field{Key: "marker_user", Text: MarkerUser}, Field{Key: "marker_gpt", Text: MarkerGPT}, Field{Key: "marker_gpt_bad", Text: MarkerGPTBad})
	var spec []byte
	for i, text := range turns {
		if i%2 == 0 {
			fields = append(fields, Field{Key: ordinal("human", i), Text: text})
			continue
		}
		key := ordinal(reply, i)
		fields = append(fields, Field{Key: key, Text: text})
		spec = appendReply(appendPrompt(spec, fields[len(fields)-2].Key, "marker_"+reply), key)
	}
	o.add(fields, string(spec))
	return nil
}

// appendPrompt appends what goes before a reply: no loss is taken on it.
func appendPrompt(spec []byte, human, marker string) []byte {
	if len(spec) > 0 {
		spec = append(spec, ',')
	}
	spec = append(spec, "[marker_user+"...)
	spec = append(spec, human...)
	spec = append(spec, '+')
	spec = append(spec, marker...)
	return append(spec, ']')
}

// appendReply appends a reply and its end.
func appendReply(spec []byte, key string) []byte {
	if len(spec) > 0 {
		spec = append(spec, ',')
	}
	spec = append(spec, key...)
	return append(spec, ",<|eos|>"...)
}

// hhTurns splits a conversation at "Human:" and each part at "Assistant:".
// Persons and replies alternate in the result, because a person who has no
// reply is taken for the reply too, and a second reply is lost: the reference
// does so, and both are defects.
func (o *output) hhTurns(field, text string) ([]string, error) {
	before, rest, found := strings.Cut(text, "Human:")
	switch {
	case !found:
		return nil, o.defect(field, "there is no \"Human:\" in the text")
	case strip(before) != "":
		if err := o.defect(field, "text before the first \"Human:\" is lost"); err != nil {
			return nil, err
		}
	}
	turns := make([]string, 0, 8)
	for found {
		var message string
		message, rest, found = strings.Cut(rest, "Human:")
		human, reply, answered := strings.Cut(message, "Assistant:")
		reply, _, more := strings.Cut(reply, "Assistant:")
		human, reply = strip(human), strip(reply)
		if err := o.hhDefects(field, len(turns), reply, answered, more); err != nil {
			return nil, err
		}
		if !answered {
			reply = human
		}
		turns = append(turns, human, reply)
	}
	return turns, nil
}

func (o *output) hhDefects(field string, turns int, reply string, answered, more bool) error {
	switch n := turns/2 + 1; {
	case !answered:
		return o.defect(field, "turn %d of the person has no \"Assistant:\" and would be trained on as a reply", n)
	case more:
		return o.defect(field, "a second reply to turn %d is lost", n)
	case reply == "":
		return o.defect(field, "the reply to turn %d is empty", n)
	}
	return nil
}
