package main

import (
	"fmt"

	"github.com/koala-go/sdk/diff"
)

type verifyCmd struct {
	Path        string  `arg:"" help:"Checkpoint to check: an output of recover, diff or convert, or any other."`
	Base        string  `placeholder:"PATH" help:"Recompute the weights from this base and --diff, and compare."`
	Diff        string  `placeholder:"PATH" help:"Diff to add to --base."`
	Sample      percent `default:"100%" placeholder:"SHARE" help:"Recompute this share of the weights, such as 1% or 0.01 (default ${default})."`
	Sums        string  `placeholder:"FILE" help:"Compare the files with a list of checksums in the form of md5sum or sha256sum."`
	ResizeVocab bool    `help:"Add rows to a base with a smaller vocabulary, as recover --resize-vocab does."`

	logitsFlags `group:"Logits"`

	Heads       int  `placeholder:"N" help:"Set the number of attention heads (default: read from the checkpoint)."`
	FollowLinks bool `help:"Follow symbolic links to shards outside the checkpoint's directory."`
	Workers     int  `placeholder:"N" help:"Use N goroutines (default: one per core)."`
	Memory      size `default:"256MiB" placeholder:"SIZE" help:"Limit memory to SIZE bytes (default ${default})."`
	JSON        bool `name:"json" help:"Print one JSON document on stdout."`
	Quiet       bool `help:"Print no progress on stderr."`
}

// Help returns the text below the usage line.
func (c *verifyCmd) Help() string {
	return `Compares the digests of a checkpoint with the manifest that was written with it. --sums also
compares its files with a list of checksums. --base and --diff also recompute the weights in
memory. With these flags, the manifest can be missing. If something differs, koala prints the
file or the tensor and exits with status 1.

With --logits, runs the model, which reads all weights once. --expect compares the logits with
those of a reference implementation. --against compares the model with another checkpoint in
any format: all results must be equal bit for bit. With neither flag, prints how likely the
model finds a dialogue, which is a report and proves nothing. Logits reveal a wrong tensor
order, a transposed or exchanged matrix, a wrong base, and rounding errors in a whole tensor.
They do not reveal a change in the last bit of a single weight. Digests do.

Example:
  koala verify koala-7b
  koala verify koala-7b --base llama-7b-hf --diff koala_7b_diff_v2 --sample 1%
  koala verify llama/7B --sums llama/7B/checklist.chk
  koala verify koala-7b --logits --against koala-7b.gguf`
}

// Run executes the command.
func (c *verifyCmd) Run(a *app) error {
	if c.Logits {
		return c.runLogits(a)
	}
	bar := newProgressBar(a.stderr, c.Quiet)
	r, err := diff.Verify(a.ctx, c.Path, &diff.VerifyOptions{
		Base: c.Base, Diff: c.Diff, Sample: float64(c.Sample), Sums: c.Sums, Heads: c.Heads, FollowLinks: c.FollowLinks,
		ResizeVocab: c.ResizeVocab, Workers: c.Workers, Memory: int64(c.Memory), Progress: bar.update,
	})
	bar.finish()
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(a.stdout, r)
	} else {
		c.print(a, r)
	}
	if n := len(r.Differences); err == nil && n > 0 {
		err = fmt.Errorf("%s, first %s: %s: fetch or create the checkpoint again", plural(n, "difference"), r.Differences[0], c.Path)
	}
	return err
}

// print prints the report for people.
func (c *verifyCmd) print(a *app, r *diff.VerifyReport) {
	for _, d := range r.Differences {
		fmt.Fprintln(a.stdout, "differs:", d)
	}
	if r.Files > 0 {
		fmt.Fprintf(a.stdout, "compared: digests of %s\n", plural(r.Files, "file"))
	}
	if r.Tensors > 0 {
		fmt.Fprintf(a.stdout, "compared: %s with base + diff, %s\n", plural(r.Tensors, "tensor"), bytesText(r.Bytes))
	}
	if len(r.Differences) == 0 {
		fmt.Fprintln(a.stdout, "no difference")
	}
}
