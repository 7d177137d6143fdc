package diff

import (
	"fmt"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// Summary describes a plan.
type Summary struct {
	Operation  string         `json:"operation"`                   // Operation is "recover", "diff" or "convert".
	Rule       string         `json:"rule"`                        // Rule is the formula of the arithmetic, with its types.
	Inputs     []InputSummary `json:"inputs"`                      // Inputs are in the order of the formula.
	Out        string         `json:"out"`                         // Out is the path of the output.
	Format     weights.Format `json:"format"`                      // Format is the format of the output.
	DType      dtype.Type     `json:"dtype"`                       // DType is the type of the output's weights, or empty if each keeps its own.
	Size       string         `json:"size"`                        // Size is the size of the model: "7B", "13B", "30B", "65B" or "other".
	Tensors    int            `json:"tensors"`                     // Tensors is the number of tensors of the output.
	Parameters int64          `json:"parameters"`                  // Parameters is the number of the model's parameters.
	ReadBytes  int64          `json:"read_bytes"`                  // ReadBytes is the size of the inputs' weights.
	WriteBytes int64          `json:"write_bytes"`                 // WriteBytes is the size of the output.
	Memory     int64          `json:"buffer_bytes"`                // Memory is the size of all buffers.
	Workers    int            `json:"workers"`                     // Workers is the number of goroutines that work.
	Files      []FileSummary  `json:"files"`                       // Files are the files of the output.
	Warnings   []string       `json:"warnings"`                    // Warnings are signs of a mistake that prove nothing.
	Estimate   float64        `json:"estimated_seconds,omitempty"` // Estimate is for the result of Plan.Estimate. Summary leaves it zero.
}

// InputSummary describes an input.
type InputSummary struct {
	Name   string         `json:"name"`   // Name is the part that the input plays: "base", "diff", "target" or "input".
	Path   string         `json:"path"`   // Path is the path of the input.
	Format weights.Format `json:"format"` // Format is the format of its files.
	Layout string         `json:"layout"` // Layout is the layout of its weights.
	DTypes []dtype.Type   `json:"dtypes"` // DTypes are the types of its weights, in order of appearance.
	Bytes  int64          `json:"bytes"`  // Bytes is the size of its weights.
}

// FileSummary describes a file of the output.
type FileSummary struct {
	Name string `json:"name"`  // Name is the name in the output directory, or empty if the output is this file.
	Size int64  `json:"bytes"` // Size is in bytes.
}

// Summary returns a description of the plan.
func (p *Plan) Summary() Summary {
	s := Summary{
		Operation: p.op.name, Rule: p.rule(), Out: p.out, Format: p.options.Format,
		DType: p.outputType(""), Size: p.sources[0].Config.Size(),
		Tensors: len(p.layout.Spec.DTypes), Parameters: p.sources[0].Config.Parameters(),
		WriteBytes: p.layout.Bytes(), Memory: p.bufferBytes() * int64(p.options.Workers), Workers: p.options.Workers,
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

// contents returns the types and the size of a checkpoint's weights.
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

// rule returns the arithmetic as a formula with the types of the embeddings. The
// journal and the manifest contain it.
func (p *Plan) rule() string {
	embed := weights.Param{Role: weights.Embed}
	types := make([]dtype.Type, len(p.sources))
	for i, c := range p.sources {
		types[i] = c.Tensor(embed).DType.Decoded()
	}
	out, sum := p.outputType(types[0]), types[0]
	if len(types) > 1 {
		sum = half.Sum(types[0], types[1])
	}
	rule := fmt.Sprintf("%s in %s", p.op.formula, sum)
	if out != sum {
		rule += fmt.Sprintf(", rounded to %s", out)
	}
	return rule
}

// warnings returns signs of a mistake that prove nothing.
func (p *Plan) warnings() []string {
	list := []string{} // not nil: JSON has a list in any case
	for i, c := range p.sources {
		if p.inputs[i].name == "base" {
			list = append(list, familyWarnings(c)...)
		}
	}
	if p.options.Format.HoldsVocabulary() && p.layout.Spec.Vocabulary == nil {
		list = append(list, "the GGUF file gets no tokenizer: no input has one, and the vocabulary is not LLaMA's")
	}
	return list
}

// familyWarnings warns of a base that may be Llama 2. Its 7B and 13B models have the
// shapes of LLaMA's, but their configuration differs.
func familyWarnings(c *weights.Checkpoint) []string {
	var list []string
	if eps := c.Config.ReleaseNormEps(); eps != 0 && c.Config.NormEps != eps {
		list = append(list, fmt.Sprintf("base %s states a norm epsilon of %g, LLaMA %s has %g: it may be Llama 2, which the diff is not for", c.Path, c.Config.NormEps, c.Config.Size(), eps))
	}
	if c.Config.Context > 2048 {
		list = append(list, fmt.Sprintf("base %s states %d positions, LLaMA has 2048: it may be Llama 2, which the diff is not for", c.Path, c.Config.Context))
	}
	return list
}
