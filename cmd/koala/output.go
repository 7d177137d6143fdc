package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/koala-go/sdk/diff"
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/weights"
)

// outputFlags are what recover, diff and convert have in common.
type outputFlags struct {
	Out       string `required:"" placeholder:"PATH" help:"Where to write: a directory for safetensors and torch, a file for easylm and gguf."`
	Format    string `enum:"${formats}" default:"safetensors" help:"Format to write: ${enum} (default ${default}); torch is Meta's consolidated.*.pth."`
	ShardSize size   `default:"5GB" placeholder:"SIZE" help:"Largest safetensors file (default ${default})."`
	Shards    int    `placeholder:"N" help:"Number of Meta's shards: 1, 2, 4 or 8 (default: as LLaMA was released)."`
	Heads     int    `placeholder:"N" help:"Attention heads, where no input tells: an EasyLM stream of no released size."`
	Force     bool   `help:"Replace an existing output, once the new one is whole."`
	Resume    bool   `help:"Go on where an earlier run was stopped, and leave what is written when this one is."`
	Digests   string `enum:"none,output,all" default:"output" help:"Digests that the manifest holds: ${enum} (default ${default}); all is of the inputs too."`

	AllowNonfinite bool     `help:"Allow infinite and NaN results."`
	Allow          []string `placeholder:"CHECK" help:"Go on although this check refuses: swapped, rounded, recovered."`
	FollowLinks    bool     `help:"Allow shards to be symbolic links out of their directory."`

	Workers int  `placeholder:"N" help:"Goroutines that work (default: one a core, and one more for digests)."`
	Memory  size `default:"256MiB" placeholder:"SIZE" help:"Memory limit (default ${default})."`
	Plan    bool `help:"Say what would be done, check it, and write nothing."`
	JSON    bool `name:"json" help:"Print one JSON document on stdout."`
	Quiet   bool `help:"No progress and no summary on stderr."`
}

// formatVars returns the formats that can be written, for the enum of --format.
func formatVars() kong.Vars {
	var names []weights.Format
	for _, f := range weights.Formats() {
		if f.Writable() {
			names = append(names, f)
		}
	}
	return kong.Vars{"formats": commaList(names)}
}

// sumFlags are those of sums and differences; convert has a type of its own.
type sumFlags struct {
	ResizeVocab bool   `help:"Give a base of a smaller vocabulary the missing rows, each the mean of its others (Alpaca)."`
	DType       string `name:"dtype" enum:"bf16,fp16,fp32,q8_0" default:"bf16" help:"Type of the weights: ${enum} (default ${default}); q8_0 is for gguf."`
}

// dtypes are the names on the command line; keep is none.
var dtypes = map[string]dtype.Type{"bf16": dtype.BF16, "fp16": dtype.F16, "fp32": dtype.F32, "q8_0": dtype.Q8_0}

// do makes the plan, and carries it out unless only the plan was asked for.
func (f *outputFlags) do(a *app, dt string, plan func(*diff.Options) (*diff.Plan, error)) error {
	bar := newProgress(a.stderr, f.Quiet)
	p, err := plan(&diff.Options{
		Format: weights.Format(f.Format), DType: dtypes[dt], ShardSize: int64(f.ShardSize), Shards: f.Shards, Force: f.Force, Resume: f.Resume, Digests: diff.Digests(f.Digests),
		AllowNonFinite: f.AllowNonfinite, Allow: f.Allow, Heads: f.Heads, FollowLinks: f.FollowLinks,
		Workers: f.Workers, Memory: int64(f.Memory), Progress: bar.update,
	})
	if err != nil {
		return err
	}
	defer p.Close()
	if f.Plan {
		s := p.Summary()
		estimate, err := p.Estimate(a.ctx)
		s.Estimate = estimate.Seconds()
		return errors.Join(err, f.printPlan(a.stdout, s))
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
		printSummary(a.stderr, r.Summary)
		if r.Resumed > 0 {
			fmt.Fprintf(a.stderr, "resumed: %s were written by the earlier run\n", bytesText(r.Resumed))
		}
		fmt.Fprintf(a.stderr, "done in %.1f s, %.2f GB/s of output\n", r.Seconds, float64(r.WriteBytes)/r.Seconds/1e9)
	}
	return nil
}

func (f *outputFlags) printPlan(w io.Writer, s diff.Summary) error {
	if f.JSON {
		return printJSON(w, s)
	}
	printSummary(w, s)
	return nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printSummary prints a plan for people.
func printSummary(w io.Writer, s diff.Summary) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	for _, in := range s.Inputs {
		fmt.Fprintf(t, "%s\t%s\t%s, %s layout, %s, %s\n", in.Name, in.Path, in.Format, in.Layout, joined(in.DTypes), bytesText(in.Bytes))
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
	for _, w := range s.Warnings {
		fmt.Fprintf(t, "warning\t%s\t\n", w)
	}
}

func joined(types []dtype.Type) string {
	var words []string
	for _, t := range types {
		words = append(words, string(t))
	}
	return strings.Join(words, "+")
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// bytesText is a size for people, in powers of 1000.
func bytesText(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	f, u := float64(n), 0
	for ; f >= 1000 && u < len(units)-1; u++ {
		f /= 1000
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[u])
}

// size is a number of bytes on the command line: 5GB, 256MiB, 1000000.
type size int64

var sizeUnits = []struct {
	suffix string
	factor float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"b", 1}, {"", 1},
}

func (s *size) UnmarshalText(text []byte) error {
	word := strings.ToLower(string(text))
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(word, u.suffix)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if n := f * u.factor; err == nil && n >= 1 && n < 1<<62 {
			*s = size(n)
			return nil
		}
		break
	}
	return fmt.Errorf("%q is no size such as 5GB, 256MiB or 1000000", text)
}

// percent is a share on the command line: 1%, 0.01.
type percent float64

func (p *percent) UnmarshalText(text []byte) error {
	word, divided := strings.CutSuffix(string(text), "%")
	f, err := strconv.ParseFloat(word, 64)
	if divided {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1) {
		return fmt.Errorf("%q is no share such as 1%% or 0.01", text)
	}
	*p = percent(f)
	return nil
}
