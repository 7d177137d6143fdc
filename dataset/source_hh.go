package dataset

import "strings"

// hhRecords makes a record of the conversation that people chose, and one of the
// other. Every reply of the other is marked as unhelpful.
func hhRecords(o *ruleOutput, data []byte) (string, error) {
	v, err := readTexts(data, "chosen", "rejected")
	if err != nil {
		return "", err
	}
	if err := o.addConversation("chosen", v[0], "gpt"); err != nil || o.opts.PositiveOnly {
		return "", err
	}
	return "", o.addConversation("rejected", v[1], "gpt_bad")
}

// addConversation adds the record of one conversation. The names of the replies
// begin with reply.
func (o *ruleOutput) addConversation(field string, v value, reply string) error {
	text, err := v.requireText(field)
	if err != nil {
		return err
	}
	turns, err := o.splitHH(field, text)
	if err != nil {
		return err
	}
	fields := make([]Field, 0, len(turns)+4)
	fields = append(fields, Field{Key: "marker_user", Text: MarkerUser}, Field{Key: "marker_gpt", Text: MarkerGPT}, Field{Key: "marker_gpt_bad", Text: MarkerGPTBad})
	var list []byte
	for i, text := range turns {
		if i%2 == 0 {
			fields = append(fields, Field{Key: ordinal("human", i), Text: text})
			continue
		}
		key := ordinal(reply, i)
		fields = append(fields, Field{Key: key, Text: text})
		list = appendReply(appendPrompt(list, fields[len(fields)-2].Key, "marker_"+reply), key)
	}
	o.add(fields, string(list))
	return nil
}

// splitHH splits a conversation at "Human:" and each part at "Assistant:". User
// turns and replies alternate in the result. As in the reference, a user turn
// without a reply is used for its reply too, and a second reply is lost. Both
// are defects.
func (o *ruleOutput) splitHH(field, text string) ([]string, error) {
	before, rest, found := strings.Cut(text, "Human:")
	switch {
	case !found:
		return nil, o.defect(field, "the text has no \"Human:\"")
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
		if err := o.checkHHTurn(field, len(turns)/2+1, reply, answered, more); err != nil {
			return nil, err
		}
		if !answered {
			reply = human
		}
		turns = append(turns, human, reply)
	}
	return turns, nil
}

// checkHHTurn returns the defect of a user turn, numbered from 1, and its reply.
func (o *ruleOutput) checkHHTurn(field string, number int, reply string, answered, more bool) error {
	switch {
	case !answered:
		return o.defect(field, "user turn %d has no \"Assistant:\" and would be trained on as a reply", number)
	case more:
		return o.defect(field, "a second reply to user turn %d is lost", number)
	case strings.TrimSpace(reply) == "":
		return o.defect(field, "the reply to user turn %d is empty", number)
	}
	return nil
}
