package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/weights"
)

type inspectCmd struct {
	Path        []string `arg:"" help:"Checkpoints to show: files or directories."`
	Digest      bool     `help:"Print the sha256 digest of each tensor's bytes."`
	Heads       int      `placeholder:"N" help:"Set the number of attention heads (default: read from the checkpoint)."`
	FollowLinks bool     `help:"Follow symbolic links to shards outside the checkpoint's directory."`
	JSON        bool     `name:"json" help:"Print one JSON document on stdout: an object, or an array for several paths."`
}

// Help returns the text below the usage line.
func (c *inspectCmd) Help() string {
	return `Prints the format, the size and the tensors of each checkpoint. Any well-formed file of a known
format is accepted, also one that is not a complete LLaMA model. Only the headers and a small
sample of the weights are read. --digest reads everything, and also checks the checksums
inside a torch file.

Example:
  koala inspect llama-7b-hf koala_7b_diff_v2`
}

// inspected is the document that --json prints.
type inspected struct {
	Path       string            `json:"path"`
	Format     weights.Format    `json:"format"`
	Layout     string            `json:"layout,omitempty"`
	DType      string            `json:"dtype"` // of the weights; "mixed" if they differ
	Size       string            `json:"size"`  // such as "7B", or "other"
	Parameters int64             `json:"parameters"`
	Bytes      int64             `json:"bytes"`
	Complete   bool              `json:"complete"`
	Problem    string            `json:"problem,omitempty"` // why Complete is false
	NormRMS    float64           `json:"norm_rms,omitempty"`
	BF16Share  float64           `json:"bf16_share,omitempty"`
	Suggests   string            `json:"suggests,omitempty"` // kind of checkpoint that NormRMS and BF16Share suggest
	Config     *inspectedConfig  `json:"config,omitempty"`
	Tensors    []inspectedTensor `json:"tensors"`
}

type inspectedConfig struct {
	Layers  int `json:"layers"`
	Dim     int `json:"dim"`
	FFN     int `json:"ffn"`
	Vocab   int `json:"vocab"`
	Heads   int `json:"heads,omitempty"` // zero if unknown
	KVHeads int `json:"kv_heads,omitempty"`
}

type inspectedTensor struct {
	Name   string     `json:"name"`
	Param  string     `json:"param"`
	DType  dtype.Type `json:"dtype"`
	Shape  []int64    `json:"shape"`
	Bytes  int64      `json:"bytes"`
	File   string     `json:"file"`
	Offset int64      `json:"offset"`
	SHA256 string     `json:"sha256,omitempty"`

	param weights.Param
}

// Run executes the command.
func (c *inspectCmd) Run(a *app) error {
	var all []*inspected
	for _, path := range c.Path {
		shown, err := c.inspect(a, path)
		if err != nil {
			return err
		}
		all = append(all, shown)
	}
	switch {
	case c.JSON && len(all) == 1:
		return printJSON(a.stdout, all[0])
	case c.JSON:
		return printJSON(a.stdout, all)
	}
	for i, shown := range all {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		shown.print(a.stdout)
	}
	return nil
}

func (c *inspectCmd) inspect(a *app, path string) (*inspected, error) {
	ck, err := weights.Open(a.ctx, path, &weights.OpenOptions{Heads: c.Heads, FollowLinks: c.FollowLinks})
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	shown := describe(ck)
	if shown.Complete {
		if err := shown.sample(ck); err != nil {
			return nil, err
		}
	}
	if c.Digest {
		err = shown.digest(a.ctx, ck)
	}
	return shown, err
}

// sample adds the statistics of a small sample of the weights.
func (c *inspected) sample(ck *weights.Checkpoint) error {
	e, err := ck.Provenance()
	c.NormRMS, c.BF16Share, c.Suggests = e.NormRMS, e.BF16Share, e.Describe()
	return err
}

// digest adds the digest of every tensor, and checks the checksums of the file.
func (c *inspected) digest(ctx context.Context, ck *weights.Checkpoint) (err error) {
	for i, t := range ck.Tensors {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.Tensors[i].SHA256, err = digest(t); err != nil {
			return err
		}
	}
	return ck.CheckSums(ctx)
}

