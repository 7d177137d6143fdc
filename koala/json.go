package koala

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/prompt"
)

// ParseConversation reads a conversation in JSON: an array, or an object with
// the array as "messages", of
//
//	{"role": "user"|"assistant", "content": "…", "quality": "helpful"|"unhelpful"}
//
// The roles may also be called human and gpt. Only messages of the assistant
// have a quality, which is helpful by default. ParseConversation also checks the
// order of the turns. It is strict: it refuses unknown and duplicate names, lone
// surrogates, and data after the end. The error is a *prompt.TurnError with the
// index of the message and the byte offset in the JSON. Its kind is ErrMalformed
// or one of package prompt.
func ParseConversation(data []byte) (prompt.Conversation, error) {
	r := reader{json: strictjson.New(data, 0), turn: -1}
	var c prompt.Conversation
	err := r.document("messages", func() error { return r.array(func() error { return r.message(&c) }) })
	if err == nil {
		r.turn = -1
		err = r.json.End()
	}
	if err != nil {
		return nil, r.locate(err)
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return c, nil
}

// reader reads JSON and counts the turns.
type reader struct {
	json *strictjson.Reader
	turn int // the index of the turn that is being read, -1 outside of turns
}

// locate returns err as a *prompt.TurnError with the turn and the offset.
func (r *reader) locate(err error) error {
	var turn *prompt.TurnError
	if errors.As(err, &turn) {
		return turn
	}
	e := &prompt.TurnError{Turn: r.turn, Offset: int(r.json.Offset()), Err: err}
	if at, ok := err.(*refusal.Error); ok {
		e.Offset, e.Err = int(at.Offset), at.Err
	}
	return e
}

// document reads an array, or an object whose only member is the array.
func (r *reader) document(name string, read func() error) error {
	if r.json.Peek() != '{' {
		return read()
	}
	start, found := r.json.Offset(), false
	err := r.json.Object(func(member string) error {
		if member != name {
			return r.unknownField(member)
		}
		found = true
		err := read()
		r.turn = -1
		return err
	})
	if err == nil && !found {
		err = refusal.Malformed(start, "", "no %q in the object", name)
	}
	return err
}

// array reads an array of turns.
func (r *reader) array(element func() error) error {
	return r.json.Array(func() error {
		r.turn++
		return element()
	})
}

func (r *reader) unknownField(name string) error {
	return refusal.Malformed(r.json.Offset(), "", "unknown field %.40q", name)
}

// message reads a turn and appends it to c.
func (r *reader) message(c *prompt.Conversation) error {
	var t prompt.Turn
	var role, content, quality bool
	start := r.json.Offset()
	err := r.json.Object(func(name string) (err error) {
		switch name {
		case "role":
			role = true
			t.Role, err = parseName(r.json, prompt.ParseRole)
		case "content":
			content = true
			t.Content, err = r.json.String()
		case "quality":
			quality = true
			t.Quality, err = parseName(r.json, prompt.ParseQuality)
		default:
			err = r.unknownField(name)
		}
		return err
	})
	switch {
	case err != nil:
	case !role, !content:
		err = refusal.Malformed(start, "", "message without a role or without content")
	case quality && t.Role == prompt.User:
		err = refusal.Malformed(start, "", "quality of a user's message")
	}
	*c = append(*c, t)
	return err
}

// parseName reads a string and parses it with parse.
func parseName[T any](j *strictjson.Reader, parse func(string) (T, error)) (x T, err error) {
	at := j.Offset()
	name, err := j.String()
	if err != nil {
		return x, err
	}
	if x, err = parse(name); err != nil {
		err = &refusal.Error{Offset: at, Err: err}
	}
	return x, err
}

// message is a turn in JSON.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
	Quality string `json:"quality,omitempty"`
}

func messages(c prompt.Conversation) []message {
	out := make([]message, len(c))
	for i, t := range c {
		out[i] = message{Role: t.Role.String(), Content: t.Content}
		if t.Quality != prompt.Helpful {
			out[i].Quality = t.Quality.String()
		}
	}
	return out
}

// AppendConversation appends a conversation to dst as the JSON array that
// ParseConversation reads. It writes a quality only if it is not helpful. The
// error is a *prompt.TurnError: that of Check, or one of the kind prompt.ErrUTF8.
func AppendConversation(dst []byte, c prompt.Conversation) ([]byte, error) {
	if err := c.Check(); err != nil {
		return dst, err
	}
	for i, t := range c {
		if replaceInvalid(t.Content) != t.Content {
			return dst, &prompt.TurnError{Turn: i, Offset: -1, Err: prompt.ErrUTF8}
		}
	}
	return appendJSON(dst, messages(c))
}

// appendJSON appends the JSON of a value to dst, without escapes for HTML.
func appendJSON(dst []byte, v any) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return dst, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
