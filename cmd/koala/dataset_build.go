package main

import (
	"iter"

	"github.com/koala-go/sdk/dataset"
)

// sourceFlags are the options of the rule of a source.
type sourceFlags struct {
	Compat       bool   `help:"Accept defects, as the reference does."`
	PositiveOnly bool   `help:"Leave out the replies that people liked less."`
	Seed         uint64 `help:"Seed of the choice among the phrases of a task."`
	Phrase       int    `placeholder:"N" help:"Number of the phrase to use always, from 1 (default: chosen by seed and record)."`
	Part         string `placeholder:"PART" help:"Part to read of a ShareGPT file with parts: train, eval or all (default train)."`
}

// options returns the options for reading a source.
func (f *sourceFlags) options(source string) dataset.ReadOptions {
	return dataset.ReadOptions{
		Source: dataset.Source(source), Compat: f.Compat, PositiveOnly: f.PositiveOnly, Seed: f.Seed, Phrase: f.Phrase, Part: f.Part,
	}
}

type datasetBuildCmd struct {
	Source string `required:"" enum:"${dataset_sources}" help:"Data set of the input: ${enum}."`
	Out    string `required:"" placeholder:"FILE" help:"Output file; - for standard output."`
	sourceFlags
	datasetFlags
	unitFlags
}

func (c *datasetBuildCmd) Help() string {
	return `Writes JSON lines that are equal to those of the reference, byte for byte. Some records that the
reference trains on are defects: empty replies, user turns taken for replies, the word None. They
are errors, unless --skip-bad counts them or --compat accepts them.

Example:
  koala dataset build --source hh --in train.jsonl.gz --out hh.jsonl --skip-bad`
}

func (c *datasetBuildCmd) Run(a *app) error {
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	settings := []any{"build", c.Source, c.sourceFlags, c.SkipBad}
	return s.end(s.each(&c.unitFlags, c.Out, ".jsonl", settings, func(t task) error {
		opts := c.options(c.Source)
		opts.Start = t.start
		records := s.read(t.inputs, opts)
		if dataset.Source(c.Source) == dataset.ShareGPTEval {
			return s.writeEval(t.out, records)
		}
		return s.writeRecords(t.out, records)
	}))
}

// writeEval writes the evaluation export: one JSON object of two lists and, as
// in the reference, no newline.
func (s *step) writeEval(path string, records iter.Seq2[dataset.Record, error]) error {
	var pairs []dataset.EvalPair
	for r, err := range records {
		if err != nil {
			return err
		}
		pairs = dataset.AppendEval(pairs, &r)
	}
	s.report.Written(1)
	return s.writeLines(path, single(dataset.AppendEvalJSON(nil, pairs)))
}
