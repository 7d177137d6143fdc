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
// where human and gpt are other names of the roles, and quality is of an
// assistant's message, helpful when it is absent. The order of turns is
// checked too. It is strict: no unknown or duplicate names, no lone surrogates,
// nothing behind the end. The error is a *prompt.TurnError with the message and
// the byte of the JSON; its kind is ErrMalformed or one of prompt's.
func ParseConversation(data []byte) (prompt.Conversation, error) {
	r := reader{j: strictjson.New(data, 0), turn: -1}
	var c prompt.Conversation
	err := r.document("messages", func() error { return r.array(func() error { return r.message(&c) }) })
	if err == nil {
		r.turn = -1
		err = r.j.End()
	}
	if err != nil {
		return nil, r.located(err)
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return c, nil
}

// reader reads JSON and knows which turn it is at.
type reader struct {
	j    *strictjson.Reader
	turn int
}

// located is an error with its place.
func (r *reader) located(err error) error {
	var turn *prompt.TurnError
	if errors.As(err, &turn) {
		return turn
	}
	e := &prompt.TurnError{Turn: r.turn, Offset: int(r.j.Offset()), Err: err}
	if at, ok := err.(*refusal.Error); ok {
		e.Offset, e.Err = int(at.Offset), at.Err
	}
	return e
}

// document reads an array, or an object that has nothing but the array.
func (r *reader) document(name string, read func() error) error {
	if r.j.Peek() != '{' {
		return read()
	}
	start, seen := r.j.Offset(), false
	err := r.j.Object(func(member string) error {
		if member != name {
			return r.unknown(member)
		}
		seen = true
		err := read()
		r.turn = -1
		return err
	})
	if err == nil && !seen {
		err = refusal.Malformed(start, "", "no %q in the object", name)
	}
	return err
}

// array reads turns.
func (r *reader) array(element func() error) error {
	return r.j.Array(func() error {
		r.turn++
		return element()
	})
}

func (r *reader) unknown(name string) error {
	return refusal.Malformed(r.j.Offset(), "", "unknown field %.40q", name)
}

// message reads a turn.
func (r *reader) message(c *prompt.Conversation) error {
	var t prompt.Turn
	var role, content, quality bool
	start := r.j.Offset()
	err := r.j.Object(func(name string) (err error) {
		switch name {
		case "role":
			role = true
			t.Role, err = named(r.j, prompt.ParseRole)
		case "content":
			content = true
			t.Content, err = r.j.String()
		case "quality":
			quality = true
			t.Quality, err = named(r.j, prompt.ParseQuality)
		default:
			err = r.unknown(name)
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

// named reads a string that is a name.
func named[T any](j *strictjson.Reader, parse func(string) (T, error)) (x T, err error) {
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

// AppendConversation appends a conversation as the JSON array that
// ParseConversation reads. Quality is written where it is not helpful. The
// error is a *prompt.TurnError: that of Check, or of the kind prompt.ErrUTF8.
func AppendConversation(dst []byte, c prompt.Conversation) ([]byte, error) {
	if err := c.Check(); err != nil {
		return dst, err
	}
	for i, t := range c {
		if valid(t.Content) != t.Content {
			return dst, &prompt.TurnError{Turn: i, Offset: -1, Err: prompt.ErrUTF8}
		}
	}
	return appendJSON(dst, messages(c))
}

// appendJSON appends a value without escapes for HTML.
func appendJSON(dst []byte, v any) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return dst, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
