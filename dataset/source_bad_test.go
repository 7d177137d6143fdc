package dataset

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wholeRecords has a good record of each source. The names map the path of a
// member to the field that an error about it names, if that is not its own
// name.
var wholeRecords = map[Source]struct {
	text  string
	names map[string]string
}{
	ShareGPT: {`{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}`,
		map[string]string{"conversations.0.value": "human_0", "conversations.1.value": "gpt_1", "conversations.0": "conversations", "conversations.1": "conversations"}},
	ShareGPTEval: {`{"human_0": "a", "gpt_1": "b"}`, nil},
	HC3:          {`{"question": "q", "human_answers": ["a"], "chatgpt_answers": ["b"]}`, map[string]string{"human_answers.0": "human_answers", "chatgpt_answers.0": "chatgpt_answers"}},
	OIG:          {`{"text": "<human>: a\n<bot>: b"}`, nil},
	OIGBasic:     {`{"text": "<human>: a\n<bot>: b"}`, nil},
	Alpaca:       {`{"instruction": "a", "input": "b", "output": "c"}`, nil},
	HH:           {`{"chosen": "Human: a Assistant: b", "rejected": "Human: a Assistant: c"}`, nil},
	WebGPT: {`{"question": {"full_text": "q"}, "quotes_0": {"title": ["t"], "extract": ["e"]}, "answer_0": "a", "quotes_1": {"title": ["t"], "extract": ["e"]}, "answer_1": "b", "score_0": 1, "score_1": 0}`,
		map[string]string{"quotes_0.title": "quotes_0", "quotes_0.title.0": "quotes_0", "quotes_0.extract": "quotes_0", "quotes_0.extract.0": "quotes_0",
			"quotes_1.title": "quotes_1", "quotes_1.title.0": "quotes_1", "quotes_1.extract": "quotes_1", "quotes_1.extract.0": "quotes_1"}},
	Summary: {`{"info": {"post": "p"}, "summaries": [{"text": "a"}, {"text": "b"}], "choice": 0}`, map[string]string{"summaries.0": "summaries", "summaries.1": "summaries"}},
}

// pathsOf returns the paths of all members and elements below a value.
func pathsOf(v any, path string) (list []string) {
	visit := func(name string, v any) {
		name = strings.TrimPrefix(path+"."+name, ".")
		list = append(append(list, name), pathsOf(v, name)...)
	}
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			visit(name, member)
		}
	case []any:
		for i, item := range v {
			visit(fmt.Sprint(i), item)
		}
	}
	return list
}

// find returns the value at a path.
func find(v any, path []string) any {
	for _, name := range path {
		if m, ok := v.(map[string]any); ok {
			v = m[name]
		} else {
			v = v.([]any)[name[0]-'0']
		}
	}
	return v
}

// changed returns a JSON text with another value at a path, or without the
// member.
func changed(t *testing.T, text, path string, value any, drop bool) string {
	t.Helper()
	var root any
	require.NoError(t, json.Unmarshal([]byte(text), &root))
	names := strings.Split(path, ".")
	last := names[len(names)-1]
	switch m := find(root, names[:len(names)-1]).(type) {
	case map[string]any:
		if m[last] = value; drop {
			delete(m, last)
		}
	case []any:
		m[last[0]-'0'] = value
	}
	out, err := json.Marshal(root)
	require.NoError(t, err)
	return string(out)
}

// TestEveryField leaves out each member of a record of each source, and replaces
// it by a value of every other type. The error must name file, line and field.
func TestEveryField(t *testing.T) {
	values := map[string]any{"null": nil, "bool": true, "number": 1.5, "text": "some", "array": []any{[]any{}}, "object": map[string]any{"x": 1}}
	kind := func(v any) string {
		switch v.(type) {
		case string:
			return "text"
		case float64:
			return "number"
		case []any:
			return "array"
		}
		return "object"
	}
	tried := 0
	for source, whole := range wholeRecords {
		good, err := readLines(t, whole.text, ReadOptions{Source: source})
		require.NoError(t, err, source)
		require.NotEmpty(t, good)
		var root any
		require.NoError(t, json.Unmarshal([]byte(whole.text), &root))
		for _, path := range pathsOf(root, "") {
			names := strings.Split(path, ".")
			field := names[len(names)-1]
			if name := whole.names[path]; name != "" {
				field = name
			}
			for name, value := range values {
				if name == kind(find(root, names)) {
					continue
				}
				tried++
				refused(t, source, changed(t, whole.text, path, value, false), field, path+" as "+name)
			}
			if _, member := find(root, names[:len(names)-1]).(map[string]any); member && source != ShareGPTEval { // no turn is required there
				refused(t, source, changed(t, whole.text, path, nil, true), field, path+" left out")
			}
		}
	}
	require.Greater(t, tried, 150)
}

// refused checks that a record is refused, with the position and the field.
func refused(t *testing.T, source Source, line, field, what string) {
	t.Helper()
	_, err := readLines(t, "\n"+line, ReadOptions{Source: source})
	var e *Error
	require.ErrorAs(t, err, &e, "%s: %s: %s", source, what, line)
	require.Equal(t, "input", e.File)
	require.EqualValues(t, 2, e.Line)
	require.Equal(t, field, e.Field, "%s: %s: %v", source, what, err)
}
