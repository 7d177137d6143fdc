package main

import "github.com/koala-go/sdk/diff"

type diffCmd struct {
	Base   string `required:"" placeholder:"PATH" help:"Read the weights that the target was trained from."`
	Target string `required:"" placeholder:"PATH" help:"Read the trained weights."`
	combineFlags
	outputFlags
}

// Help returns the text below the usage line.
func (c *diffCmd) Help() string {
	return `Writes target - base. koala recover adds this diff to the base to restore the target.

Example:
  koala diff --base llama-7b-hf --target my-model --format easylm --out my_diff`
}

// Run executes the command.
func (c *diffCmd) Run(a *app) error {
	return c.execute(a, c.DType, func(o *diff.Options) (*diff.Plan, error) {
		o.ResizeVocab = c.ResizeVocab
		return diff.PlanMake(a.ctx, c.Base, c.Target, c.Out, o)
	})
}
