package diff

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/weights"
)

// Recover writes base + delta to out.
//
// Errors: *weights.FormatError for a file that cannot be read,
// *weights.ModelError for one that is no whole model, *CheckError for inputs
// or outputs that look like a mistake, *NonFiniteError for a sum that is
// infinite or NaN, and the context's. After an error, out is as it was.
func Recover(ctx context.Context, base, delta, out string, opts *Options) (*Report, error) {
	return run(ctx, opts, func() (*Plan, error) { return PlanRecover(base, delta, out, opts) })
}

// Make writes target - base to out: the difference from which Recover makes
// target again. Errors are Recover's.
func Make(ctx context.Context, base, target, out string, opts *Options) (*Report, error) {
	return run(ctx, opts, func() (*Plan, error) { return PlanMake(base, target, out, opts) })
}

// Convert writes in to out, in another format, layout or type. Errors are
// Recover's.
func Convert(ctx context.Context, in, out string, opts *Options) (*Report, error) {
	return run(ctx, opts, func() (*Plan, error) { return PlanConvert(in, out, opts) })
}

// PlanRecover checks everything that Recover would check, and writes nothing.
func PlanRecover(base, delta, out string, opts *Options) (*Plan, error) {
	return newPlan(recovery, []input{{"base", base}, {"diff", delta}}, out, opts)
}

// PlanMake checks everything that Make would check, and writes nothing.
func PlanMake(base, target, out string, opts *Options) (*Plan, error) {
	return newPlan(difference, []input{{"target", target}, {"base", base}}, out, opts)
}

// PlanConvert checks everything that Convert would check, and writes nothing.
func PlanConvert(in, out string, opts *Options) (*Plan, error) {
	return newPlan(conversion, []input{{"input", in}}, out, opts)
}

// run makes a plan and carries it out.
func run(ctx context.Context, opts *Options, plan func() (*Plan, error)) (*Report, error) {
	p, err := plan()
	if err != nil {
		return nil, err
	}
	report, err := p.Run(ctx)
	return report, errors.Join(err, p.Close())
}

// Options are the choices of a run; nil means the zero value.
type Options struct {
	// Format of the output; default weights.FormatSafetensors, a Hugging Face
	// directory. weights.FormatTorch is a directory of Meta's shards,
	// weights.FormatEasyLM and weights.FormatGGUF are files.
	Format weights.Format
	// DType of the output's weights; default BF16, as the reference. A
	// conversion keeps each weight's type by default. Q8_0 is for GGUF.
	DType dtype.Type
	// ShardSize bounds a safetensors file's tensors in bytes; default 5 GB.
	ShardSize int64
	// Shards is the number of Meta's shards; default as LLaMA was released.
	Shards int
	// ResizeVocab gives a base of a smaller vocabulary the missing rows, each
	// the mean of its others, as Alpaca's script does.
	ResizeVocab bool
	// Force allows an existing output to be replaced, once the new one is
	// whole.
	Force bool

	// Resume goes on where an earlier run of the same plan was killed or failed,
	// if there is one, and leaves what is written where it is when this run
	// fails or is cancelled. Without it, a run begins anew and cleans up.
	Resume bool
	// Digests says what the manifest holds digests of; default DigestOutput.
	Digests Digests

	// AllowNonFinite allows infinite and NaN results.
	AllowNonFinite bool
	// Allow names checks whose refusal is overridden: CheckSwapped,
	// CheckRounded, CheckRecovered. Others are not overridden.
	Allow []string

	// Heads is the number of attention heads, where no input tells it.
	Heads int
	// FollowLinks allows inputs' shards to be symbolic links to anywhere.
	FollowLinks bool

	// Workers is how many goroutines work, at the most; default GOMAXPROCS, and
	// one more with digests, or fewer where the memory limit asks for it. With
	// DigestAll one more reads the inputs for their digests.
	Workers int
	// Memory bounds the process's memory in bytes; default 256 MiB. Half of
	// it is buffers; less than 96 MiB bounds these alone, for the program takes
	// some 30 MiB by itself.
	Memory int64
	// Progress is called now and then, never twice at once.
	Progress func(Progress)

	fs            vfs.FS // nil for the machine's
	journalPanels int    // panels after which the journal is saved, 0 for by time only
	freeMemory    int64  // of the machine, 0 to ask it
}

// Digests says what is digested.
type Digests string

// What is digested. The inputs are read a second time for it, beside the work.
const (
	DigestNone   Digests = "none"
	DigestOutput Digests = "output"
	DigestAll    Digests = "all" // the inputs too
)

// DefaultMemory is the memory limit when Options.Memory is 0.
const DefaultMemory = 256 << 20

// context returns a context that carries the file system of the options.
func (o *Options) context(ctx context.Context) context.Context {
	if o.fs == nil {
		return ctx
	}
	return vfs.NewContext(ctx, o.fs)
}

func (o *Options) withDefaults() Options {
	var full Options
	if o != nil {
		full = *o
	}
	if full.Digests == "" {
		full.Digests = DigestOutput
	}
	if full.Format == "" {
		full.Format = weights.FormatSafetensors
	}
	if full.Workers <= 0 {
		full.Workers = runtime.GOMAXPROCS(0)
		if full.Digests != DigestNone {
			full.Workers++ // one waits for its turn to digest, now and then
		}
	}
	if full.Memory <= 0 {
		full.Memory = DefaultMemory
	}
	return full
}

// allows says whether a check is overridden. What the others refuse cannot be
// computed or written.
func (o *Options) allows(check string) bool {
	statistical := []string{CheckSwapped, CheckRounded, CheckRecovered}
	return slices.Contains(statistical, check) && slices.Contains(o.Allow, check)
}

// Progress says how far a run is.
type Progress struct {
	Stage string // "write", then "sync"
	Done  int64  // bytes of output
	Total int64
}

// Report is what a run did.
type Report struct {
	Summary
	Resumed int64         `json:"resumed_bytes"` // of the output, that an earlier run had written
	Seconds float64       `json:"seconds"`
	Elapsed time.Duration `json:"-"`
}
