package main

import (
	"io"
	"strings"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

type parseCmd struct {
	File    string `arg:"" optional:"" default:"-" help:"The text (default: standard input)."`
	Dialect string `enum:"any,fastchat,easylm,eval,beaver,easylm-context" default:"any" help:"How it is written: ${enum} (default ${default})."`
	Details bool   `help:"Print an object with the dialect and the reply that is due, around the messages."`
	JSON    bool   `name:"json" help:"Print JSON, which it does anyway."`
}

func (c *parseCmd) Help() string {
	return `Prints the conversation as koala prompt reads it. One newline at the end of the text does not
count. Where a text could be two conversations it is refused.

Example:
  koala prompt chat.json | koala parse`
}

// parsedOutput is what --details prints.
type parsedOutput struct {
	Dialect  string        `json:"dialect"`
	Next     string        `json:"next,omitempty"` // "" when no reply is due
	Messages messagesValue `json:"messages"`
}

// messagesValue is JSON that was written already.
type messagesValue []byte

func (m messagesValue) MarshalJSON() ([]byte, error) { return m, nil }

func (c *parseCmd) Run(a *app) error {
	in, err := openInput(a, c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	p, err := c.parse(strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"))
	if err != nil {
		return err
	}
	messages, err := koala.AppendConversation(nil, p.Conversation)
	if err != nil {
		return err
	}
	if !c.Details {
		_, err := a.stdout.Write(append(messages, '\n'))
		return err
	}
	out := parsedOutput{Dialect: p.Dialect.Name, Messages: messages}
	if p.Conversation.Open() {
		out.Next = p.Next.String()
	}
	return printJSON(a.stdout, out)
}

func (c *parseCmd) parse(text string) (*prompt.Parsed, error) {
	if c.Dialect == "any" {
		return prompt.Parse(text)
	}
	d, err := prompt.DialectNamed(c.Dialect)
	if err != nil {
		return nil, err
	}
	return d.Parse(text)
}
