package dataset

import "strings"

// EvalPair is a question of an evaluation and its expected answer.
type EvalPair struct {
	Prefix string // conversation up to the reply
	Text   string // reply, followed by </s>
}

// AppendEval appends a pair for each reply of a record of source ShareGPTEval,
// as the evaluation export of the reference has them.
func AppendEval(dst []EvalPair, r *Record) []EvalPair {
	prefix := "BEGINNING OF CONVERSATION:"
	for _, f := range r.Fields {
		if strings.HasPrefix(f.Key, "human") {
			prefix += " " + MarkerUser + " " + f.Text + " " + MarkerGPT
			continue
		}
		text := f.Text + "</s>"
		dst = append(dst, EvalPair{prefix, text})
		prefix += " " + text
	}
	return dst
}

// AppendEvalJSON appends the evaluation export as Python's json.dump writes it:
// an object with the list of prefixes and the list of texts.
func AppendEvalJSON(dst []byte, pairs []EvalPair) []byte {
	dst = append(dst, `{"prefix": [`...)
	for i := range pairs {
		dst = appendItem(dst, i, pairs[i].Prefix)
	}
	dst = append(dst, `], "text": [`...)
	for i := range pairs {
		dst = appendItem(dst, i, pairs[i].Text)
	}
	return append(dst, "]}"...)
}

func appendItem(dst []byte, i int, text string) []byte {
	if i > 0 {
		dst = append(dst, ", "...)
	}
	return appendString(dst, text)
}
