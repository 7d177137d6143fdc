package main

import "github.com/koala-go/sdk/diff"

type diffCmd struct {
	Base   string `required:"" placeholder:"PATH" help:"The weights that the target was trained from."`
	Target string `required:"" placeholder:"PATH" help:"The trained weights."`
	sumFlags
	outputFlags
}

func (c *diffCmd) Help() string {
	return `Writes target - base: the diff from which recover makes the target again.

Example:
  koala diff --base llama-7b-hf --target my-model --format easylm --out my_diff`
}

func (c *diffCmd) Run(a *app) error {
	return c.do(a, c.DType, func(o *diff.Options) (*diff.Plan, error) {
		o.ResizeVocab = c.ResizeVocab
		return diff.PlanMake(a.ctx, c.Base, c.Target, c.Out, o)
	})
}
