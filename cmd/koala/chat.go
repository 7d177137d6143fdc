package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/backend/local"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/tokenizer"
)

type chatCmd struct {
	Backend string `required:"" enum:"${backends},local" placeholder:"KIND" help:"Kind of server: ${enum}; local runs a model without a server."`
	URL     string `name:"url" help:"URL of the server (default: the usual port of such a server on this machine)."`
	Name    string `name:"model-name" help:"Name of the model at the server; ollama requires it."`
	IDs     bool   `name:"ids" xor:"form" help:"Send ids, which is the default for servers that take them."`
	Text    bool   `xor:"form" help:"Send text."`
	BOS     bool   `name:"bos" help:"Put the BOS token before the ids, as servers do before text."`

	Model string `placeholder:"PATH" help:"Checkpoint for --backend local: a file or directory of any format."`
	Slow  bool   `help:"With --backend local: run a model that makes less than one token per second."`

	Temperature float64 `default:"1" help:"Sampling temperature; 0 takes the most probable token (default ${default})."`
	TopK        int     `name:"top-k" default:"50" help:"Sample from this number of most probable tokens; 0 means all (default ${default})."`
	TopP        float64 `name:"top-p" default:"1" help:"Sample from the most probable tokens that reach this probability; 1 means all (default ${default})."`
	Seed        *int64  `help:"Seed of the random numbers."`
	MaxTokens   int     `default:"1024" help:"Maximum number of tokens of a reply (default ${default})."`
	Context     int     `default:"2048" help:"Maximum number of tokens of prompt and reply; the oldest turns are left out (default ${default})."`

	Load    string        `placeholder:"FILE" help:"Continue a saved chat."`
	Words   string        `placeholder:"FILE" help:"Withhold texts that contain a word or phrase of this file, one per line."`
	Check   string        `name:"moderation" placeholder:"URL" help:"Withhold texts that a server with OpenAI's /v1/moderations flags; KOALA_MODERATION_KEY is its key."`
	Timeout time.Duration `default:"5m" help:"Time limit for the first text of a reply (default ${default})."`
	Quiet   bool          `help:"Print only errors on stderr."`

	Tokenizer string `placeholder:"FILE" help:"Tokenizer: a tokenizer.model, tokenizer.json or GGUF file (default: LLaMA's vocabulary)."`
}

func (c *chatCmd) Help() string {
	return `On a terminal, koala chat is interactive: /help lists the commands, and Ctrl-C stops a
reply. From a pipe it reads one query per line and prints each reply and a newline. The
environment variable KOALA_API_KEY is the key for the server.

Example:
  koala chat --backend llamacpp --url http://localhost:8080
  echo "What is a koala?" | koala chat --backend ollama --model-name koala
  koala chat --backend local --model koala-3b.gguf`
}

// Validate refuses flags that contradict each other.
func (c *chatCmd) Validate() error {
	local := c.Backend == "local"
	switch {
	case local && c.Model == "":
		return errors.New("--backend local needs --model")
	case local && (c.URL != "" || c.Name != "" || c.Text):
		return errors.New("--url, --model-name and --text are for servers, not for --backend local")
	case !local && c.Backend != "" && (c.Model != "" || c.Slow):
		return errors.New("--model and --slow are for --backend local")
	}
	return nil
}

func (c *chatCmd) Run(a *app) error {
	o, err := c.options(a.ctx)
	if err != nil {
		return err
	}
	server, err := c.completer(a, o.Tokenizer)
	if err != nil {
		return err
	}
	chat, err := koala.New(o)
	if err != nil {
		return err
	}
	s := &session{app: a, server: server, chat: chat, context: c.Context, quiet: c.Quiet}
	if c.Load != "" {
		if err := s.load(c.Load); err != nil {
			return err
		}
	}
	return s.talk()
}

// completer returns the server or the model that the flags ask for.
func (c *chatCmd) completer(a *app, t *tokenizer.Tokenizer) (koala.Completer, error) {
	if c.Backend != "local" {
		return c.server()
	}
	bar := newProgressBar(a.stderr, c.Quiet)
	defer bar.finish()
	return local.Open(a.ctx, c.Model, &local.Options{
		Tokenizer: t, Context: c.Context, Slow: c.Slow,
		Progress: bar.update,
	})
}

// server returns the client that the flags ask for.
func (c *chatCmd) server() (*backend.Client, error) {
	kind := backend.Kind(c.Backend)
	if c.IDs && !kind.TakesIDs() {
		return nil, fmt.Errorf("%s takes no ids: --ids: omit the flag", c.Backend)
	}
	if c.URL == "" {
		c.URL = kind.DefaultURL()
	}
	return backend.New(kind, &backend.Options{
		URL: c.URL, Model: c.Name, Key: backend.Secret(os.Getenv("KOALA_API_KEY")),
		Text: c.Text, Context: c.Context, FirstToken: c.Timeout,
	})
}

// options returns the options of the chat.
func (c *chatCmd) options(ctx context.Context) (*koala.Options, error) {
	t, err := (&modelFlag{c.Tokenizer}).open(ctx)
	if err != nil {
		return nil, err
	}
	o := &koala.Options{
		Tokenizer: t, BOS: c.BOS, Budget: c.Context - c.MaxTokens, Overflow: koala.KeepEnd,
		Sampling: &koala.Sampling{Temperature: c.Temperature, TopK: c.TopK, TopP: c.TopP, MaxTokens: c.MaxTokens, Seed: c.Seed},
	}
	if c.MaxTokens < 1 || o.Budget < 1 {
		return nil, fmt.Errorf("replies of %d tokens in a context of %d: --max-tokens, --context: leave room for prompt and reply", c.MaxTokens, c.Context)
	}
	o.Moderator, err = c.moderator()
	return o, err
}

// moderator returns the moderator that the flags ask for, or nil.
func (c *chatCmd) moderator() (koala.Moderator, error) {
	var all koala.Moderators
	if c.Words != "" {
		f, err := os.Open(c.Words)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		list, err := backend.ReadWordList(f)
		if err != nil {
			return nil, err
		}
		all = append(all, list)
	}
	if c.Check != "" {
		m, err := backend.NewModeration(&backend.Options{URL: c.Check, Key: backend.Secret(os.Getenv("KOALA_MODERATION_KEY"))})
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	if all == nil {
		return nil, nil
	}
	return all, nil
}
