package local

import (
	"context"
	"fmt"
	"io"

	"github.com/koala-go/sdk/forward"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

// Options are the choices of Open and New. Nil means the zero value.
type Options struct {
	// Tokenizer is the tokenizer of the model. Nil means LLaMA's.
	Tokenizer *tokenizer.Tokenizer
	// Workers is the number of goroutines that multiply. Zero means one for
	// each core.
	Workers int
	// Context is the maximum number of tokens of prompt and reply together. Zero
	// means the context of the checkpoint. Each token takes memory: 1 MiB in a
	// 7B model.
	Context int
	// Slow permits models that make less than one token per second or that are
	// larger than the free memory: see SlowError.
	Slow bool
	// Progress is called with the bytes of weights that were read, in the stage
	// "read". Nil means that nothing is reported.
	Progress progress.Func
}

// Model is a model in memory. It is safe for concurrent use, but makes one reply
// at a time.
type Model struct {
	model     *forward.Model
	tokenizer *tokenizer.Tokenizer
	name      string
	idle      chan *state // holds the state while no reply is being made
}

// state is what the model keeps of the last prompt and reply: their tokens, and the
// session with their keys and values.
type state struct {
	session *forward.Session
	ids     []tokenizer.Token
}

// Open reads a checkpoint into memory: a file or directory of any format.
//
// The errors are those of weights.Open and forward.Load, a *SlowError before any
// weight is read, and one of the kind koala.ErrOptions for options that cannot be
// used, such as a tokenizer with more tokens than the model.
func Open(ctx context.Context, path string, o *Options) (*Model, error) {
	c, err := weights.Open(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return New(ctx, c, o)
}

// New is like Open for a checkpoint that is already open. The caller may close the
// checkpoint afterwards.
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
	header, err := forward.Open(ctx, c, fo)
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
	l := &Model{model: m, tokenizer: t, name: c.Path, idle: make(chan *state, 1)}
	l.idle <- &state{session: m.NewSession()}
	return l, nil
}

// Complete makes a reply to the ids of a request and writes its text to w token by
// token, in whole characters of UTF-8. The reply ends at one of the request's
// StopIDs, before one of its Stops, after MaxTokens, or at the end of the context.
//
// The error is a *koala.ContextError for a prompt that leaves no room for a token,
// one of the kind koala.ErrOptions for a request that cannot be served, the error
// of ctx, which ends the reply within one token, or the error of w.
func (m *Model) Complete(ctx context.Context, r *koala.Request, w io.Writer) (koala.Report, error) {
	report := koala.Report{Model: m.name, PromptTokens: len(r.IDs), Tries: 1}
	if err := m.check(r); err != nil {
		return report, err
	}
	select {
	case s := <-m.idle:
		defer func() { m.idle <- s }()
		reply := &reply{
			state: s, request: r, report: &report, sampler: newSampler(r.Sampling),
			decoder: m.tokenizer.NewDecoder(), out: stopWriter{w: w, stops: r.Stops}, pieces: m.tokenizer.Len(),
		}
		err := reply.run(ctx, m.model.Context())
		return report, err
	case <-ctx.Done():
		return report, ctx.Err()
	}
}

// check refuses requests that cannot be served.
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

// optionError returns an error of the kind koala.ErrOptions.
func optionError(option, format string, args ...any) error {
	return &prompt.OptionError{Option: option, Err: fmt.Errorf(format, args...)}
}
