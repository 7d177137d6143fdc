package main

import "github.com/koala-go/sdk/diff"

type convertCmd struct {
	In    string `required:"" placeholder:"PATH" help:"The checkpoint to read."`
	DType string `name:"dtype" enum:"bf16,fp16,fp32,q8_0,keep" default:"keep" help:"Type of the weights: ${enum} (default ${default})."`
	outputFlags
}

func (c *convertCmd) Help() string {
	return `Writes the same weights in another format, layout or type. Without --dtype every
weight keeps its bits.

Example:
  koala convert --in koala_7b.stream --out koala-7b-hf --dtype fp16`
}

func (c *convertCmd) Run(a *app) error {
	return c.do(a, c.DType, func(o *diff.Options) (*diff.Plan, error) { return diff.PlanConvert(a.ctx, c.In, c.Out, o) })
}
