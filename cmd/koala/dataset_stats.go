package main

import (
	"bytes"
	"iter"

	"github.com/koala-go/sdk/dataset"
)

type datasetStatsCmd struct {
	Out string `required:"" placeholder:"FILE" help:"Output file for an HTML page; - for standard output."`
	datasetFlags
	unitFlags
}

func (c *datasetStatsCmd) Help() string {
	return `Example:
  koala dataset stats --in hh.jsonl --in alpaca.jsonl --out stats.html`
}

func (c *datasetStatsCmd) Run(a *app) error {
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	return s.end(collect(s, &c.unitFlags, c.Out, "stats.html", []any{"stats", c.SkipBad}, func(t task) (*dataset.Stats, error) {
		stats := new(dataset.Stats)
		for r, err := range s.readTask(t) {
			if err != nil {
				return nil, err
			}
			stats.Add(r.At.File, &r)
		}
		return stats, nil
	}, statsPage))
}

// statsPage returns the page of the joined parts.
func statsPage(parts []*dataset.Stats) iter.Seq2[[]byte, error] {
	var all dataset.Stats
	for _, part := range parts {
		all.Join(part)
	}
	var page bytes.Buffer
	err := all.WriteHTML(&page)
	return func(yield func([]byte, error) bool) { yield(page.Bytes(), err) }
}
