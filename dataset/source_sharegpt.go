package dataset

import (
	"slices"
	"strings"

	"github.com/koala-go/sdk/internal/strictjson"
)

// shareGPTTurn is a turn of a conversation. The key is a name with a number,
// such as human_0.
type shareGPTTurn struct {
	key   string
	index int64
	value value
}

func (t *shareGPTTurn) human() bool { return strings.HasPrefix(t.key, "human") }

// shareGPTRecord makes a record of a conversation, unless one of its turns has a
// keyword.
func shareGPTRecord(o *ruleOutput, data []byte) (string, error) {
	turns, err := o.readConversation(data)
	if err != nil {
		return "", err
	}
	fields := make([]Field, 0, len(turns)+3)
	fields = append(fields, Field{Key: "marker_gpt", Text: MarkerGPT}, Field{Key: "marker_user", Text: MarkerUser})
	var list []byte
	for i := range turns {
		t := &turns[i]
		text, err := t.value.requireText(t.key)
		switch {
		case err != nil:
			return "", err
		case hasKeyword(text):
			return "keyword", nil
		case t.human():
			list = appendPrompt(list, t.key, "marker_gpt")
		default:
			if err := o.checkReply(t.key, text); err != nil {
				return "", err
			}
			// The web page's button of that name ended up in the dumps.
			text = strings.ReplaceAll(text, "\nCopy code\n", "\n\n")
			list = appendReply(list, t.key)
		}
		fields = append(fields, Field{Key: t.key, Text: text})
	}
	if err := o.checkOrder(turns); err != nil {
		return "", err
	}
	o.add(fields, string(list))
	return "", nil
}

// readConversation reads the turns of either shape and sorts them.
func (o *ruleOutput) readConversation(data []byte) ([]shareGPTTurn, error) {
	j := strictjson.New(data, 0)
	if j.Peek() != '{' {
		if err := j.Skip(); err != nil {
			return nil, err
		}
		return nil, errNotObject
	}
	var turns []shareGPTTurn
	err := j.Object(func(name string) (err error) {
		switch {
		case name == "conversations":
			turns, err = readDumpTurns(j)
		case strings.HasPrefix(name, "human") || strings.HasPrefix(name, "gpt"):
			t := shareGPTTurn{key: name}
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
	return turns, o.sortTurns(turns)
}

// sortTurns sorts turns by the numbers after the last underscore of their keys.
// Turns with equal numbers keep their order, as in the reference.
func (o *ruleOutput) sortTurns(turns []shareGPTTurn) error {
	for i := range turns {
		t := &turns[i]
		n, ok := parseInt(t.key[strings.LastIndexByte(t.key, '_')+1:])
		if !ok {
			return badField(ErrMalformed, t.key, "the name of the turn does not end in a number")
		}
		t.index = n
	}
	slices.SortStableFunc(turns, func(a, b shareGPTTurn) int { return int(min(1, max(-1, a.index-b.index))) })
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

// checkOrder refuses a conversation whose turns are not queries and replies in
// turn. The reference trains on such conversations: a reply without a query has
// the header alone before it, and a query without a reply teaches nothing.
func (o *ruleOutput) checkOrder(turns []shareGPTTurn) error {
	for i := range turns {
		t, what := &turns[i], ""
		switch {
		case i == 0 && !t.human():
			what = "the conversation begins with a reply"
		case i > 0 && t.human() && turns[i-1].human():
			what = "two queries follow each other"
		case i > 0 && !t.human() && !turns[i-1].human():
			what = "two replies follow each other"
		case i == len(turns)-1 && t.human():
			what = "the last query has no reply"
		}
		if what == "" {
			continue
		}
		if err := o.defect(t.key, "%s", what); err != nil {
			return err
		}
	}
	return nil
}

// speakers maps the names of speakers in the dumps to the beginnings of keys.
var speakers = map[string]string{"human": "human", "user": "human", "gpt": "gpt", "chatgpt": "gpt", "assistant": "gpt"}

// readDumpTurns reads the list of turns of a dump and numbers them from 0.
func readDumpTurns(j *strictjson.Reader) ([]shareGPTTurn, error) {
	list, err := j.Value()
	if err != nil {
		return nil, err
	}
	const field = "conversations"
	if list.Kind != '[' {
		return nil, wrongKind(field, list.Kind, "an array")
	}
	var turns []shareGPTTurn
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
			return nil, badField(ErrUnsupported, field, "unknown speaker %.40q", from)
		}
		v := value{kind: kindOf(item.Names["value"])}
		if v.kind == '"' {
			v.text = item.Names["value"].Text
		}
		turns = append(turns, shareGPTTurn{key: ordinal(side, i), value: v})
	}
	return turns, nil
}

// shareGPTEvalRecord makes a record for an evaluation: turns stay as they are.
func shareGPTEvalRecord(o *ruleOutput, data []byte) (string, error) {
	turns, err := o.readConversation(data)
	if err != nil {
		return "", err
	}
	fields := make([]Field, len(turns))
	for i := range turns {
		text, err := turns[i].value.requireText(turns[i].key)
		if err == nil && !turns[i].human() {
			err = o.checkReply(turns[i].key, text)
		}
		if err != nil {
			return "", err
		}
		fields[i] = Field{Key: turns[i].key, Text: text}
	}
	o.records = append(o.records, Record{At: *o.at, Fields: fields})
	return "", nil
}
