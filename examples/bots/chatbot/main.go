package chatbot

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// Platform connects a bot to a chat platform.
type Platform struct {
	Name   string   // the name of the program and of its default file
	Tokens []string // the names of the environment variables with its secrets
	Style  Style    // how the platform shows messages
	// Run calls Bot.Handle for each message until ctx ends. tokens are the values
	// of Tokens.
	Run func(ctx context.Context, b *Bot, tokens []backend.Secret) error
}

// Main is the main function of a bot.
func Main(p Platform) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := Run(ctx, p, os.Args[1:], os.Getenv, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		stop()
		os.Exit(1) // Run has logged the error
	}
}

// flags are the command-line flags of a bot.
type flags struct {
	backend, url, model, modelName, db, words, per string
	text                                           bool
	context, maxTokens, atOnce                     int
	temperature                                    float64
}

// maxMessage bounds the length of a message in bytes.
const maxMessage = 16 << 10

func parse(p Platform, args []string, log io.Writer) (*flags, error) {
	var f flags
	s := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	s.SetOutput(log)
	s.StringVar(&f.backend, "backend", "echo", "what replies: echo, local or a kind of server: "+kinds())
	s.StringVar(&f.url, "url", "", "URL of the server (default: the usual port of such a server on this machine); KOALA_API_KEY is its key")
	s.StringVar(&f.model, "model", "", "checkpoint for local: a file or directory of any format")
	s.StringVar(&f.modelName, "model-name", "", "name of the model at the server; ollama requires it")
	s.BoolVar(&f.text, "text", false, "send text to servers that take ids")
	s.IntVar(&f.context, "context", 2048, "maximum number of tokens of prompt and reply; the oldest turns are left out")
	s.IntVar(&f.maxTokens, "max-tokens", 512, "maximum number of tokens of a reply")
	s.Float64Var(&f.temperature, "temperature", 0.7, "sampling temperature; 0 takes the most probable token")
	s.StringVar(&f.db, "db", p.Name+".db", "file that keeps the conversations")
	s.StringVar(&f.per, "per", "channel", "who shares a conversation: everyone in a channel, or only one user of it: channel or user")
	s.IntVar(&f.atOnce, "at-once", 4, "maximum number of replies at a time")
	s.StringVar(&f.words, "words", "", "file with words and phrases, one per line: texts that contain one are withheld")
	if err := s.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case s.NArg() > 0:
		return nil, fmt.Errorf("%q: in the command line: use only flags", s.Arg(0))
	case f.per != "channel" && f.per != "user":
		return nil, fmt.Errorf("%q: --per: use channel or user", f.per)
	case (f.backend == "local") != (f.model != ""):
		return nil, errors.New("--backend local and --model: use both or neither")
	case f.maxTokens < 1 || f.context <= f.maxTokens || f.atOnce < 1:
		return nil, errors.New("--context, --max-tokens, --at-once: leave room for prompt and reply, and for one reply at a time")
	}
	return &f, nil
}

// kinds returns the names of the kinds of servers, separated by commas.
func kinds() string {
	var names []string
	for _, k := range backend.Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// chat returns the options of every chat.
func (f *flags) chat() (koala.Options, error) {
	s := koala.DefaultSampling()
	s.Temperature, s.MaxTokens = f.temperature, f.maxTokens
	o := koala.Options{
		Budget: f.context - f.maxTokens, Overflow: koala.KeepEnd, Sampling: &s,
		Render: prompt.Options{RejectForged: true, InvalidUTF8: prompt.ReplaceUTF8, MaxContent: maxMessage},
	}
	if f.words == "" {
		return o, nil
	}
	list, err := os.Open(f.words)
	if err != nil {
		return o, err
	}
	defer list.Close()
	o.Moderator, err = backend.ReadWordList(list)
	return o, err
}

// shutdown is the time that replies have to end when the bot is stopped.
const shutdown = 20 * time.Second

// Run runs a bot until ctx ends, and logs the error that it returns. The log never
// contains a secret of the environment.
func Run(ctx context.Context, p Platform, args []string, env func(string) string, log io.Writer) (err error) {
	key := backend.Secret(env("KOALA_API_KEY"))
	secrets := []backend.Secret{key}
	for _, name := range p.Tokens {
		secrets = append(secrets, backend.Secret(env(name)))
	}
	hidden := newHider(log, secrets)
	logger := slog.New(slog.NewTextHandler(hidden, nil))
	defer func() {
		if err != nil && !errors.Is(err, flag.ErrHelp) {
			logger.Error("the bot ends", "error", err)
		}
	}()
	f, err := parse(p, args, hidden)
	if err != nil {
		return err
	}
	for i, name := range p.Tokens {
		if secrets[i+1] == "" {
			return fmt.Errorf("no token: set %s in the environment: see the README for how to get one", name)
		}
	}
	b, err := f.open(ctx, p, key, logger)
	if err != nil {
		return err
	}
	logger.Info("the bot runs", "platform", p.Name, "backend", f.backend, "db", f.db)
	err = p.Run(ctx, b, secrets[1:])
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
	defer cancel()
	b.Close(late)
	logger.Info("the bot has ended")
	return errors.Join(err, b.o.Store.Close())
}

// open returns the bot that the flags ask for.
func (f *flags) open(ctx context.Context, p Platform, key backend.Secret, log *slog.Logger) (*Bot, error) {
	model, err := f.completer(ctx, key)
	if err != nil {
		return nil, err
	}
	o, err := f.chat()
	if err != nil {
		return nil, err
	}
	store, err := OpenStore(ctx, f.db)
	if err != nil {
		return nil, err
	}
	return New(Options{Model: model, Chat: o, Store: store, Style: p.Style, MaxReplies: f.atOnce, PerUser: f.per == "user", Log: log}), nil
}

// hider is a writer that replaces secrets. It relies on the logger, which writes each
// record in one call.
type hider struct {
	w io.Writer
	r *strings.Replacer
}

func newHider(w io.Writer, secrets []backend.Secret) *hider {
	var pairs []string
	for _, s := range secrets {
		if s != "" {
			pairs = append(pairs, string(s), s.String())
		}
	}
	return &hider{w, strings.NewReplacer(pairs...)}
}

func (h *hider) Write(p []byte) (int, error) {
	if _, err := h.r.WriteString(h.w, string(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
