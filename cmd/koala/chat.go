package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/backend/local"
	"github.com/koala-go/sdk/forward"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/tokenizer"
)

type chatCmd struct {
	Backend string `required:"" enum:"${backends},local" placeholder:"KIND" help:"The kind of server: ${enum}; local runs a model without one."`
	URL     string `name:"url" help:"Where it is (default: where such servers are on this machine)."`
	Name    string `name:"model-name" help:"The name of the model at the server; ollama needs it."`
	IDs     bool   `name:"ids" xor:"form" help:"Send ids, the default where the server takes them."`
	Text    bool   `xor:"form" help:"Send text."`
	BOS     bool   `name:"bos" help:"Begin the ids with BOS, as servers do with text."`

	Model string `placeholder:"PATH" help:"The checkpoint for --backend local: a file or directory of any format."`
	Slow  bool   `help:"Run a model of --backend local that makes less than a token a second."`

	Temperature float64 `default:"1" help:"0 takes the likeliest token (default ${default})."`
	TopK        int     `name:"top-k" default:"50" help:"0 is no limit (default ${default})."`
	TopP        float64 `name:"top-p" default:"1" help:"1 is no limit (default ${default})."`
	Seed        *int64  `help:"Of the random numbers."`
	MaxTokens   int     `default:"1024" help:"Of a reply (default ${default})."`
	Context     int     `default:"2048" help:"Tokens of prompt and reply; the oldest turns are left out (default ${default})."`

	Load    string        `placeholder:"FILE" help:"Go on with a saved chat."`
	Words   string        `placeholder:"FILE" help:"Withhold texts that hold one of these words or phrases, one a line."`
	Check   string        `name:"moderation" placeholder:"URL" help:"Withhold texts that a server with OpenAI's /v1/moderations flags; its key is taken from KOALA_MODERATION_KEY."`
	Timeout time.Duration `default:"5m" help:"For the first text of a reply (default ${default})."`
	Quiet   bool          `help:"Nothing on stderr but errors."`

	Tokenizer string `placeholder:"FILE" help:"A tokenizer.model, tokenizer.json or GGUF file (default: LLaMA's vocabulary)."`
}

func (c *chatCmd) Help() string {
	return `On a terminal it is a chat; /help lists its commands, Ctrl-C stops a reply. From a pipe
each line is a turn, and each reply is printed, then a newline. A key for the server is
taken from KOALA_API_KEY in the environment.

Example:
  koala chat --backend llamacpp --url http://localhost:8080
  echo "What is a koala?" | koala chat --backend ollama --model-name koala
  koala chat --backend local --model koala-3b.gguf`
}

// Validate refuses flags that are of no use together.
func (c *chatCmd) Validate() error {
	local := c.Backend == "local"
	switch {
	case local && c.Model == "":
		return errors.New("--backend local needs --model")
	case local && (c.URL != "" || c.Name != "" || c.Text):
		return errors.New("--url, --model-name and --text are of servers")
	case !local && c.Backend != "" && (c.Model != "" || c.Slow):
		return errors.New("--model and --slow are of --backend local")
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

// completer is the server, or the model, that the flags ask for.
func (c *chatCmd) completer(a *app, t *tokenizer.Tokenizer) (koala.Completer, error) {
	if c.Backend != "local" {
		return c.server()
	}
	bar := newProgressBar(a.stderr, c.Quiet)
	defer bar.finish()
	return local.Open(a.ctx, c.Model, &local.Options{
		Tokenizer: t, Context: c.Context, Slow: c.Slow,
		Progress: func(at forward.Progress) {
			bar.update(progress.Progress{Stage: "read", Done: at.Done, Total: at.Total, Unit: progress.Bytes})
		},
	})
}

// server is the client that the flags ask for.
func (c *chatCmd) server() (*backend.Client, error) {
	kind := backend.Kind(c.Backend)
	if c.IDs && !kind.TakesIDs() {
		return nil, fmt.Errorf("%s takes no ids: --ids: leave it out", c.Backend)
	}
	if c.URL == "" {
		c.URL = kind.DefaultURL()
	}
	return backend.New(kind, &backend.Options{
		URL: c.URL, Model: c.Name, Key: backend.Secret(os.Getenv("KOALA_API_KEY")),
		Text: c.Text, Context: c.Context, FirstToken: c.Timeout,
	})
}

// options are those of the chat.
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

// moderator is that of the flags, nil for none.
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
