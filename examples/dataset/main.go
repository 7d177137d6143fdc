// Command dataset builds batches of training data from synthetic records in the
// formats of three public data sets. It converts the records, mixes and shuffles
// them, removes duplicates and test questions, splits off an evaluation part, and
// encodes and packs the rest. It prints the batches and writes no files.
package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/koala-go/sdk/dataset"
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
		{Name: "hh", Weight: 2, Records: read(ctx, "hh.jsonl", dataset.HH, report)},
		{Name: "alpaca", Weight: 1, Records: read(ctx, "alpaca.json", dataset.Alpaca, report)},
		{Name: "sharegpt", Weight: 1, Records: read(ctx, "sharegpt.json", dataset.ShareGPT, report)},
	}
	records := dataset.Mix(sources, &dataset.MixOptions{Seed: 7})
	records = dataset.Dedup(records, &dataset.DedupOptions{Report: report})
	records = dataset.WithoutLeaks(ctx, records, []string{"Name three birds that cannot fly."}, &dataset.LeakOptions{Report: report})
	records = dataset.Shuffle(records, &dataset.ShuffleOptions{Seed: 7})
	train, err := part(records, 0, report)
	if err != nil {
		return err
	}
	p, err := dataset.NewProcessor(tokenizer.Default(), dataset.KoalaOptions(dataset.Gen2023))
	if err != nil {
		return err
	}
	examples := dataset.Tokenize(ctx, train, p, 0)
	for b, err := range dataset.Pack(examples, &dataset.PackOptions{SeqLength: 32, Batch: 2, Generation: dataset.Gen2023, Report: report}) {
		if err != nil {
			return err
		}
		text, err := tokenizer.Default().Decode(b.Targets[:32])
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%q\n", text)
	}
	n := report.Counts()
	fmt.Fprintf(w, "%d raw records, %d made, dropped %v, skipped %d, batches %d, tokens left %d\n", n.In, n.Made, n.Dropped, n.Bad, n.Batches, n.Left)
	for _, e := range n.Errors {
		fmt.Fprintln(w, "skipped:", e)
	}
	return nil
}

// read returns a function that reads an embedded file from its beginning.
func read(ctx context.Context, name string, source dataset.Source, report *dataset.Report) func() iter.Seq2[dataset.Record, error] {
	in := dataset.Input{Name: name, Open: func() (io.ReadCloser, error) { return data.Open("data/" + name) }}
	return func() iter.Seq2[dataset.Record, error] {
		return dataset.Read(ctx, []dataset.Input{in}, &dataset.ReadOptions{Source: source, SkipBad: true, Report: report})
	}
}

// part splits records nine to one and returns those of part want: 0 or 1.
func part(records iter.Seq2[dataset.Record, error], want int, report *dataset.Report) (iter.Seq2[dataset.Record, error], error) {
	s, err := dataset.NewSplitter(1, []float64{9, 1})
	if err != nil {
		return nil, err
	}
	return dataset.Filter(records, "eval part", func(r *dataset.Record) bool { return s.Part(r) == want }, report), nil
}
