package main

import "github.com/koala-go/sdk/diff"

type convertCmd struct {
	In    string `required:"" placeholder:"PATH" help:"Read the checkpoint from PATH."`
	DType string `name:"dtype" enum:"${dtypes},keep" default:"keep" help:"Write weights in this type: ${enum} (default ${default}). q8_0 requires gguf."`
	outputFlags
}

// Help returns the text below the usage line.
func (c *convertCmd) Help() string {
	return `Writes the weights of a checkpoint in another format, layout or data type. Without --dtype,
each tensor keeps its type and its bits.

Example:
  koala convert --in koala_7b.stream --out koala-7b-hf --dtype fp16`
}

// Run executes the command.
func (c *convertCmd) Run(a *app) error {
	return c.execute(a, c.DType, func(o *diff.Options) (*diff.Plan, error) { return diff.PlanConvert(a.ctx, c.In, c.Out, o) })
}
