package main

import (
	"iter"
	"time"

	"github.com/koala-go/sdk/dataset"
)

type datasetDedupCmd struct {
	Out    string        `required:"" placeholder:"FILE" help:"Output file; - for standard output."`
	Memory int           `default:"2000000" placeholder:"N" help:"Number of queries kept in memory; older ones go to a temporary file (default ${default})."`
	Wait   time.Duration `placeholder:"TIME" help:"With --count: time to wait for the work of another run before doing it here, such as 30m (default: no time)."`
	datasetFlags
	unitFlags
}

func (c *datasetDedupCmd) Help() string {
	return `Reads training records. The query of a record is the text of all user turns. A record with helpful
replies and one with unhelpful replies are not duplicates.

Example:
  koala dataset dedup --in hh.jsonl --in alpaca.jsonl --out records.jsonl`
}

func (c *datasetDedupCmd) Run(a *app) error {
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	if c.Count > 0 {
		return s.end(c.runShared(s))
	}
	return s.end(s.each(&c.unitFlags, c.Out, "", nil, func(t task) error {
		records := s.read(t.inputs, dataset.ReadOptions{})
		return s.writeRecords(t.out, dataset.Dedup(a.ctx, records, &dataset.DedupOptions{Memory: c.Memory, Report: s.report}))
	}))
}

// runShared removes duplicates together with other runs.
func (c *datasetDedupCmd) runShared(s *step) error {
	units, o, err := s.divide(&c.unitFlags, []any{"dedup", c.SkipBad})
	if err != nil {
		return err
	}
	return dataset.DedupUnits(s.a.ctx, c.Out, units, &dataset.DedupUnitOptions{UnitOptions: *o, Memory: c.Memory, Wait: c.Wait}, s.readUnit,
		func(_ dataset.Unit, path string, records iter.Seq2[dataset.Record, error]) error {
			return s.writeRecords(path, records)
		})
}
