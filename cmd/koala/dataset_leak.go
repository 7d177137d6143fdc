package main

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/koala-go/sdk/dataset"
)

type datasetLeakCmd struct {
	Queries string  `required:"" placeholder:"FILE" help:"Test queries: JSON lines with a text \"prompt\"."`
	Out     string  `required:"" placeholder:"FILE" help:"Output file for the queries or records that are kept; - for standard output."`
	Over    float64 `default:"20" help:"BLEU in percent above which a query leaks (default ${default})."`
	Drop    string  `enum:"queries,examples" default:"queries" help:"Side of a pair to leave out: ${enum} (default ${default})."`
	datasetFlags
	unitFlags
}

func (c *datasetLeakCmd) Help() string {
	return `Compares each test query with each user turn of the training records, by sacrebleu's sentence BLEU
and by equality of tokens. All pairs above the bound are found.

Example:
  koala dataset leak --queries koala_test_set.jsonl --in records.jsonl --out kept.jsonl`
}

func (c *datasetLeakCmd) Run(a *app) error {
	queries, texts, err := readQueries(a.ctx, c.Queries)
	if err != nil {
		return err
	}
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	s.decisive = append(slices.Clone(c.In), c.Queries)
	opts := &dataset.LeakOptions{Over: c.Over, Workers: c.Workers, Report: s.report}
	settings := []any{"leak", c.Drop, c.Over, c.SkipBad}
	if c.Drop == "examples" {
		return s.end(s.each(&c.unitFlags, c.Out, ".jsonl", settings, func(t task) error {
			return s.writeRecords(t.out, dataset.WithoutLeaks(a.ctx, s.readTask(t), texts, opts))
		}))
	}
	return s.end(collect(s, &c.unitFlags, c.Out, "kept.jsonl", settings, func(t task) ([]*dataset.Leak, error) {
		return dataset.Leaks(a.ctx, s.readTask(t), texts, opts)
	}, func(parts [][]*dataset.Leak) iter.Seq2[[]byte, error] {
		return s.lines(c.keptQueries(s, queries, dataset.JoinLeaks(parts...)))
	}))
}

// keptQueries yields the queries that do not leak, and prints the others.
func (c *datasetLeakCmd) keptQueries(s *step, queries []dataset.Record, leaks []*dataset.Leak) iter.Seq2[dataset.Record, error] {
	return func(yield func(dataset.Record, error) bool) {
		for i, l := range leaks {
			if l == nil {
				if !yield(queries[i], nil) {
					return
				}
			} else if !c.Quiet {
				fmt.Fprintf(s.a.stderr, "query on line %d leaks: BLEU %.2f with %s, line %d\n", queries[i].At.Line, l.Score, l.At.File, l.At.Line)
			}
		}
	}
}

// readQueries reads the test queries, as records and as texts.
func readQueries(ctx context.Context, path string) (records []dataset.Record, texts []string, err error) {
	for r, err := range dataset.Read(ctx, dataset.Files(path), nil) {
		if err != nil {
			return nil, nil, err
		}
		text, ok := r.Get("prompt")
		if !ok {
			return nil, nil, fmt.Errorf("the query has no text \"prompt\": %s, line %d: correct it", path, r.At.Line)
		}
		records, texts = append(records, r), append(texts, text)
	}
	return records, texts, nil
}
