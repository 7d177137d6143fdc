package main

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/koala-go/sdk/dataset"
	"github.com/koala-go/sdk/internal/vfs"
)

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// weighted is a NAME=WEIGHT of the command line.
type weighted struct {
	Name   string
	Weight float64
}

func (w *weighted) UnmarshalText(text []byte) error {
	name, weight, ok := strings.Cut(string(text), "=")
	if at := strings.LastIndex(string(text), "="); ok {
		name, weight = string(text[:at]), string(text[at+1:])
	}
	f, err := strconv.ParseFloat(weight, 64)
	if !ok || name == "" || err != nil {
		return fmt.Errorf("%q is no NAME=WEIGHT such as train=0.98", text)
	}
	*w = weighted{name, f}
	return nil
}

type datasetSplitCmd struct {
	Into []weighted `required:"" placeholder:"NAME=WEIGHT" help:"A part and its share; may be given more than once."`
	Out  string     `required:"" placeholder:"DIR" help:"Directory for the parts, NAME.jsonl each; it is made if it is not there."`
	Seed uint64     `help:"Another seed gives other parts."`
	datasetFlags
	unitFlags
}

func (c *datasetSplitCmd) Help() string {
	return `A record's part depends on the seed and what the person says alone: equal queries are in one part.

Example:
  koala dataset split --in records.jsonl --into train=0.98 --into eval=0.02 --out parts`
}

func (c *datasetSplitCmd) Run(a *app) error {
	weights := make([]float64, len(c.Into))
	for i, part := range c.Into {
		weights[i] = part.Weight
		if err := vfs.CheckName(part.Name + ".jsonl"); err != nil {
			return fmt.Errorf("%w: part %q: give a plain name", err, part.Name)
		}
	}
	splitter, err := dataset.NewSplitter(c.Seed, weights)
	if err != nil {
		return fmt.Errorf("%w: --into: give positive weights", err)
	}
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	return s.end(s.each(&c.unitFlags, c.Out, "", []any{"split", c.Into, c.Seed, c.SkipBad}, func(p place) error { return c.split(s, splitter, p) }))
}

func (c *datasetSplitCmd) split(s *step, splitter *dataset.Splitter, p place) error {
	if err := os.MkdirAll(p.out, 0o777); err != nil {
		return err
	}
	var outs []*dataset.LineWriter
	err := func() error {
		for _, part := range c.Into {
			out, err := dataset.CreateLines(filepath.Join(p.out, part.Name+".jsonl"), s.Force)
			if err != nil {
				return err
			}
			outs = append(outs, out)
		}
		var line []byte
		for r, err := range s.at(p) {
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

type datasetMixCmd struct {
	From    []weighted    `required:"" placeholder:"FILE=WEIGHT" help:"A source of training records and its weight: a file, or a pattern of files such as hh/*.jsonl=2. May be given more than once."`
	Out     string        `required:"" placeholder:"FILE" help:"Where to write; - for standard output."`
	Total   int64         `help:"Records to write; sources that end begin anew (default: all records once)."`
	Shuffle bool          `help:"Shuffle what comes out."`
	Seed    uint64        `help:"Of the draws and the shuffle."`
	Wait    time.Duration `placeholder:"TIME" help:"With --count: how long to wait for what other runs do before doing it here, as in 30m (default: not at all)."`
	SkipBad bool          `help:"Count bad records and go on."`
	Force   bool          `help:"Replace an existing output, once the new one is whole."`
	Workers int           `placeholder:"N" help:"Goroutines (default: one a core)."`
	JSON    bool          `name:"json" help:"Print the report as a JSON document on stdout."`
	Quiet   bool          `help:"No progress and no report on stderr."`
	unitFlags
}

func (c *datasetMixCmd) Help() string {
	return `With --count the inputs must be plain files of lines, and --out is a directory of units that together
hold what one run without --count writes.

Example:
  koala dataset mix --from hh.jsonl=2 --from alpaca.jsonl=1 --shuffle --seed 7 --out train.jsonl`
}

func (c *datasetMixCmd) Run(a *app) error {
	f := &datasetFlags{SkipBad: c.SkipBad, Force: c.Force, Workers: c.Workers, JSON: c.JSON, Quiet: c.Quiet}
	var sources []dataset.MixUnitSource
	for _, from := range c.From {
		paths, err := expand([]string{from.Name})
		if err != nil {
			return err
		}
		f.In = append(f.In, paths...)
		sources = append(sources, dataset.MixUnitSource{Name: from.Name, Weight: from.Weight, Paths: paths})
	}
	s, err := f.begin(a)
	if err != nil {
		return err
	}
	if c.Count > 0 {
		return s.end(c.shared(s, sources))
	}
	return s.end(s.each(&c.unitFlags, c.Out, "", nil, func(place) error { return c.mix(s, sources) }))
}

func (c *datasetMixCmd) mix(s *step, sources []dataset.MixUnitSource) error {
	list := make([]dataset.MixSource, len(sources))
	for i, from := range sources {
		list[i] = dataset.MixSource{Name: from.Name, Weight: from.Weight, Records: func() iter.Seq2[dataset.Record, error] {
			return dataset.Read(s.a.ctx, dataset.Files(from.Paths...), &dataset.ReadOptions{SkipBad: c.SkipBad, Workers: c.Workers, Report: s.report})
		}}
	}
	records := dataset.Mix(list, &dataset.MixOptions{Seed: c.Seed, Total: c.Total})
	if c.Shuffle {
		records = dataset.Shuffle(records, &dataset.ShuffleOptions{Seed: c.Seed})
	}
	return s.write(c.Out, records)
}

// shared is one of several runs.
func (c *datasetMixCmd) shared(s *step, sources []dataset.MixUnitSource) error {
	_, o, err := s.divide(&c.unitFlags, []any{"mix", c.From, c.Total, c.Shuffle, c.Seed, c.SkipBad})
	if err != nil {
		return err
	}
	return dataset.MixUnits(s.a.ctx, c.Out, sources, dataset.MixUnitOptions{
		UnitOptions: o, Mix: dataset.MixOptions{Seed: c.Seed, Total: c.Total}, Shuffle: c.Shuffle, Size: int64(c.UnitSize), Wait: c.Wait,
	}, func(u dataset.Unit) iter.Seq2[dataset.Record, error] {
		return s.read(dataset.Files(u.Path), dataset.ReadOptions{Start: u.Start})
	})
}
