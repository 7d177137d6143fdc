package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/koala-go/sdk/diff"
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/weights"
)

// outputFlags are the flags that recover, diff and convert share.
type outputFlags struct {
	Out       string `required:"" placeholder:"PATH" help:"Write the checkpoint to PATH: a directory for safetensors and torch, a file for easylm and gguf."`
	Format    string `enum:"${formats}" default:"safetensors" help:"Write this format: ${enum} (default ${default}). torch is Meta's consolidated.*.pth."`
	ShardSize size   `default:"5GB" placeholder:"SIZE" help:"Split safetensors files at SIZE bytes (default ${default})."`
	Shards    int    `placeholder:"N" help:"Write N of Meta's shards: 1, 2, 4 or 8 (default: as many as LLaMA was released in)."`
	Heads     int    `placeholder:"N" help:"Set the number of attention heads (default: read from the inputs). An EasyLM stream does not record it."`
	Force     bool   `help:"Replace an existing output when the new one is complete."`
	Resume    bool   `help:"Continue an interrupted run, and keep the partial output if this run is interrupted too."`
	Digests   string `enum:"${digests}" default:"output" help:"Record sha256 digests in the manifest: ${enum} (default ${default}). all includes the inputs."`

	AllowNonfinite bool     `help:"Accept results that are infinite or NaN."`
	Allow          []string `placeholder:"CHECK" help:"Continue although CHECK fails: swapped, rounded, recovered."`
	FollowLinks    bool     `help:"Follow symbolic links to shards outside the checkpoint's directory."`

	Workers int  `placeholder:"N" help:"Use N goroutines (default: one per core, plus one for digests)."`
	Memory  size `default:"256MiB" placeholder:"SIZE" help:"Limit memory to SIZE bytes (default ${default})."`
	Plan    bool `help:"Check the inputs, print what would be done, and write nothing."`
	JSON    bool `name:"json" help:"Print one JSON document on stdout."`
	Quiet   bool `help:"Print no progress and no summary on stderr."`
}

// combineFlags are the further flags of recover and diff. For convert, the
// data type has another default.
type combineFlags struct {
	ResizeVocab bool   `help:"Add rows to a base with a smaller vocabulary, each the mean of the existing rows, as Alpaca does."`
	DType       string `name:"dtype" enum:"${dtypes}" default:"bf16" help:"Write weights in this type: ${enum} (default ${default}). q8_0 requires gguf."`
}

// execute makes a plan and runs it, or prints it with --plan. dt is the name
// of the output's data type.
func (f *outputFlags) execute(a *app, dt string, plan func(*diff.Options) (*diff.Plan, error)) error {
	bar := newProgressBar(a.stderr, f.Quiet)
	p, err := plan(f.options(dt, bar))
	if err != nil {
		return err
	}
	defer p.Close()
	if f.Plan {
		return f.printPlan(a, p)
	}
	r, err := p.Run(a.ctx)
	bar.finish()
	if f.Resume && errors.Is(err, context.Canceled) {
		return errStopped
	}
	if err != nil {
		return err
	}
	if f.JSON {
		return printJSON(a.stdout, r)
	}
	if !f.Quiet {
		printReport(a.stderr, r)
	}
	return nil
}

// options returns the library's options for the flags.
func (f *outputFlags) options(dt string, bar *progressBar) *diff.Options {
	return &diff.Options{
		Format: weights.Format(f.Format), DType: parseDType(dt), ShardSize: int64(f.ShardSize), Shards: f.Shards, Heads: f.Heads,
		Force: f.Force, Resume: f.Resume, Digests: diff.Digests(f.Digests),
		AllowNonFinite: f.AllowNonfinite, Allow: f.Allow, FollowLinks: f.FollowLinks,
		Workers: f.Workers, Memory: int64(f.Memory),
		Progress: bar.update,
	}
}

func (f *outputFlags) printPlan(a *app, p *diff.Plan) error {
	w := a.stdout
	s := p.Summary()
	estimate, err := p.Estimate(a.ctx)
	s.Estimate = estimate.Seconds()
	if f.JSON {
		return errors.Join(err, printJSON(w, s))
	}
	printSummary(w, s)
	return err
}

// printReport prints what a run did, for people.
func printReport(w io.Writer, r *diff.Report) {
	printSummary(w, r.Summary)
	if r.Resumed > 0 {
		fmt.Fprintf(w, "resumed: the earlier run had written %s\n", bytesText(r.Resumed))
	}
	elapsed := time.Duration(r.Seconds * float64(time.Second))
	fmt.Fprintf(w, "done in %.1f s: %s of output\n", r.Seconds, rateText(r.WriteBytes, elapsed))
}

// printSummary prints a plan for people.
func printSummary(w io.Writer, s diff.Summary) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	for _, in := range s.Inputs {
		fmt.Fprintf(t, "%s\t%s\t%s, %s layout, %s, %s\n", in.Name, in.Path, in.Format, in.Layout, joinTypes(in.DTypes), bytesText(in.Bytes))
	}
	dt := string(s.DType)
	if dt == "" {
		dt = "types kept"
	}
	fmt.Fprintf(t, "out\t%s\t%s, %s, %s in %s\n", s.Out, s.Format, dt, bytesText(s.WriteBytes), plural(len(s.Files), "file"))
	fmt.Fprintf(t, "model\t%s\t%d tensors, %d parameters\n", s.Size, s.Tensors, s.Parameters)
	fmt.Fprintf(t, "rule\t%s\t\n", s.Rule)
	fmt.Fprintf(t, "memory\t%s\tof buffers, %s\n", bytesText(s.Memory), plural(s.Workers, "worker"))
	if s.Estimate > 0 {
		fmt.Fprintf(t, "time\t%.1f s\tif writing is as fast as reading the first input\n", s.Estimate)
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(t, "warning\t%s\t\n", warning)
	}
}

// joinTypes returns types as in "F16+F32".
func joinTypes(types []dtype.Type) string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = string(t)
	}
	return strings.Join(words, "+")
}
