package dataset

// hc3Records makes a record of each answer, first those of people, then those of
// ChatGPT. Source: Koala's blog post. The released pipeline reads HC3 only as a
// part of OIG.
func hc3Records(o *ruleOutput, data []byte) (string, error) {
	v, err := readTree(data)
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
			if err := o.checkReply(name, item.Text); err != nil {
				return "", err
			}
			o.addPair(question, Field{Key: "gpt_1", Text: item.Text})
		}
	}
	return "", nil
}
