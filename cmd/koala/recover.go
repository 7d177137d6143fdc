package main

import "github.com/koala-go/sdk/diff"

type recoverCmd struct {
	Base string `required:"" placeholder:"PATH" help:"LLaMA's weights, in fp16."`
	Diff string `required:"" placeholder:"PATH" help:"The released diff."`
	sumFlags
	outputFlags
}

func (c *recoverCmd) Help() string {
	return `Writes base + diff, bit for bit as the reference makes it. Base and diff may be of any
format and layout: they are matched by what each weight is.

Example:
  koala recover --base llama-7b-hf --diff koala_7b_diff_v2 --out koala-7b`
}

func (c *recoverCmd) Run(a *app) error {
	return c.do(a, c.DType, func(o *diff.Options) (*diff.Plan, error) {
		o.ResizeVocab = c.ResizeVocab
		return diff.PlanRecover(a.ctx, c.Base, c.Diff, c.Out, o)
	})
}
