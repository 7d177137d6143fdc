package dataset

import "strings"

// oigTurn is a turn of a conversation in one text.
type oigTurn struct {
	human bool
	text  string
}

// oigRecord splits a text at <human>: and <bot>:. The turns may have any order,
// but their number must be even.
func oigRecord(o *ruleOutput, data []byte) (string, error) {
	v, err := readTexts(data, "text")
	if err != nil {
		return "", err
	}
	text, err := v[0].requireText("text")
	if err != nil {
		return "", err
	}
	turns := splitOIG(text)
	switch {
	case len(turns)%2 != 0:
		return "", badField(ErrMalformed, "text", "the number of turns is odd: %d", len(turns))
	case len(turns) == 0:
		err = o.defect("text", "the text has neither <human>: nor <bot>:")
	}
	if err != nil {
		return "", err
	}
	fields := make([]Field, 0, len(turns)+3)
	fields = append(fields, Field{Key: "marker_user", Text: MarkerUser}, Field{Key: "marker_gpt", Text: MarkerGPT})
	fields, list, err := o.appendTurns(fields, turns, "text")
	if err == nil {
		o.add(fields, list)
	}
	return "", err
}

// splitOIG splits a text at its markers. Text before the first one is lost, as
// in the reference.
func splitOIG(text string) (turns []oigTurn) {
	const human, bot = "<human>:", "<bot>:"
	for {
		h, b := strings.Index(text, human), strings.Index(text, bot)
		mark, isHuman := h, true
		if h < 0 || b >= 0 && b < h {
			mark, isHuman = b, false
		}
		if n := len(turns); n > 0 {
			end := mark
			if mark < 0 {
				end = len(text)
			}
			turns[n-1].text = strip(text[:end])
		}
		if mark < 0 {
			return turns
		}
		turns = append(turns, oigTurn{human: isHuman})
		if text = text[mark+len(bot):]; isHuman {
			text = text[len(human)-len(bot):]
		}
	}
}

// appendTurns appends a numbered field for each turn, and returns the list of
// fields too.
func (o *ruleOutput) appendTurns(fields []Field, turns []oigTurn, field string) ([]Field, string, error) {
	var list []byte
	for i, t := range turns {
		if t.human {
			key := ordinal("human", i)
			fields = append(fields, Field{Key: key, Text: t.text})
			list = appendPrompt(list, key, "marker_gpt")
			continue
		}
		if err := o.checkReply(field, t.text); err != nil {
			return nil, "", err
		}
		key := ordinal("gpt", i)
		fields = append(fields, Field{Key: key, Text: t.text})
		list = appendReply(list, key)
	}
	return fields, string(list), nil
}

// oigBasicRecord makes a record of a text with one question and one answer.
func oigBasicRecord(o *ruleOutput, data []byte) (string, error) {
	v, err := readTexts(data, "text")
	if err != nil {
		return "", err
	}
	text, err := v[0].requireText("text")
	if err != nil {
		return "", err
	}
	human, gpt, found := strings.Cut(text, "<bot>: ")
	if n := strings.Count(gpt, "<bot>: "); !found || n > 0 {
		return "", badField(ErrMalformed, "text", "the text has \"<bot>: \" %d times, want once", strings.Count(text, "<bot>: "))
	}
	human, ok := strings.CutPrefix(strip(human), "<human>: ")
	if !ok {
		return "", badField(ErrMalformed, "text", "the text does not begin with \"<human>: \" and a question")
	}
	gpt = strip(gpt)
	if err := o.checkReply("text", gpt); err != nil {
		return "", err
	}
	o.add([]Field{{Key: "human_0", Text: human}, {Key: "gpt_1", Text: gpt}, {Key: "marker_user", Text: MarkerUser}, {Key: "marker_gpt", Text: MarkerGPT}}, pairList)
	return "", nil
}
