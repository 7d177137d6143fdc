package diff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/modeldir"
	"github.com/koala-go/sdk/weights"
)

// input is a checkpoint to read. The name is the part that it plays.
type input struct{ name, path string }

// Plan is a run that was checked and has not begun. It knows which weights are read
// from which files, and the place of every byte of the output.
type Plan struct {
	op           *operation
	options      Options
	workersFixed bool // Options.Workers was set, and must not be lowered
	inputs       []input
	sources      []*weights.Checkpoint      // open, in the order of inputs
	evidence     map[int]weights.Provenance // of sources, as far as they were examined
	out          string
	layout       *weights.Plan
	panels       []panel
}

// newPlan opens the inputs, lays out the output and runs all checks.
func newPlan(ctx context.Context, op *operation, inputs []input, out string, opts *Options) (*Plan, error) {
	p := &Plan{op: op, options: opts.resolve(), inputs: inputs, out: out}
	p.workersFixed = opts != nil && opts.Workers > 0
	if err := p.options.check(); err != nil {
		return nil, err
	}
	err := p.prepareInputs(ctx)
	if err == nil {
		err = p.check(ctx, afterLayout)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// prepareInputs prepares everything that does not depend on the output's path.
// Verify uses it to recompute an output without writing one.
func (p *Plan) prepareInputs(ctx context.Context) error {
	if err := p.open(ctx); err != nil {
		return err
	}
	if err := p.check(ctx, onOpening); err != nil {
		return err
	}
	if err := p.resizeBase(); err != nil {
		return err
	}
	if err := p.check(ctx, beforeLayout); err != nil {
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
	return p.divide()
}

func (p *Plan) open(ctx context.Context) error {
	o := weights.OpenOptions{Heads: p.options.Heads, FollowLinks: p.options.FollowLinks, Source: p.options.Source}
	for _, in := range p.inputs {
		c, err := weights.Open(ctx, in.path, &o)
		if err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		p.sources = append(p.sources, c)
	}
	return nil
}

// evidenceOf examines a source, once.
func (p *Plan) evidenceOf(i int) (weights.Provenance, error) {
	if e, ok := p.evidence[i]; ok {
		return e, nil
	}
	e, err := p.sources[i].Provenance()
	if err == nil {
		if p.evidence == nil {
			p.evidence = make(map[int]weights.Provenance)
		}
		p.evidence[i] = e
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

// shareConfig gives all inputs the most complete configuration: an EasyLM stream
// has none of its own. The shapes of the inputs are equal by now. A config.json
// takes precedence, and then the first input.
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

// resizeBase gives the base as many rows of the vocabulary as the other input has,
// if the options ask for it.
func (p *Plan) resizeBase() error {
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

// spec describes the output.
func (p *Plan) spec() (*weights.Spec, error) {
	first := p.sources[0]
	s := &weights.Spec{
		Format: p.options.Format, Config: first.Config, ShardSize: p.options.ShardSize, Shards: p.options.Shards,
		DTypes: make(map[weights.Param]dtype.Type), Name: modeldir.ModelName(&first.Config),
	}
	if !s.Format.HoldsTied() {
		s.Config.TiedEmbeddings = false // the format stores the matrix twice
	}
	for _, q := range s.Config.Params() {
		t := first.Tensor(q)
		if t == nil {
			t = first.Tensor(weights.Param{Role: weights.Embed}) // the output matrix of tied embeddings
		}
		s.DTypes[q] = p.outputType(t.DType)
	}
	return s, p.addSideFiles(s)
}

// outputType returns the output's type for a weight of the given type.
func (p *Plan) outputType(in dtype.Type) dtype.Type {
	switch {
	case p.options.DType != "":
		return p.options.DType
	case p.op.dtype != "":
		return p.op.dtype
	case p.options.Format.Stores(in):
		return in
	}
	return in.Decoded()
}

// addSideFiles adds the tokenizer and the model card, as far as the output's format
// has room for them.
func (p *Plan) addSideFiles(s *weights.Spec) (err error) {
	if s.Format.HoldsVocabulary() {
		s.Vocabulary, err = modeldir.Vocabulary(&s.Config, p.readSideFile)
		var size *modeldir.SizeError
		if errors.As(err, &size) {
			return &CheckError{CheckSize, size.Problem(), size.Cure()}
		}
		return err
	}
	if s.Files, err = modeldir.Files(s.Format, &s.Config, p.readSideFile); err != nil {
		return err
	}
	if modeldir.IsHuggingFace(s.Format) && p.op == recovery {
		s.Files[modeldir.CardName] = p.modelCard()
	}
	return nil
}

// readSideFile reads a small file of the first input that has it. It returns nil if
// no input has it.
func (p *Plan) readSideFile(name string) ([]byte, error) {
	for i, c := range p.sources {
		content, err := c.File(name)
		if err == nil {
			return content, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", p.inputs[i].name, err)
		}
	}
	return nil, nil
}

// modelCard describes what was combined, under which licences, and how to verify
// it.
func (p *Plan) modelCard() []byte {
	card := modeldir.Card{Name: modeldir.ModelName(&p.sources[0].Config), Rule: p.rule(), Tool: toolVersion(), Manifest: ManifestName}
	for i, c := range p.sources {
		card.Inputs = append(card.Inputs, modeldir.CardInput{Name: p.inputs[i].name, Path: filepath.Base(c.Path)})
	}
	return card.Text()
}

// estimateBytes is the number of bytes that Estimate reads.
const estimateBytes = 64 << 20

// Estimate returns how long Run may take: the time to read and write all bytes at
// the speed at which the beginning of the first input is read.
func (p *Plan) Estimate(ctx context.Context) (time.Duration, error) {
	first := p.sources[0].Files()[0]
	n := min(first.Size, estimateBytes)
	b := make([]byte, 1<<20)
	start := time.Now()
	for off := int64(0); off < n; off += int64(len(b)) {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		if _, err := first.Data.ReadAt(b[:min(int64(len(b)), n-off)], off); err != nil {
			return 0, fmt.Errorf("reading %s: %w", first.Path, err)
		}
	}
	s := p.Summary()
	return time.Duration(float64(time.Since(start)) * float64(s.ReadBytes+s.WriteBytes) / float64(n)), nil
}
