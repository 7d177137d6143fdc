package main

import "github.com/koala-go/sdk/diff"

type recoverCmd struct {
	Base string `required:"" placeholder:"PATH" help:"Read LLaMA's fp16 weights from PATH."`
	Diff string `required:"" placeholder:"PATH" help:"Read the released diff from PATH."`
	combineFlags
	outputFlags
}

// Help returns the text below the usage line.
func (c *recoverCmd) Help() string {
	return `Adds the diff to the base and writes the recovered model, bit for bit as the reference
implementation does. Base and diff can have different formats and layouts: each tensor is
matched by its role in the model.

Example:
  koala recover --base llama-7b-hf --diff koala_7b_diff_v2 --out koala-7b`
}

// Run executes the command.
func (c *recoverCmd) Run(a *app) error {
	return c.execute(a, c.DType, func(o *diff.Options) (*diff.Plan, error) {
		o.ResizeVocab = c.ResizeVocab
		return diff.PlanRecover(a.ctx, c.Base, c.Diff, c.Out, o)
	})
}
