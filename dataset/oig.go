package dataset

import "strings"

// oig splits a text at <human>: and <bot>:, in any order but in an even
// number.
func oig(o *output, data []byte) (string, error) {
	v, err := texts(data, "text")
	if err != nil {
		return "", err
	}
	text, err := v[0].must("text")
	if err != nil {
		return "", err
	}
	turns := oigTurns(text)
	switch {
	case len(turns)%2 != 0:
		return "", badField(ErrMalformed, "text", "an odd number of turns, %d", len(turns))
	case len(turns) == 0:
		err = o.defect("text", "there is neither <human>: nor <bot>: in the text")
	}
	if err != nil {
		return "", err
	}
	fields := make([]Field, 0, len(turns)+3)
	fields = append(fields, Field{Key: "marker_user", Text: MarkerUser}, Field{Key: "marker_gpt", Text: MarkerGPT})
	fields, spec, err := o.appendTurns(fields, turns, "text")
	if err == nil {
		o.add(fields, spec)
	}
	return "", err
}

// oigTurns splits a text at its markers; what stands before the first is lost.
func oigTurns(text string) (turns []turn) {
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
		turns = append(turns, turn{human: isHuman})
		if text = text[mark+len(bot):]; isHuman {
			text = text[len(human)-len(bot):]
		}
	}
}

// appendTurns appends numbered turns and says how they go together.
func (o *output) appendTurns(fields []Field, turns []turn, field string) ([]Field, string, error) {
	var spec []byte
	for i, t := range turns {
		if t.human {
			key := ordinal("human", i)
			fields = append(fields, Field{Key: key, Text: t.text})
			spec = appendPrompt(spec, key, "marker_gpt")
			continue
		}
		if err := o.reply(field, t.text); err != nil {
			return nil, "", err
		}
		key := ordinal("gpt", i)
		fields = append(fields, Field{Key: key, Text: t.text})
		spec = appendReply(spec, key)
	}
	return fields, string(spec), nil
}

// oigBasic reads a text of one question and one answer.
func oigBasic(o *output, data []byte) (string, error) {
	v, err := texts(data, "text")
	if err != nil {
		return "", err
	}
	text, err := v[0].must("text")
	if err != nil {
		return "", err
	}
	human, gpt, found := strings.Cut(text, "<bot>: ")
	if n := strings.Count(gpt, "<bot>: "); !found || n > 0 {
		return "", badField(ErrMalformed, "text", "%d times \"<bot>: \" where one is due", strings.Count(text, "<bot>: "))
	}
	human, ok := strings.CutPrefix(strip(human), "<human>: ")
	if !ok {
		return "", badField(ErrMalformed, "text", "the text does not begin with \"<human>: \" and a question")
	}
	gpt = strip(gpt)
	if err := o.reply("text", gpt); err != nil {
		return "", err
	}
	o.add([]Field{{Key: "human_0", Text: human}, {Key: "gpt_1", Text: gpt}, {Key: "marker_user", Text: MarkerUser}, {Key: "marker_gpt", Text: MarkerGPT}}, pairSpec)
	return "", nil
}
