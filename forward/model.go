package forward

import (
	"fmt"
	"math"
	"runtime"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// DefaultMemory is the memory that a pass over weights in files may take,
// unless Options say otherwise: that of recovery.
const DefaultMemory = 256 << 20

// maxContext is the largest context; angles of rotary embeddings are exact up
// to it.
const maxContext = maxAngle

// Options are the choices of Open and Load; nil means the zero value.
type Options struct {
	// Workers is the number of goroutines that multiply, 0 for one a core.
	Workers int
	// Memory bounds the buffers of a pass over weights in files, in bytes; 0 is
	// DefaultMemory. A model that is loaded takes what its weights take.
	Memory int64
	// Context bounds the tokens of a text; 0 is what the checkpoint says.
	Context int
	// Fast allows kernels that fuse products and sums and choose the order of
	// sums: faster, but other processors give other last bits.
	Fast bool
	// Progress, if not nil, is called while weights are read, by one goroutine
	// at a time.
	Progress func(Progress)
}

// Progress says how far the reading of weights is, in bytes.
type Progress struct{ Done, Total int64 }

// Model is a LLaMA model whose weights lie in a checkpoint, or in memory once
// they are loaded. It is safe for concurrent use.
type Model struct {
	Config  weights.Config
	options Options
	path    string
	asked   bool // for a number of workers

	embed    *matrix
	matrices map[weights.Param]*matrix
	norms    map[weights.Param][]float32
	rotary   rotary
	panels   []panel // of a model in memory
}

// Open prepares a checkpoint to be run. It reads the norms; all other weights
// are read by each pass. The checkpoint must stay open as long.
//
// Errors are *weights.ModelError for what is no whole LLaMA, or none that runs
// here, *NonFiniteError for infinite or NaN norms, and those of reading.
func Open(c *weights.Checkpoint, opts *Options) (*Model, error) {
	m := &Model{Config: c.Config, path: c.Path, matrices: map[weights.Param]*matrix{}, norms: map[weights.Param][]float32{}}
	if opts != nil {
		m.options = *opts
	}
	m.resolve()
	if err := m.check(c); err != nil {
		return nil, err
	}
	for _, p := range runs(&m.Config) {
		if err := m.open(c, p); err != nil {
			return nil, err
		}
	}
	m.rotary = newRotary(m.Config.HeadDim(), m.Config.Theta())
	return m, nil
}

// resolve fills in what the options leave out.
func (m *Model) resolve() {
	o := &m.options
	if m.asked = o.Workers > 0; !m.asked {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	if o.Context <= 0 {
		o.Context = min(m.Config.Positions(), maxContext)
	}
}

// check refuses what is no model that runs here.
func (m *Model) check(c *weights.Checkpoint) error {
	if err := c.Runnable(); err != nil {
		return err
	}
	theta, eps := m.Config.Theta(), m.Config.Epsilon()
	problem := ""
	switch {
	case !(theta >= 1 && theta <= math.MaxFloat32):
		problem = fmt.Sprintf("a rotary base of %v is none", theta)
	case !(eps >= 0 && eps < 1):
		problem = fmt.Sprintf("an epsilon of norms of %v is none", eps)
	case m.options.Context > maxContext:
		problem = fmt.Sprintf("a context of %d is more than %d", m.options.Context, maxContext)
	default:
		return nil
	}
	return &weights.ModelError{Problem: problem, Path: m.path, Cure: "take a LLaMA model, and mend its config"}
}

// runs lists the weights in the order in which a pass uses them. The output
// matrix of tied embeddings is the embedding.
func runs(c *weights.Config) []weights.Param {
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

// open finds a matrix, or reads a norm.
func (m *Model) open(c *weights.Checkpoint, p weights.Param) error {
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
		return x.floats(m.norms[p], 0)
	default:
		m.matrices[p] = x
	}
	return nil
}

// Context is the largest number of tokens of a text.
func (m *Model) Context() int { return m.options.Context }

// Bytes is the size of the weights that each pass uses, in memory or as they
// are read: all but the embedding, of which a row a token is looked up.
func (m *Model) Bytes() int64 {
	var n int64
	for _, x := range m.matrices {
		n += x.bytes()
	}
	return n
}

// matrix is a weight in Meta's layout, [rows, cols]: a vector is one row.
type matrix struct {
	param      weights.Param
	name       string // of the tensor in its file
	view       *weights.View
	rows, cols int
	dtype      dtype.Type
	data       []byte // all of it, once it is in memory
}

func newMatrix(c *weights.Checkpoint, p weights.Param, v *weights.View) *matrix {
	name := ""
	if t := c.Tensor(p); t != nil {
		name = t.Name
	} else {
		name = c.Tensor(weights.Param{Role: weights.Embed}).Name
	}
	return &matrix{param: p, name: name, view: v, rows: int(v.Rows()), cols: int(v.RowBytes() / v.DType.Size()), dtype: dtype.Type(v.DType)}
}

func (x *matrix) bytes() int64 { return int64(x.rows) * x.view.RowBytes() }

// read gives n rows from the first on, in memory where they are, or read into
// the buffer, of x.need(n) bytes.
func (x *matrix) read(buffer []byte, first, n int) ([]byte, error) {
	row := int(x.view.RowBytes())
	if x.data != nil {
		return x.data[first*row : (first+n)*row], nil
	}
	block := buffer[:n*row]
	return block, x.view.ReadRows(block, int64(first), int64(n), buffer[n*row:])
}

// need is the size of the buffer for n rows.
func (x *matrix) need(n int) int64 {
	if x.data != nil {
		return 0
	}
	return int64(n)*x.view.RowBytes() + x.view.Scratch(int64(n))
}

// floats reads one row as numbers, which must be finite.
func (x *matrix) floats(dst []float32, row int) error {
	block, err := x.read(make([]byte, x.need(1)), row, 1)
	if err != nil {
		return err
	}
	if err := x.finite(block, row); err != nil {
		return err
	}
	half.Floats(dst, block, x.dtype)
	return nil
}

// finite is an error when a block of rows, the first of which is given, has an
// element that is infinite or NaN.
func (x *matrix) finite(block []byte, first int) error {
	if i := half.FirstNonFinite(block, x.dtype); i >= 0 {
		return &NonFiniteError{x.name, int64(first)*int64(x.cols) + int64(i)}
	}
	return nil
}
