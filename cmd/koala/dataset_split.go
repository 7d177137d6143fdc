package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/koala-go/sdk/dataset"
	"github.com/koala-go/sdk/internal/vfs"
)

// weighted is a NAME=WEIGHT of the command line.
type weighted struct {
	Name   string
	Weight float64
}

func (w *weighted) UnmarshalText(text []byte) error {
	at := strings.LastIndex(string(text), "=")
	f, err := strconv.ParseFloat(string(text[at+1:]), 64)
	if at <= 0 || err != nil {
		return fmt.Errorf("%q is not of the form NAME=WEIGHT, such as train=0.98", text)
	}
	*w = weighted{string(text[:at]), f}
	return nil
}

type datasetSplitCmd struct {
	Into []weighted `required:"" placeholder:"NAME=WEIGHT" help:"Part and its share. The flag may be repeated."`
	Out  string     `required:"" placeholder:"DIR" help:"Output directory for the parts, NAME.jsonl each. It is made if it does not exist."`
	Seed uint64     `help:"Seed of the hash. Another seed gives other parts."`
	datasetFlags
	unitFlags
}

func (c *datasetSplitCmd) Help() string {
	return `The part of a record depends only on the seed and the query, the text of all user turns. Records
with equal queries are in the same part.

Example:
  koala dataset split --in records.jsonl --into train=0.98 --into eval=0.02 --out parts`
}

func (c *datasetSplitCmd) Run(a *app) error {
	shares := make([]float64, len(c.Into))
	for i, part := range c.Into {
		shares[i] = part.Weight
		if err := vfs.CheckName(part.Name + ".jsonl"); err != nil {
			return fmt.Errorf("%w: part %q: give a plain name", err, part.Name)
		}
	}
	splitter, err := dataset.NewSplitter(c.Seed, shares)
	if err != nil {
		return fmt.Errorf("%w: --into: give positive weights", err)
	}
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	settings := []any{"split", c.Into, c.Seed, c.SkipBad}
	return s.end(s.each(&c.unitFlags, c.Out, "", settings, func(t task) error { return c.split(s, splitter, t) }))
}

// split writes the parts. Either all of them are published, or none if an error
// occurs before.
func (c *datasetSplitCmd) split(s *step, splitter *dataset.Splitter, t task) error {
	if err := s.fs.MkdirAll(t.out); err != nil {
		return err
	}
	var outs []*dataset.LineWriter
	err := func() error {
		for _, part := range c.Into {
			out, err := dataset.CreateLines(s.a.ctx, filepath.Join(t.out, part.Name+".jsonl"), s.Force)
			if err != nil {
				return err
			}
			outs = append(outs, out)
		}
		var line []byte
		for r, err := range s.readTask(t) {
			if err == nil {
				line = append(r.AppendJSON(line[:0]), '\n')
				_, err = outs[splitter.Part(&r)].Write(line)
			}
			if err != nil {
				return err
			}
			s.report.Written(1)
		}
		return nil
	}()
	for _, out := range outs {
		if err != nil {
			err = errors.Join(err, out.Discard())
		} else {
			err = out.Publish()
		}
	}
	return err
}
