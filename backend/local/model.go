package local

import (
	"context"
	"fmt"
	"io"

	"github.com/koala-go/sdk/forward"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

// Options are the choices of Open and New; nil means the zero value.
type Options struct {
	// Tokenizer is the model's, nil for LLaMA's.
	Tokenizer *tokenizer.Tokenizer
	// Workers is the number of goroutines that multiply, 0 for one a core.
	Workers int
	// Context bounds the tokens of prompt and reply; 0 is what the checkpoint
	// says. Each takes memory: 1 MiB at the size of 7B.
	Context int
	// Slow allows models of less than a token a second, or larger than the free
	// memory: see SlowError.
	Slow bool
	// Progress, if not nil, is called while the weights are read, by one
	// goroutine at a time.
	Progress func(forward.Progress)
}

// Model is a model in memory. It is safe for concurrent use; replies are made
// one after the other.
type Model struct {
	model     *forward.Model
	tokenizer *tokenizer.Tokenizer
	name      string
	turn      chan *text // holds the text while nobody replies
}

// text is what the model remembers: the tokens of the last prompt and reply.
type text struct {
	session *forward.Session
	ids     []tokenizer.Token
}

// Open reads a checkpoint into memory: a file or directory of any format.
//
// Errors are those of weights.Open and forward.Load, a *SlowError before any
// weight is read, and one that says so when the tokenizer is of another model.
func Open(ctx context.Context, path string, o *Options) (*Model, error) {
	c, err := weights.Open(path, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return New(ctx, c, o)
}

// New reads the weights of an open checkpoint into memory, as Open does. The
// checkpoint can be closed afterwards.
func New(ctx context.Context, c *weights.Checkpoint, o *Options) (*Model, error) {
	if o == nil {
		o = new(Options)
	}
	switch {
	case o.Workers < 0:
		return nil, optionError("Workers", "%d is negative", o.Workers)
	case o.Context < 0:
		return nil, optionError("Context", "%d is negative", o.Context)
	}
	t := o.Tokenizer
	if t == nil {
		t = tokenizer.Default()
	}
	fo := &forward.Options{Workers: o.Workers, Context: o.Context, Fast: true, Progress: o.Progress}
	header, err := forward.Open(c, fo)
	if err != nil {
		return nil, err
	}
	if t.Len() > header.Config.Vocab {
		return nil, optionError("Tokenizer", "a tokenizer of %d tokens for a model of %d: %s: use the tokenizer of the model", t.Len(), header.Config.Vocab, c.Path)
	}
	if err := checkSpeed(header, c.Path); err != nil && !o.Slow {
		return nil, err
	}
	m, err := forward.Load(ctx, c, fo)
	if err != nil {
		return nil, err
	}
	l := &Model{model: m, tokenizer: t, name: c.Path, turn: make(chan *text, 1)}
	l.turn <- &text{session: m.NewSession()}
	return l, nil
}

// Complete makes a reply to the ids of a request and writes its text to w as it
// comes, in whole characters of UTF-8. It ends with one of the request's
// StopIDs, before one of its Stops, at MaxTokens or at the end of the context.
//
// The error is an *backend.Error of the kind ErrContext for a prompt that leaves
// no room for a token, or ErrOptions for a request that makes no sense; that of
// the context, within one token; or that of w.
func (m *Model) Complete(ctx context.Context, r *koala.Request, w io.Writer) (koala.Report, error) {
	report := koala.Report{Model: m.name, PromptTokens: len(r.IDs), Tries: 1}
	if err := m.check(r); err != nil {
		return report, err
	}
	select {
	case t := <-m.turn:
		defer func() { m.turn <- t }()
		reply := &reply{
			text: t, request: r, report: &report, sampler: newSampler(r.Sampling),
			decoder: m.tokenizer.NewDecoder(), out: stream{w: w, stops: r.Stops}, pieces: m.tokenizer.Len(),
		}
		err := reply.run(ctx, m.model.Context())
		return report, err
	case <-ctx.Done():
		return report, ctx.Err()
	}
}

// check refuses what cannot be done.
func (m *Model) check(r *koala.Request) error {
	s := r.Sampling
	switch {
	case len(r.IDs) == 0:
		return optionError("Request.IDs", "there are none: make the request with Chat.Request")
	case !(s.Temperature >= 0):
		return optionError("Sampling.Temperature", "%v is not a number from 0", s.Temperature)
	case s.TopK < 0:
		return optionError("Sampling.TopK", "%d is negative", s.TopK)
	case !(s.TopP > 0 && s.TopP <= 1):
		return optionError("Sampling.TopP", "%v is not above 0 and at most 1", s.TopP)
	case s.MaxTokens < 1:
		return optionError("Sampling.MaxTokens", "%d is not positive", s.MaxTokens)
	case len(r.IDs) >= m.model.Context():
		return fmt.Errorf("%s: %w", m.name, &koala.ContextError{Prompt: len(r.IDs), Context: m.model.Context()})
	}
	return nil
}

func optionError(option, format string, args ...any) error {
	return &prompt.OptionError{Option: option, Err: fmt.Errorf(format, args...)}
}
