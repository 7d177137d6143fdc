// Command dataset builds a small mixture of training data from synthetic records
// that are embedded in it. Records of three public data sets become training
// records. Duplicates and leaks are removed. The rest is mixed, shuffled and
// split, and the training part becomes tokens and batches. The command prints
// the first row of each batch and writes no file.
package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/koala-go/sdk/dataset"
	"github.com/koala-go/sdk/source"
	"github.com/koala-go/sdk/tokenizer"
)

//go:embed data
var data embed.FS

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dataset:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer) error {
	report := new(dataset.Report)
	sources := []dataset.MixSource{
		{Name: "hh", Weight: 2, Records: read(ctx, "data/hh.jsonl", dataset.HH, report)},
		{Name: "alpaca", Weight: 1, Records: read(ctx, "data/alpaca.json", dataset.Alpaca, report)},
		{Name: "sharegpt", Weight: 1, Records: read(ctx, "data/sharegpt.json", dataset.ShareGPT, report)},
	}
	records := dataset.Mix(sources, &dataset.MixOptions{Seed: 7})
	records = dataset.Dedup(ctx, records, &dataset.DedupOptions{Report: report})
	records = dataset.WithoutLeaks(ctx, records, []string{"Name three birds that cannot fly."}, &dataset.LeakOptions{Report: report})
	records = dataset.Shuffle(ctx, records, &dataset.ShuffleOptions{Seed: 7})
	train, err := part(records, 0, report)
	if err != nil {
		return err
	}
	processor, err := dataset.NewProcessor(tokenizer.Default(), nil)
	if err != nil {
		return err
	}
	examples := dataset.Tokenize(ctx, train, processor, 0)
	for b, err := range dataset.Pack(examples, &dataset.PackOptions{SeqLength: 32, Batch: 2, Report: report}) {
		if err != nil {
			return err
		}
		text, err := tokenizer.Default().Decode(b.Targets[:32])
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%q\n", text)
	}
	printReport(w, report.Counts())
	return nil
}

// read returns a function that reads an embedded file from its beginning.
func read(ctx context.Context, name string, from dataset.Source, report *dataset.Report) func() iter.Seq2[dataset.Record, error] {
	inputs := dataset.SourceFiles(source.FromFS(data), name)
	return func() iter.Seq2[dataset.Record, error] {
		return dataset.Read(ctx, inputs, &dataset.ReadOptions{Source: from, SkipBad: true, Report: report})
	}
}

// part returns the records of one of two parts. The first has nine times the
// share of the second.
func part(records iter.Seq2[dataset.Record, error], number int, report *dataset.Report) (iter.Seq2[dataset.Record, error], error) {
	s, err := dataset.NewSplitter(1, []float64{9, 1})
	if err != nil {
		return nil, err
	}
	return dataset.Filter(records, "eval part", func(r *dataset.Record) bool { return s.Part(r) == number }, report), nil
}

func printReport(w io.Writer, n dataset.Counts) {
	fmt.Fprintf(w, "%d raw records, %d made, dropped %v, skipped %d, batches %d, tokens left %d\n", n.In, n.Made, n.Dropped, n.Bad, n.Batches, n.Left)
	for _, e := range n.Errors {
		fmt.Fprintln(w, "skipped:", e)
	}
}
