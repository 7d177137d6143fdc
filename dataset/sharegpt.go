package dataset

import (
	"slices"
	"strings"

	"github.com/koala-go/sdk/internal/strictjson"
)

// numbered is a turn of a conversation with its key, as in human_0.
type numbered struct {
	key   string
	index int64
	value value
}

func (n *numbered) human() bool { return strings.HasPrefix(n.key, "human") }

// sharegpt reads a conversation of either shape.
func sharegpt(o *output, data []byte) (string, error) {
	turns, err := o.conversation(data)
	if err != nil {
		return "", err
	}
	fields := make([]Field, 0, len(turns)+3)
	fields = append(fields, Field{Key: "marker_gpt", Text: MarkerGPT}, Field{Key: "marker_user", Text: MarkerUser})
	var spec []byte
	for i := range turns {
		t := &turns[i]
		text, err := t.value.must(t.key)
		switch {
		case err != nil:
			return "", err
		case hasKeyword(text):
			return "keyword", nil
		case t.human():
			spec = appendPrompt(spec, t.key, "marker_gpt")
		default:
			if err := o.reply(t.key, text); err != nil {
				return "", err
			}
			text = strings.ReplaceAll(text, "\nCopy code\n", "\n\n")
			spec = appendReply(spec, t.key)
		}
		fields = append(fields, Field{Key: t.key, Text: text})
	}
	o.add(fields, string(spec))
	return "", nil
}

// conversation reads the turns in the order of their numbers.
func (o *output) conversation(data []byte) ([]numbered, error) {
	j := strictjson.New(data, 0)
	if j.Peek() != '{' {
		if err := j.Skip(); err != nil {
			return nil, err
		}
		return nil, errNoObject
	}
	var turns []numbered
	err := j.Object(func(name string) (err error) {
		switch {
		case name == "conversations":
			turns, err = said(j)
		case strings.HasPrefix(name, "human") || strings.HasPrefix(name, "gpt"):
			t := numbered{key: name}
			err = t.value.read(j)
			turns = append(turns, t)
		default:
			err = j.Skip()
		}
		return err
	})
	if err == nil {
		err = j.End()
	}
	if err != nil {
		return nil, err
	}
	return turns, o.sort(turns)
}

// sort numbers turns by what stands after the last _ of their keys.
func (o *output) sort(turns []numbered) error {
	for i := range turns {
		t := &turns[i]
		n, ok := parseInt(t.key[strings.LastIndexByte(t.key, '_')+1:])
		if !ok {
			return badField(ErrMalformed, t.key, "no number ends the name of the turn")
		}
		t.index = n
	}
	slices.SortStableFunc(turns, func(a, b numbered) int { return int(min(1, max(-1, a.index-b.index))) })
	for i := range turns {
		if i > 0 && turns[i].index == turns[i-1].index {
			if err := o.defect(turns[i].key, "two turns have the number %d", turns[i].index); err != nil {
				return err
			}
		}
	}
	if len(turns) == 0 {
		return o.defect("conversations", "the conversation has no turns")
	}
	return nil
}

// speakers are the names of the two sides in the dumps.
var speakers = map[string]string{"human": "human", "user": "human", "gpt": "gpt", "chatgpt": "gpt", "assistant": "gpt"}

// said reads the turns of a dump, and names them by their places.
func said(j *strictjson.Reader) ([]numbered, error) {
	list, err := j.Value()
	if err != nil {
		return nil, err
	}
	const field = "conversations"
	if list.Kind != '[' {
		return nil, wrongKind(field, list.Kind, "an array")
	}
	var turns []numbered
	for i, item := range list.Items {
		if item.Kind != '{' {
			return nil, wrongKind(field, item.Kind, "an object")
		}
		from, err := textOf(item, "from")
		if err != nil {
			return nil, err
		}
		side, ok := speakers[from]
		if !ok {
			return nil, badField(ErrUnsupported, field, "%.40q is no known speaker", from)
		}
		value := value{kind: kindOf(item.Names["value"])}
		if value.kind == '"' {
			value.text = item.Names["value"].Text
		}
		turns = append(turns, numbered{key: ordinal(side, i), value: value})
	}
	return turns, nil
}

// hasKeyword says whether a conversation is about the model that wrote it:
// whether the text has one of openai, chatgpt, gpt-3, chadgpt, gpt3, chat-gpt,
// open-ai, open ai, in any case. Of the characters beyond ASCII only İ has a
// lower-case form that begins with a letter of these.
func hasKeyword(text string) bool {
	for i := 1; i < len(text)-1; i++ {
		if text[i]|0x20 != 'p' {
			continue
		}
		switch text[i-1] | 0x20 {
		case 'g':
			if text[i+1]|0x20 == 't' && gptKeyword(text[:i-1], text[i+2:]) {
				return true
			}
		case 'o':
			if openKeyword(text[i+1:]) {
				return true
			}
		}
	}
	return false
}

func gptKeyword(before, after string) bool {
	return strings.HasPrefix(after, "3") || strings.HasPrefix(after, "-3") ||
		endsFold(before, "chat") || endsFold(before, "chat-") || endsFold(before, "chad")
}

func openKeyword(after string) bool {
	if len(after) < 4 || !strings.EqualFold(after[:2], "en") {
		return false
	}
	after = after[2:]
	if after[0] == '-' || after[0] == ' ' {
		after = after[1:]
	}
	return len(after) >= 2 && after[0]|0x20 == 'a' && (after[1]|0x20 == 'i' || strings.HasPrefix(after[1:], "İ"))
}

// endsFold says whether a text ends with a word of ASCII letters in any case.
func endsFold(text, word string) bool {
	return len(text) >= len(word) && strings.EqualFold(text[len(text)-len(word):], word)
}

// sharegptEval keeps all turns as they are.
func sharegptEval(o *output, data []byte) (string, error) {
	turns, err := o.conversation(data)
	if err != nil {
		return "", err
	}
	fields := make([]Field, len(turns))
	for i := range turns {
		text, err := turns[i].value.must(turns[i].key)
		if err == nil && !turns[i].human() {
			err = o.reply(turns[i].key, text)
		}
		if err != nil {
			return "", err
		}
		fields[i] = Field{Key: turns[i].key, Text: text}
	}
	o.records = append(o.records, Record{At: *o.at, Fields: fields})
	return "", nil
}

// EvalPair is what a model must answer in an evaluation, and after what.
type EvalPair struct{ Prefix, Text string }

// AppendEval appends the pairs of a record of source ShareGPTEval, as the
// reference's evaluation export has them: the text so far, and each reply with
// </s>.
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

// AppendEvalJSON appends the evaluation export, as Python's json.dump writes
// it: an object of the list of prefixes and the list of texts.
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
