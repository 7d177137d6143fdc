package forward

import (
	"context"
	"fmt"
	"math"
	"runtime"

	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// DefaultMemory is the memory limit where Options.Memory is zero: 256 MiB, as in
// package diff.
const DefaultMemory = 256 << 20

// maxContext is the largest context. The angles of rotary embeddings are exact
// up to it.
const maxContext = maxAngle

// Options configure Open and Load. A nil *Options means the zero value.
type Options struct {
	// Workers is the number of goroutines that multiply. Zero means one for each
	// processor, or fewer where the memory limit has no room for their buffers.
	Workers int
	// Memory bounds the buffers of a pass over weights in files, in bytes. Zero
	// means DefaultMemory. A model in memory needs the size of its weights, which
	// Memory does not bound.
	Memory int64
	// Context bounds the number of tokens of a text. Zero means the context that
	// the checkpoint declares.
	Context int
	// Fast allows kernels that fuse products and sums and choose the order of
	// sums. They are faster, but the last bits of their results differ between
	// processors.
	Fast bool
	// Progress is called with the bytes of weights that were read, in the stage
	// "read". Nil means that nothing is reported.
	Progress progress.Func
}

// Model is a LLaMA model whose weights are in a checkpoint, or in memory after
// Load. It is safe for concurrent use.
type Model struct {
	// Config is the shape of the model. It must not be changed.
	Config weights.Config

	options      Options
	path         string
	workersFixed bool // Options.Workers was set, and must not be lowered

	embed    *matrix
	matrices map[weights.Param]*matrix
	norms    map[weights.Param][]float32
	rotary   rotary
	panels   []panel // of a model in memory; nil if the weights are in files
}

// Open prepares a checkpoint for passes. It reads the norms; each pass reads all
// other weights. The checkpoint must stay open as long as the model is used.
//
// Errors are *OptionError for a wrong option, *weights.ModelError for a
// checkpoint that is not a whole LLaMA model or that this package cannot run,
// *weights.NonFiniteError for a norm that is infinite or NaN, the errors of
// reading, and the context's.
func Open(ctx context.Context, c *weights.Checkpoint, opts *Options) (*Model, error) {
	m := &Model{Config: c.Config, path: c.Path, matrices: map[weights.Param]*matrix{}, norms: map[weights.Param][]float32{}}
	if opts != nil {
		m.options = *opts
	}
	if err := m.resolveOptions(); err != nil {
		return nil, err
	}
	if err := m.checkConfig(c); err != nil {
		return nil, err
	}
	for _, p := range passOrder(&m.Config) {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := m.openWeight(c, p); err != nil {
			return nil, err
		}
	}
	m.rotary = newRotary(m.Config.HeadDim(), m.Config.Theta())
	return m, nil
}

// resolveOptions fills in defaults and refuses wrong values.
func (m *Model) resolveOptions() error {
	o := &m.options
	if m.workersFixed = o.Workers > 0; !m.workersFixed {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	if o.Context <= 0 {
		o.Context = min(m.Config.Positions(), maxContext)
	}
	if o.Context > maxContext {
		return &OptionError{"Context", fmt.Sprintf("a context of %d is too long", o.Context), fmt.Sprintf("give at most %d", maxContext)}
	}
	return nil
}

// checkConfig refuses a checkpoint that this package cannot run.
func (m *Model) checkConfig(c *weights.Checkpoint) error {
	if err := c.Runnable(); err != nil {
		return err
	}
	theta, eps := m.Config.Theta(), m.Config.Epsilon()
	problem := ""
	// The conditions are negated so that NaN fails them.
	switch {
	case !(theta >= 1 && theta <= math.MaxFloat32):
		problem = fmt.Sprintf("a rotary base of %v is out of range", theta)
	case !(eps >= 0 && eps < 1):
		problem = fmt.Sprintf("a norm epsilon of %v is out of range", eps)
	default:
		return nil
	}
	return &weights.ModelError{Problem: problem, Path: m.path, Cure: "take a LLaMA model, or correct its config"}
}

// passOrder lists the weights in the order in which a pass uses them. The output
// matrix of tied embeddings is the embedding.
func passOrder(c *weights.Config) []weights.Param {
	params := []weights.Param{{Role: weights.Embed}}
	for l := range c.Layers {
		for _, r := range []weights.Role{
			weights.AttnNorm, weights.Q, weights.K, weights.V, weights.O,
			weights.FFNNorm, weights.Gate, weights.Up, weights.Down,
		} {
			params = append(params, weights.Param{Layer: l, Role: r})
		}
	}
	return append(params, weights.Param{Role: weights.Norm}, weights.Param{Role: weights.Output})
}

// openWeight finds a matrix in the checkpoint, or reads a norm.
func (m *Model) openWeight(c *weights.Checkpoint, p weights.Param) error {
	v, err := c.View(p, weights.Meta)
	if err != nil {
		return err
	}
	x := newMatrix(c, p, v)
	switch {
	case p.Role == weights.Embed:
		m.embed = x
	case p.Role.IsNorm():
		m.norms[p] = make([]float32, x.cols)
		return x.readRow(m.norms[p], 0)
	default:
		m.matrices[p] = x
	}
	return nil
}

// Context returns the greatest number of tokens of a text.
func (m *Model) Context() int { return m.options.Context }

// Bytes returns the size of the weights that each pass reads as a whole: all but the
// norms and the embedding. It counts weights in the type in which they are
// multiplied, so that Q8_0 counts as F32.
func (m *Model) Bytes() int64 {
	var n int64
	for _, x := range m.matrices {
		n += x.bytes()
	}
	return n
}

// newCounter returns a counter of the bytes of weights that are read.
func (m *Model) newCounter(total int64) *progress.Counter {
	return progress.NewCounter(progress.Progress{Stage: "read", Total: total, Unit: progress.Bytes}, m.options.Progress)
}
