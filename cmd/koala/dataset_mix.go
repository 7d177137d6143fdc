package main

import (
	"iter"
	"time"

	"github.com/koala-go/sdk/dataset"
	"github.com/koala-go/sdk/internal/vfs"
)

type datasetMixCmd struct {
	From    []weighted    `required:"" placeholder:"FILE=WEIGHT" help:"Source of training records and its weight: a file, or a pattern of files such as hh/*.jsonl=2. The flag may be repeated."`
	Out     string        `required:"" placeholder:"FILE" help:"Output file; - for standard output."`
	Total   int64         `help:"Number of records to write; a source that ends begins anew (default: each record once)."`
	Shuffle bool          `help:"Shuffle the mixture."`
	Seed    uint64        `help:"Seed of the draws and the shuffle."`
	Wait    time.Duration `placeholder:"TIME" help:"With --count: time to wait for the work of another run before doing it here, such as 30m (default: no time)."`
	SkipBad bool          `help:"Count bad records and continue."`
	Force   bool          `help:"Replace an existing output when the new one is complete."`
	Workers int           `placeholder:"N" help:"Number of goroutines (default: one per processor)."`
	JSON    bool          `name:"json" help:"Print the report as a JSON document on stdout."`
	Quiet   bool          `help:"Print no progress and no report on stderr."`
	unitFlags
}

func (c *datasetMixCmd) Help() string {
	return `With --count the inputs must be plain files of lines. --out is then a directory of units, which
together hold what one run without --count writes.

Example:
  koala dataset mix --from hh.jsonl=2 --from alpaca.jsonl=1 --shuffle --seed 7 --out train.jsonl`
}

func (c *datasetMixCmd) Run(a *app) error {
	f := &datasetFlags{SkipBad: c.SkipBad, Force: c.Force, Workers: c.Workers, JSON: c.JSON, Quiet: c.Quiet}
	var sources []dataset.MixUnitSource
	for _, from := range c.From {
		paths, err := expandPatterns(vfs.FromContext(a.ctx), []string{from.Name})
		if err != nil {
			return err
		}
		f.In = append(f.In, paths...)
		sources = append(sources, dataset.MixUnitSource{Name: from.Name, Weight: from.Weight, Inputs: dataset.Files(paths...)})
	}
	s, err := f.begin(a)
	if err != nil {
		return err
	}
	if c.Count > 0 {
		return s.end(c.runShared(s, sources))
	}
	return s.end(s.each(&c.unitFlags, c.Out, "", nil, func(task) error { return c.mix(s, sources) }))
}

// mix writes the whole mixture.
func (c *datasetMixCmd) mix(s *step, sources []dataset.MixUnitSource) error {
	list := make([]dataset.MixSource, len(sources))
	for i, from := range sources {
		list[i] = dataset.MixSource{Name: from.Name, Weight: from.Weight, Records: func() iter.Seq2[dataset.Record, error] {
			return dataset.Read(s.a.ctx, from.Inputs, &dataset.ReadOptions{SkipBad: c.SkipBad, Workers: c.Workers, Report: s.report})
		}}
	}
	records := dataset.Mix(list, &dataset.MixOptions{Seed: c.Seed, Total: c.Total})
	if c.Shuffle {
		records = dataset.Shuffle(s.a.ctx, records, &dataset.ShuffleOptions{Seed: c.Seed})
	}
	return s.writeRecords(c.Out, records)
}

// runShared does the share of one of several runs.
func (c *datasetMixCmd) runShared(s *step, sources []dataset.MixUnitSource) error {
	_, o, err := s.divide(&c.unitFlags, []any{"mix", c.From, c.Total, c.Shuffle, c.Seed, c.SkipBad})
	if err != nil {
		return err
	}
	return dataset.MixUnits(s.a.ctx, c.Out, sources, &dataset.MixUnitOptions{
		UnitOptions: *o, Mix: dataset.MixOptions{Seed: c.Seed, Total: c.Total}, Shuffle: c.Shuffle, Size: int64(c.UnitSize), Wait: c.Wait,
	}, s.readUnit)
}
