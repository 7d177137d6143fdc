package diff

import (
	"context"
	"errors"
	"fmt"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// operation is what is done to each block of weights.
type operation struct {
	name    string
	formula string // of the arithmetic, for people
	combine func(dst []byte, out dtype.Type, blocks [][]byte, types []dtype.Type)
	// turned combines a block with one that is transposed on the way.
	turned func(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, rows, cols int, order []int32)
	// commutes says that it does not matter which block is the first.
	commutes bool
	dtype    dtype.Type // of the output by default, "" to keep the input's
}

var (
	recovery = &operation{"recover", "base + diff", func(dst []byte, out dtype.Type, x [][]byte, t []dtype.Type) {
		half.Add(dst, out, x[0], t[0], x[1], t[1])
	}, half.AddTransposed, true, dtype.BF16}
	difference = &operation{"diff", "target - base", func(dst []byte, out dtype.Type, x [][]byte, t []dtype.Type) {
		half.Sub(dst, out, x[0], t[0], x[1], t[1])
	}, half.SubTransposed, false, dtype.BF16}
	conversion = &operation{"convert", "input", func(dst []byte, out dtype.Type, x [][]byte, t []dtype.Type) {
		half.Convert(dst, out, x[0], t[0])
	}, nil, true, ""}
)

// input is a checkpoint that is read: what it is for, and where it is.
type input struct{ name, path string }

// Plan is a run that was checked and not yet made: which weights are read
// from where and where they go, to the byte.
type Plan struct {
	op      *operation
	options Options
	asked   bool // for this number of workers
	inputs  []input
	sources []*weights.Checkpoint    // opened, in the order of inputs
	seen    map[int]weights.Evidence // of the sources that were looked at
	out     string
	layout  *weights.Plan
	panels  []panel
}

// newPlan opens the inputs, lays out the output and runs all checks.
func newPlan(op *operation, inputs []input, out string, opts *Options) (*Plan, error) {
	p := &Plan{op: op, options: opts.withDefaults(), inputs: inputs, out: out}
	p.asked = opts != nil && opts.Workers > 0
	if err := p.prepare(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Plan) prepare() error {
	if err := p.prepareSum(); err != nil {
		return err
	}
	return p.check(afterLayout)
}

// prepareSum is all but what concerns the output's place.
func (p *Plan) prepareSum() error {
	if err := p.open(); err != nil {
		return err
	}
	if err := p.check(onOpening); err != nil {
		return err
	}
	if err := p.resize(); err != nil {
		return err
	}
	if err := p.check(beforeLayout); err != nil {
		return err
	}
	shareConfig(p.sources)
	spec, err := p.spec()
	if err != nil {
		return err
	}
	if p.layout, err = spec.Plan(); err != nil {
		return err
	}
	return p.cut()
}

func (p *Plan) open() error {
	for _, in := range p.inputs {
		c, err := weights.Open(p.options.context(context.Background()), in.path, &weights.OpenOptions{Heads: p.options.Heads, FollowLinks: p.options.FollowLinks})
		if err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		p.sources = append(p.sources, c)
	}
	return nil
}

// evidenceOf looks at a source once.
func (p *Plan) evidenceOf(i int) (weights.Evidence, error) {
	if e, ok := p.seen[i]; ok {
		return e, nil
	}
	e, err := p.sources[i].Evidence()
	if err == nil {
		if p.seen == nil {
			p.seen = make(map[int]weights.Evidence)
		}
		p.seen[i] = e
	}
	return e, err
}

// Close closes the inputs.
func (p *Plan) Close() error {
	var err error
	for _, c := range p.sources {
		err = errors.Join(err, c.Close())
	}
	p.sources = nil
	return err
}

// shareConfig lets each input know what only another one tells: an EasyLM
// stream has no configuration of its own. Their shapes are equal by now. A
// config.json counts most, and the first input's before the second's.
func shareConfig(sources []*weights.Checkpoint) {
	best := sources[0].Config
	for _, c := range sources[1:] {
		if c.Config.Heads != 0 && (best.Heads == 0 || best.Extra == nil && c.Config.Extra != nil) {
			best = c.Config
		}
	}
	for _, c := range sources {
		c.Config = best
	}
}

// modelName is what the model is called where a format has a name for it.
func modelName(c *weights.Config) string {
	if c.Size() == "other" {
		return "Koala"
	}
	return "Koala " + c.Size()
}

// resize gives the base as many rows of the vocabulary as the other input has,
// if that was asked for.
func (p *Plan) resize() error {
	if !p.options.ResizeVocab {
		return nil
	}
	rows := 0
	for _, c := range p.sources {
		rows = max(rows, c.Config.Vocab)
	}
	for i, in := range p.inputs {
		if in.name == "base" {
			if err := p.sources[i].ResizeVocab(rows); err != nil {
				return fmt.Errorf("%s: %w", in.name, err)
			}
		}
	}
	return nil
}

// spec says what is to be written.
func (p *Plan) spec() (*weights.Spec, error) {
	first := p.sources[0]
	s := &weights.Spec{
		Format: p.options.Format, Config: first.Config, ShardSize: p.options.ShardSize, Shards: p.options.Shards,
		DTypes: make(map[weights.Param]dtype.Type), Files: make(map[string][]byte),
		Name: modelName(&first.Config),
	}
	if s.Format == weights.FormatEasyLM || s.Format == weights.FormatTorch {
		s.Config.TiedEmbeddings = false // these have an output matrix in any case
	}
	for _, q := range s.Config.Params() {
		t := first.Tensor(q)
		if t == nil {
			t = first.Tensor(weights.Param{Role: weights.Embed}) // the output matrix of tied embeddings
		}
		s.DTypes[q] = p.dtype(t.DType)
	}
	return s, p.carryFiles(s)
}

// dtype is the output's type for a weight of the given type.
func (p *Plan) dtype(of dtype.Type) dtype.Type {
	switch {
	case p.options.DType != "":
		return p.options.DType
	case p.op.dtype != "":
		return p.op.dtype
	case p.options.Format == weights.FormatGGUF:
		return of
	}
	return of.Decoded()
}

// Summary is what a plan says of itself.
type Summary struct {
	Operation  string         `json:"operation"`
	Rule       string         `json:"rule"` // of the arithmetic
	Inputs     []InputSummary `json:"inputs"`
	Out        string         `json:"out"`
	Format     weights.Format `json:"format"`
	DType      dtype.Type     `json:"dtype"`
	Size       string         `json:"size"` // "7B", … or "other"
	Tensors    int            `json:"tensors"`
	Parameters int64          `json:"parameters"`
	ReadBytes  int64          `json:"read_bytes"`
	WriteBytes int64          `json:"write_bytes"`
	Memory     int64          `json:"buffer_bytes"`
	Workers    int            `json:"workers"`
	Files      []FileSummary  `json:"files"`
	Warnings   []string       `json:"warnings"`
	Estimate   float64        `json:"estimated_seconds,omitempty"` // 0 when it was not asked for
}

// InputSummary describes one input.
type InputSummary struct {
	Name   string         `json:"name"` // "base", "diff", …
	Path   string         `json:"path"`
	Format weights.Format `json:"format"`
	Layout string         `json:"layout"`
	DTypes []dtype.Type   `json:"dtypes"`
	Bytes  int64          `json:"bytes"` // of weights
}

// FileSummary describes one file of the output.
type FileSummary struct {
	Name string `json:"name"` // within the output, "" when the output is this file
	Size int64  `json:"bytes"`
}

// Summary describes the plan.
func (p *Plan) Summary() Summary {
	s := Summary{
		Operation: p.op.name, Rule: p.rule(), Out: p.out, Format: p.options.Format,
		DType: p.dtype(""), Size: p.sources[0].Config.Size(),
		Tensors: len(p.layout.Spec.DTypes), Parameters: p.sources[0].Config.Parameters(),
		WriteBytes: p.layout.Bytes(), Warnings: []string{}, Memory: p.bufferBytes() * int64(p.options.Workers), Workers: p.options.Workers,
	}
	for i, c := range p.sources {
		in := InputSummary{Name: p.inputs[i].name, Path: c.Path, Format: c.Format, Layout: c.Layout.String()}
		in.DTypes, in.Bytes = contents(c)
		s.Inputs = append(s.Inputs, in)
		s.ReadBytes += in.Bytes
	}
	for _, f := range p.layout.Files {
		s.Files = append(s.Files, FileSummary{f.Name, f.Size})
	}
	s.Warnings = p.warnings()
	return s
}

// contents are the types and bytes of a checkpoint's weights.
func contents(c *weights.Checkpoint) (types []dtype.Type, bytes int64) {
	seen := make(map[dtype.Type]bool)
	for _, q := range c.Params() {
		t := c.Tensor(q)
		bytes += t.Bytes()
		if !seen[t.DType] {
			seen[t.DType] = true
			types = append(types, t.DType)
		}
	}
	return types, bytes
}

// rule writes the arithmetic as a formula, by the types of the embeddings.
func (p *Plan) rule() string {
	embed := weights.Param{Role: weights.Embed}
	types := make([]dtype.Type, len(p.sources))
	for i, c := range p.sources {
		types[i] = dtype.Type(c.Tensor(embed).DType.Decoded())
	}
	out := p.dtype(dtype.Type(types[0]))
	sum := types[0]
	if len(types) > 1 {
		sum = half.Sum(types[0], types[1])
	}
	rule := fmt.Sprintf("%s in %s", p.op.formula, sum)
	if string(out) != string(sum) {
		rule += fmt.Sprintf(", rounded to %s", out)
	}
	return rule
}
