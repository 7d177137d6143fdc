package main

import (
	"io"
	"strings"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

type parseCmd struct {
	File    string `arg:"" optional:"" default:"-" help:"Read the prompt from FILE (default: standard input)."`
	Dialect string `enum:"any,${dialects}" default:"any" help:"Parse this dialect: ${enum} (default ${default})."`
	Details bool   `help:"Print an object with the dialect, the requested reply and the messages."`
	JSON    bool   `name:"json" help:"Print JSON on stdout, as without this flag."`
}

// Help returns the text below the usage line.
func (c *parseCmd) Help() string {
	return `Prints the conversation in the JSON form that koala prompt reads. A newline at the end of the
input is ignored. An ambiguous prompt is an error.

Example:
  koala prompt chat.json | koala parse`
}

// parsedOutput is the document that --details prints.
type parsedOutput struct {
	Dialect  string        `json:"dialect"`
	Next     string        `json:"next,omitempty"` // "" if the prompt does not request a reply
	Messages messagesValue `json:"messages"`
}

// messagesValue is encoded JSON.
type messagesValue []byte

// MarshalJSON returns m.
func (m messagesValue) MarshalJSON() ([]byte, error) { return m, nil }

// Run executes the command.
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
