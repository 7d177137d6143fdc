package diff

import (
	"context"
	"errors"
	"fmt"

	"github.com/koala-go/sdk/weights"
)

// checkWhole refuses an input that is not one whole model.
func checkWhole(_ context.Context, p *Plan) *CheckError {
	for i, c := range p.sources {
		var problem *weights.ModelError
		if errors.As(c.Complete(), &problem) {
			return &CheckError{CheckWhole, fmt.Sprintf("%s %s: %s", p.inputs[i].name, c.Path, problem.Problem), "give a whole LLaMA checkpoint"}
		}
	}
	return nil
}

// checkSize refuses inputs of different shapes.
func checkSize(_ context.Context, p *Plan) *CheckError {
	a := p.sources[0].Config
	for i, c := range p.sources {
		b := c.Config
		for _, x := range []struct {
			what string
			a, b int
		}{
			{"layers", a.Layers, b.Layers}, {"a width of", a.Dim, b.Dim}, {"a feed-forward width of", a.FFN, b.FFN},
			{vocabulary, a.Vocab, b.Vocab}, {"rows of keys", a.KeyRows(), b.KeyRows()},
		} {
			if x.a != x.b {
				return &CheckError{CheckSize, fmt.Sprintf("%s %s has %s %d, %s %s has %d (sizes %s and %s)",
					p.inputs[0].name, p.inputs[0].path, x.what, x.a, p.inputs[i].name, p.inputs[i].path, x.b, a.Size(), b.Size()),
					sizeCure(x.a-x.b, x.what == vocabulary)}
			}
		}
		if a.TiedEmbeddings != b.TiedEmbeddings {
			return &CheckError{CheckSize, fmt.Sprintf("only one of %s and %s has an output matrix", p.inputs[0].path, p.inputs[i].path), "give checkpoints of the same model"}
		}
	}
	return nil
}

const vocabulary = "a vocabulary of"

// sizeCure returns the advice about a difference in size. A small difference of
// vocabularies comes from tokens that a fine-tuning added, as Alpaca's did.
func sizeCure(by int, ofVocabulary bool) string {
	if ofVocabulary && max(by, -by) < 1000 {
		return "give checkpoints of the same vocabulary, or resize the base's, as ResizeVocab in the options or --resize-vocab on the command line"
	}
	return "give checkpoints of the same size and vocabulary"
}

// checkHeads refuses inputs of different numbers of heads, as far as the inputs
// contain the numbers.
func checkHeads(_ context.Context, p *Plan) *CheckError {
	known := 0
	for i, c := range p.sources {
		if h := c.Config.Heads; known == 0 {
			known = h
		} else if h != 0 && h != known {
			return &CheckError{CheckSize, fmt.Sprintf("%s %s has %d attention heads, %s has %d", p.inputs[0].name, p.inputs[0].path, known, p.inputs[i].path, h),
				"give checkpoints of the same model"}
		}
	}
	return nil
}

// checkRounded refuses a base that was rounded to bf16. LLaMA was released in fp16,
// and a rounded base changes an eighth of the recovered weights or more. Of fp16
// numbers one in eight is a bf16 number by chance.
func checkRounded(_ context.Context, p *Plan) *CheckError {
	for i, in := range p.inputs {
		if in.name != "base" {
			continue
		}
		e, err := p.evidenceOf(i)
		if err != nil {
			return &CheckError{CheckRounded, err.Error(), "see that the file can be read"}
		}
		if e.Rounded() {
			return &CheckError{CheckRounded, fmt.Sprintf("%.1f %% of the examined weights in base %s are bf16 numbers, while LLaMA was released in fp16", 100*e.BF16Share, in.path),
				"give the fp16 weights, or allow this check to fail if the diff was made from these"}
		}
	}
	return nil
}

// checkSwapped tells models from diffs by the scale of their norms: norms of a model
// are of the order of one, norms of a diff are near zero.
func checkSwapped(_ context.Context, p *Plan) *CheckError {
	if p.op == conversion {
		return nil
	}
	scale := make([]float64, len(p.sources))
	for i := range p.sources {
		e, err := p.evidenceOf(i)
		if err != nil {
			return &CheckError{CheckSwapped, err.Error(), "see that the file can be read"}
		}
		scale[i] = e.NormRMS
	}
	a, b := p.inputs[0], p.inputs[1]
	evidence := fmt.Sprintf("root mean square of norm weights: %.3g in %s %s, %.3g in %s %s", scale[0], a.name, a.path, scale[1], b.name, b.path)
	switch {
	case p.op == recovery && scale[1] > 4*scale[0]:
		return &CheckError{CheckSwapped, evidence, "base and diff look swapped: exchange them"}
	case p.op == recovery && scale[1] > scale[0]/4:
		return &CheckError{CheckSwapped, evidence, "the diff looks like a whole model: give the diff, or use the model as it is"}
	case p.op == difference && (scale[0] < scale[1]/4 || scale[1] < scale[0]/4):
		return &CheckError{CheckSwapped, evidence, "one of them looks like a diff: give two whole models"}
	}
	return nil
}
