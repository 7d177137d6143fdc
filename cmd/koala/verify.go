package main

import (
	"fmt"

	"github.com/koala-go/sdk/diff"
)

type verifyCmd struct {
	Path        string  `arg:"" help:"The output of recover, diff or convert."`
	Base        string  `placeholder:"PATH" help:"Recompute the output from this base and --diff."`
	Diff        string  `placeholder:"PATH" help:"The diff for --base."`
	Sample      percent `default:"100%" placeholder:"SHARE" help:"Share of the output to recompute: 1%, 0.01 (default ${default})."`
	Sums        string  `placeholder:"FILE" help:"Compare the files with this list, as md5sum or sha256sum write it."`
	ResizeVocab bool    `help:"As for recover."`

	logitsFlags `group:"Logits"`

	Heads       int  `placeholder:"N" help:"As for recover."`
	FollowLinks bool `help:"Allow shards to be symbolic links out of their directory."`
	Workers     int  `placeholder:"N" help:"Goroutines that work (default: one a core)."`
	Memory      size `default:"256MiB" placeholder:"SIZE" help:"Memory limit (default ${default})."`
	JSON        bool `name:"json" help:"Print one JSON document on stdout."`
	Quiet       bool `help:"No progress on stderr."`
}

func (c *verifyCmd) Help() string {
	return `Compares an output with the manifest that was written beside it, if there is one; with
--sums, with a list of checksums; with --base and --diff, with their sum, made anew in
memory. Exits with 1 when something differs, and names the file or the tensor.

--logits runs the model, which reads all weights once, and compares what it computes: with
the logits of a reference (--expect), or with another checkpoint in any format (--against),
which must give the same bits. With neither it says how likely the model finds a dialogue:
a report, no proof. Logits show a wrong order, a transposed or exchanged matrix, a wrong
base, rounding that went wrong in a whole tensor; not a single weight's last bit. Digests do.

Example:
  koala verify koala-7b
  koala verify koala-7b --base llama-7b-hf --diff koala_7b_diff_v2 --sample 1%
  koala verify llama/7B --sums llama/7B/checklist.chk
  koala verify koala-7b --logits --against koala-7b.gguf`
}

func (c *verifyCmd) Run(a *app) error {
	if c.Logits {
		return c.runLogits(a)
	}
	bar := newProgress(a.stderr, c.Quiet)
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
		err = fmt.Errorf("%s found, the first is %s: %s: fetch or make it again", plural(n, "difference"), r.Differences[0], c.Path)
	}
	return err
}

// print shows what was compared to people.
func (c *verifyCmd) print(a *app, r *diff.VerifyReport) {
	for _, d := range r.Differences {
		fmt.Fprintln(a.stdout, "differs:", d)
	}
	if r.Files > 0 {
		fmt.Fprintf(a.stdout, "compared: digests of %s\n", plural(r.Files, "file"))
	}
	if r.Tensors > 0 {
		fmt.Fprintf(a.stdout, "compared: %s with base + diff, %s in all\n", plural(r.Tensors, "tensor"), bytesText(r.Bytes))
	}
	if len(r.Differences) == 0 {
		fmt.Fprintln(a.stdout, "no difference")
	}
}
