package koala

import (
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/prompt"
)

// ImportConversation reads a conversation that another program wrote in JSON:
//
//   - OpenAI's messages: an array, or an object with it as "messages", of
//     {"role", "content"}, where content is a string or an array of
//     {"type": "text", "text"}; "quality" is read too
//   - a record of ShareGPT: {"id", "conversations": [{"from", "value"}]}
//   - what EasyLM's /chat takes: {"prompt", "context", "temperature"}
//
// The id and the temperature are no part of a conversation and are left out.
// What Koala has no turn for is treated as o says, and told in the notes. It is
// as strict about the JSON as ParseConversation, with the same errors.
func ImportConversation(data []byte, o *prompt.Import) (prompt.Conversation, []prompt.Note, error) {
	m := importer{reader: reader{j: strictjson.New(data, 0), turn: -1}}
	err := m.document()
	if err == nil {
		m.turn = -1
		err = m.j.End()
	}
	if err != nil {
		return nil, nil, m.located(err)
	}
	if m.easyLM {
		c, err := prompt.FromEasyLM(m.prompt, m.context)
		return c, nil, err
	}
	return prompt.FromMessages(m.messages, o)
}

// importer reads one of the forms.
type importer struct {
	reader
	messages        []prompt.Message
	easyLM          bool
	prompt, context string
}

func (m *importer) document() error {
	if m.j.Peek() != '{' {
		return m.array(m.message)
	}
	start, form := m.j.Offset(), ""
	err := m.j.Object(func(name string) (err error) {
		at := m.j.Offset()
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
			m.prompt, err = m.j.String()
		case "context":
			m.context, err = m.j.String()
		case "id", "temperature":
			err = m.j.Skip()
		default:
			err = m.unknown(name)
		}
		return err
	})
	if err == nil && form == "" {
		err = refusal.Malformed(start, "", "neither messages, conversations nor a prompt")
	}
	return err
}

// message reads one of OpenAI's messages or ShareGPT's turns.
func (m *importer) message() error {
	var x prompt.Message
	var role, content bool
	start := m.j.Offset()
	err := m.j.Object(func(name string) (err error) {
		switch name {
		case "role", "from":
			role = true
			x.Role, err = m.j.String()
		case "content", "value":
			content = true
			x.Content, err = m.content()
		case "quality":
			x.Quality, err = named(m.j, prompt.ParseQuality)
		default:
			err = m.unknown(name)
		}
		return err
	})
	if err == nil && (!role || !content) {
		err = refusal.Malformed(start, "", "message without a role or without content")
	}
	m.messages = append(m.messages, x)
	return err
}

// content reads a string, or the texts of parts.
func (m *importer) content() (text string, err error) {
	if m.j.Peek() != '[' {
		return m.j.String()
	}
	var all []byte
	err = m.j.Array(func() error {
		at := m.j.Offset()
		part, err := m.j.StringMap()
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