// describe returns what the headers of a checkpoint tell.
func describe(ck *weights.Checkpoint) *inspected {
	shown := &inspected{Path: ck.Path, Format: ck.Format, Size: ck.Config.Size(), Tensors: []inspectedTensor{}}
	if ck.Layout != nil {
		shown.Layout = ck.Layout.String()
		shown.Config = &inspectedConfig{ck.Config.Layers, ck.Config.Dim, ck.Config.FFN, ck.Config.Vocab, ck.Config.Heads, ck.Config.KVHeads}
	}
	if err := ck.Complete(); err != nil {
		shown.Problem = err.Error()
	}
	shown.Complete = shown.Problem == ""
	for _, t := range ck.Tensors {
		shown.Bytes += t.Bytes()
		shown.Tensors = append(shown.Tensors, inspectedTensor{
			Name: t.Name, Param: t.Param.String(), DType: t.DType, Shape: append([]int64{}, t.Shape...), Bytes: t.Bytes(),
			File: filepath.Base(t.Path), Offset: t.Offset, param: t.Param,
		})
		if t.Param.Role == weights.Ignored {
			continue
		}
		shown.Parameters += t.Len()
		switch shown.DType {
		case "", string(t.DType):
			shown.DType = string(t.DType)
		default:
			shown.DType = "mixed"
		}
	}
	return shown
}

// digest returns the sha256 digest of the bytes of a tensor.
func digest(t *weights.Tensor) (string, error) {
	sum := sha256.New()
	_, err := io.CopyBuffer(sum, io.NewSectionReader(t, 0, t.Bytes()), make([]byte, 1<<20))
	return hex.EncodeToString(sum.Sum(nil)), err
}

// print prints a checkpoint for people.
func (c *inspected) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s, %s, %s, %s\n", c.Path, c.Format, c.DType, plural(len(c.Tensors), "tensor"), bytesText(c.Bytes))
	if c.Config != nil {
		fmt.Fprintf(w, "size %s: %s parameters, %s\n", c.Size, humanize.Comma(c.Parameters), c.Config)
	}
	switch {
	case !c.Complete:
		fmt.Fprintln(w, "not a complete LLaMA model:", c.Problem)
	default:
		fmt.Fprintf(w, "a complete LLaMA model; looks like %s (RMS of norm weights %.3g, %.0f %% of weights are bf16 numbers)\n", c.Suggests, c.NormRMS, 100*c.BF16Share)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	for _, members := range c.groups() {
		printGroup(t, members)
	}
}

func (c *inspectedConfig) String() string {
	s := fmt.Sprintf("%s, width %d, feed-forward %d, vocabulary %d", plural(c.Layers, "layer"), c.Dim, c.FFN, c.Vocab)
	if c.Heads > 0 {
		s += ", " + plural(c.Heads, "head")
	}
	if c.KVHeads != c.Heads {
		s += fmt.Sprintf(" (%d for keys and values)", c.KVHeads)
	}
	return s
}

// groups divides the tensors into the weights outside the layers, the layers in
// order, and other tensors.
func (c *inspected) groups() [][]inspectedTensor {
	rank := func(p weights.Param) int {
		switch {
		case p.Role.InLayer():
			return p.Layer
		case p.IsWeight():
			return -1
		}
		return math.MaxInt
	}
	sorted := slices.Clone(c.Tensors)
	slices.SortStableFunc(sorted, func(a, b inspectedTensor) int { return cmp.Compare(rank(a.param), rank(b.param)) })
	var groups [][]inspectedTensor
	for i, x := range sorted {
		if i == 0 || rank(x.param) != rank(sorted[i-1].param) {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], x)
	}
	return groups
}

// heading returns the title of the group of a tensor.
func heading(p weights.Param) string {
	switch {
	case p.Role.InLayer():
		return fmt.Sprint("layer ", p.Layer)
	case p.IsWeight():
		return "outside the layers"
	}
	return "other tensors"
}

// printGroup prints a heading with the size of the group, and its tensors.
func printGroup(t io.Writer, members []inspectedTensor) {
	var sum int64
	for _, x := range members {
		sum += x.Bytes
	}
	name := heading(members[0].param)
	fmt.Fprintf(t, "%s\t\t\t\t%s\n", name, bytesText(sum))
	for _, x := range members {
		shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(x.Shape), "[]"), " ", "×")
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%d\t%s@%d\t%s\n", x.Name, strings.TrimPrefix(x.Param, name+" "), x.DType, shape, x.Bytes, x.File, x.Offset, x.SHA256)
	}
}
