package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

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
	return `Reads headers only, unless --digest is given. Any well-formed file of a known format is
shown, whether it is a whole LLaMA model or not.

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
	Config     *inspectedConfig  `json:"config,omitempty"`
	Tensors    []inspectedTensor `json:"tensors"`
}

type inspectedConfig struct {
	Layers int `json:"layers"`
	Dim    int `json:"dim"`
	FFN    int `json:"ffn"`
	Vocab  int `json:"vocab"`
	Heads  int `json:"heads,omitempty"` // absent when unknown
}

type inspectedTensor struct {
	Name   string        `json:"name"`
	Param  string        `json:"param"`
	DType  weights.DType `json:"dtype"`
	Shape  []int64       `json:"shape"`
	Bytes  int64         `json:"bytes"`
	File   string        `json:"file"`
	Offset int64         `json:"offset"`
	SHA256 string        `json:"sha256,omitempty"`
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
	ck, err := weights.Open(path, &weights.OpenOptions{Heads: c.Heads, FollowLinks: c.FollowLinks})
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	one := describe(ck)
	for i, t := range ck.Tensors {
		if !c.Digest {
			break
		}
		if err := a.ctx.Err(); err != nil {
			return nil, err
		}
		if one.Tensors[i].SHA256, err = digest(t); err != nil {
			return nil, err
		}
	}
	return one, nil
}

func describe(ck *weights.Checkpoint) *inspected {
	one := &inspected{Path: ck.Path, Format: ck.Format, Size: ck.Config.Size(), Tensors: []inspectedTensor{}}
	if ck.Layout != nil {
		one.Layout = ck.Layout.String()
		one.Config = &inspectedConfig{ck.Config.Layers, ck.Config.Dim, ck.Config.FFN, ck.Config.Vocab, ck.Config.Heads}
	}
	if err := ck.Complete(); err != nil {
		one.Problem = err.Error()
	}
	one.Complete = one.Problem == ""
	for _, t := range ck.Tensors {
		one.Bytes += t.Bytes()
		one.Tensors = append(one.Tensors, inspectedTensor{
			Name: t.Name, Param: t.Param.String(), DType: t.DType, Shape: append([]int64{}, t.Shape...), Bytes: t.Bytes(),
			File: filepath.Base(t.Path), Offset: t.Offset,
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
	fmt.Fprintf(w, "%s: %s, %s, %s of size %s, %d parameters, %s\n", c.Path, c.Format, c.DType,
		plural(len(c.Tensors), "tensor"), c.Size, c.Parameters, bytesText(c.Bytes))
	if c.Complete {
		fmt.Fprintln(w, "a whole LLaMA model")
	} else {
		fmt.Fprintln(w, "not a whole LLaMA model:", c.Problem)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	fmt.Fprintln(t, "tensor\tis\ttype\tshape\tbytes\tplace\tsha256")
	for _, x := range c.Tensors {
		shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(x.Shape), "[]"), " ", "×")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s@%d\t%s\n", x.Name, x.Param, x.DType, shape, x.Bytes, x.File, x.Offset, x.SHA256)
	}
}
