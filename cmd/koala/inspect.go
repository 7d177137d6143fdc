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
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/weights"
)

type inspectCmd struct {
	Path        []string `arg:"" help:"Checkpoints: files or directories."`
	Digest      bool     `help:"Add the sha256 of every tensor's bytes."`
	Heads       int      `placeholder:"N" help:"Attention heads, where the checkpoint does not tell."`
	FollowLinks bool     `help:"Allow shards to be symbolic links out of their directory."`
	JSON        bool     `name:"json" help:"Print one JSON document: an object, or a list for several paths."`
}

func (c *inspectCmd) Help() string {
	return `Reads headers and a glance at the weights, unless --digest is given. Any well-formed file of
a known format is shown, whether it is a whole LLaMA model or not. --digest also compares the
checksums that a torch file holds of itself.

Example:
  koala inspect llama-7b-hf koala_7b_diff_v2`
}

// inspected describes a checkpoint.
type inspected struct {
	Path       string            `json:"path"`
	Format     weights.Format    `json:"format"`
	Layout     string            `json:"layout,omitempty"`
	DType      string            `json:"dtype"` // of the weights; "mixed" when they differ
	Size       string            `json:"size"`  // "7B", … or "other"
	Parameters int64             `json:"parameters"`
	Bytes      int64             `json:"bytes"`
	Complete   bool              `json:"complete"`
	Problem    string            `json:"problem,omitempty"` // why it is not complete
	NormRMS    float64           `json:"norm_rms,omitempty"`
	BF16Share  float64           `json:"bf16_share,omitempty"`
	Suggests   string            `json:"suggests,omitempty"` // what these two suggest
	Config     *inspectedConfig  `json:"config,omitempty"`
	Tensors    []inspectedTensor `json:"tensors"`
}

type inspectedConfig struct {
	Layers  int `json:"layers"`
	Dim     int `json:"dim"`
	FFN     int `json:"ffn"`
	Vocab   int `json:"vocab"`
	Heads   int `json:"heads,omitempty"` // absent when unknown
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

	is weights.Param
}

func (c *inspectCmd) Run(a *app) error {
	var all []*inspected
	for _, path := range c.Path {
		one, err := c.inspect(a, path)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	switch {
	case c.JSON && len(all) == 1:
		return printJSON(a.stdout, all[0])
	case c.JSON:
		return printJSON(a.stdout, all)
	}
	for i, one := range all {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		one.print(a.stdout)
	}
	return nil
}

func (c *inspectCmd) inspect(a *app, path string) (*inspected, error) {
	ck, err := weights.Open(a.ctx, path, &weights.OpenOptions{Heads: c.Heads, FollowLinks: c.FollowLinks})
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	one := describe(ck)
	if one.Complete {
		if err := one.look(ck); err != nil {
			return nil, err
		}
	}
	if c.Digest {
		err = one.digest(a.ctx, ck)
	}
	return one, err
}

// look adds what a few of the weights suggest.
func (c *inspected) look(ck *weights.Checkpoint) error {
	e, err := ck.Provenance()
	c.NormRMS, c.BF16Share, c.Suggests = e.NormRMS, e.BF16Share, e.Describe()
	return err
}

// digest adds the digests of all tensors.
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

func describe(ck *weights.Checkpoint) *inspected {
	one := &inspected{Path: ck.Path, Format: ck.Format, Size: ck.Config.Size(), Tensors: []inspectedTensor{}}
	if ck.Layout != nil {
		one.Layout = ck.Layout.String()
		one.Config = &inspectedConfig{ck.Config.Layers, ck.Config.Dim, ck.Config.FFN, ck.Config.Vocab, ck.Config.Heads, ck.Config.KVHeads}
	}
	if err := ck.Complete(); err != nil {
		one.Problem = err.Error()
	}
	one.Complete = one.Problem == ""
	for _, t := range ck.Tensors {
		one.Bytes += t.Bytes()
		one.Tensors = append(one.Tensors, inspectedTensor{
			Name: t.Name, Param: t.Param.String(), DType: t.DType, Shape: append([]int64{}, t.Shape...), Bytes: t.Bytes(),
			File: filepath.Base(t.Path), Offset: t.Offset, is: t.Param,
		})
		if t.Param.Role == weights.Ignored {
			continue
		}
		one.Parameters += t.Len()
		switch one.DType {
		case "", string(t.DType):
			one.DType = string(t.DType)
		default:
			one.DType = "mixed"
		}
	}
	return one
}

func digest(t *weights.Tensor) (string, error) {
	sum := sha256.New()
	_, err := io.CopyBuffer(sum, io.NewSectionReader(t, 0, t.Bytes()), make([]byte, 1<<20))
	return hex.EncodeToString(sum.Sum(nil)), err
}

// print shows a checkpoint to people.
func (c *inspected) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s, %s, %s, %s\n", c.Path, c.Format, c.DType, plural(len(c.Tensors), "tensor"), bytesText(c.Bytes))
	if c.Config != nil {
		fmt.Fprintf(w, "size %s: %s parameters, %s\n", c.Size, grouped(c.Parameters), c.Config)
	}
	switch {
	case !c.Complete:
		fmt.Fprintln(w, "not a whole LLaMA model:", c.Problem)
	default:
		fmt.Fprintf(w, "a whole LLaMA model; looks like %s (RMS of norms %.3g, %.0f %% of weights bf16)\n", c.Suggests, c.NormRMS, 100*c.BF16Share)
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
		s += fmt.Sprintf(" (%d of keys and values)", c.KVHeads)
	}
	return s
}

// groups divides the tensors by their headings: what stands outside the
// layers, the layers in order, what is no weight.
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
	slices.SortStableFunc(sorted, func(a, b inspectedTensor) int { return cmp.Compare(rank(a.is), rank(b.is)) })
	var groups [][]inspectedTensor
	for i, x := range sorted {
		if i == 0 || rank(x.is) != rank(sorted[i-1].is) {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], x)
	}
	return groups
}

// heading is what a group of tensors stands under.
func heading(p weights.Param) string {
	switch {
	case p.Role.InLayer():
		return fmt.Sprint("layer ", p.Layer)
	case p.IsWeight():
		return "outside the layers"
	}
	return "no weights"
}

// printGroup shows the tensors under a heading, and their sum.
func printGroup(t io.Writer, members []inspectedTensor) {
	var sum int64
	for _, x := range members {
		sum += x.Bytes
	}
	name := heading(members[0].is)
	fmt.Fprintf(t, "%s\t\t\t\t%s\n", name, bytesText(sum))
	for _, x := range members {
		shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(x.Shape), "[]"), " ", "×")
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%d\t%s@%d\t%s\n", x.Name, strings.TrimPrefix(x.Param, name+" "), x.DType, shape, x.Bytes, x.File, x.Offset, x.SHA256)
	}
}

// grouped writes a number with commas.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
