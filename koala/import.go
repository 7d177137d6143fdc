package koala

import (
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/prompt"
)

// ImportConversation reads a conversation that another program wrote as JSON, in
// one of these forms:
//
//   - OpenAI's messages: an array, or an object with it as "messages", of
//     {"role", "content"}, where content is a string or an array of
//     {"type": "text", "text"}; "quality" is read too
//   - a record of ShareGPT: {"id", "conversations": [{"from", "value"}]}
//   - a request of EasyLM's /chat: {"prompt", "context", "temperature"}
//
// It skips the id and the temperature. The policies of o say what to do with
// messages for which Koala has no turn, and the notes report what was done. It is
// as strict about the JSON as ParseConversation and returns the same errors.
func ImportConversation(data []byte, o *prompt.Import) (prompt.Conversation, []prompt.Note, error) {
	m := importer{reader: reader{json: strictjson.New(data, 0), turn: -1}}
	err := m.document()
	if err == nil {
		m.turn = -1
		err = m.json.End()
	}
	if err != nil {
		return nil, nil, m.locate(err)
	}
	if m.easyLM {
		c, err := prompt.FromEasyLM(m.query, m.context)
		return c, nil, err
	}
	return prompt.FromMessages(m.messages, o)
}

// importer reads one of the forms.
type importer struct {
	reader
	messages       []prompt.Message
	easyLM         bool // the form is EasyLM's, which has a query and a context
	query, context string
}

func (m *importer) document() error {
	if m.json.Peek() != '{' {
		return m.array(m.message)
	}
	start, form := m.json.Offset(), ""
	err := m.json.Object(func(name string) (err error) {
		at := m.json.Offset()
		switch name {
		case "messages", "conversations", "prompt":
			if form != "" {
				return refusal.Malformed(at, "", "both %q and %q in one object", form, name)
			}
			form = name
		}
		switch name {
		case "messages", "conversations":
			err = m.array(m.message)
			m.turn = -1
		case "prompt":
			m.easyLM = true
			m.query, err = m.json.String()
		case "context":
			m.context, err = m.json.String()
		case "id", "temperature":
			err = m.json.Skip()
		default:
			err = m.unknownField(name)
		}
		return err
	})
	if err == nil && form == "" {
		err = refusal.Malformed(start, "", "the object has neither messages, conversations nor a prompt")
	}
	return err
}

// message reads one of OpenAI's messages or of ShareGPT's turns.
func (m *importer) message() error {
	var x prompt.Message
	var role, content bool
	start := m.json.Offset()
	err := m.json.Object(func(name string) (err error) {
		switch name {
		case "role", "from":
			role = true
			x.Role, err = m.json.String()
		case "content", "value":
			content = true
			x.Content, err = m.content()
		case "quality":
			x.Quality, err = parseName(m.json, prompt.ParseQuality)
		default:
			err = m.unknownField(name)
		}
		return err
	})
	if err == nil && (!role || !content) {
		err = refusal.Malformed(start, "", "message without a role or without content")
	}
	m.messages = append(m.messages, x)
	return err
}

// content reads a string, or the texts of an array of parts.
func (m *importer) content() (text string, err error) {
	if m.json.Peek() != '[' {
		return m.json.String()
	}
	var all []byte
	err = m.json.Array(func() error {
		at := m.json.Offset()
		part, err := m.json.StringMap()
		if err != nil {
			return err
		}
		if part["type"] != "text" || len(part) != 2 {
			return refusal.Malformed(at, "", "part of a message that is not text")
		}
		all = append(all, part["text"]...)
		return nil
	})
	return string(all), err
}
