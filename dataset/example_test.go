package dataset_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/koala-go/sdk/dataset"
	"github.com/koala-go/sdk/source"
	"github.com/koala-go/sdk/tokenizer"
)

// alpaca has raw records of a source, one on each line.
const alpaca = `{"instruction": "Name a bird.", "input": "", "output": "A wren."}
{"instruction": "Name a bird.", "input": "", "output": "An owl."}
{"instruction": "Translate.", "input": "Vogel", "output": "Bird."}
{"instruction": "Show a loop.", "input": "", "output": "` + "```" + `for {}` + "```" + `"}
{"instruction": "Say nothing.", "input": "", "output": ""}
`

// records reads the raw records and skips the bad one.
func records() iter.Seq2[dataset.Record, error] {
	return dataset.Read(context.Background(), []dataset.Input{dataset.Text("alpaca", alpaca)}, &dataset.ReadOptions{Source: dataset.Alpaca, SkipBad: true})
}

// show prints the query of each record.
func show(records iter.Seq2[dataset.Record, error]) {
	for r, err := range records {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(r.Query())
	}
}

func ExampleRead() {
	report := new(dataset.Report)
	in := []dataset.Input{dataset.Text("alpaca", alpaca)}
	for r, err := range dataset.Read(context.Background(), in, &dataset.ReadOptions{Source: dataset.Alpaca, SkipBad: true, Report: report}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", r.AppendJSON(nil))
		break
	}
	// Output:
	// {"marker_gpt": "GPT:", "marker_user": "USER:", "human_0": "Name a bird.", "gpt_1": "A wren.", "fields": "[marker_user+human_0+marker_gpt],gpt_1,<|eos|>"}
}

// An error names the record. With SkipBad, bad records are counted in the
// report instead.
func ExampleReport() {
	report := new(dataset.Report)
	in := []dataset.Input{dataset.Text("alpaca", alpaca)}
	for _, err := range dataset.Read(context.Background(), in, &dataset.ReadOptions{Source: dataset.Alpaca}) {
		if err != nil {
			fmt.Println(err)
		}
	}
	for range dataset.Read(context.Background(), in, &dataset.ReadOptions{Source: dataset.Alpaca, SkipBad: true, Report: report}) {
	}
	n := report.Counts()
	fmt.Println(n.In, n.Made, n.Bad, n.Errors[0].Line, n.Errors[0].Field)
	// Output:
	// the reply is empty: alpaca, line 5, field "output": correct the record, skip bad records, or accept what the reference does (compat)
	// 5 4 1 5 output
}

// Parquet files are recognized by their content.
func ExampleFiles() {
	for r, err := range dataset.Read(context.Background(), dataset.Files("testdata/hh.parquet"), &dataset.ReadOptions{Source: dataset.HH}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(r.Query(), r.At.Group, r.At.Line)
		break
	}
	// Output:
	// Hi 0 1 1
}

// Inputs can come from anything that implements source.Source: here, a map of
// readers.
func ExampleSourceFiles() {
	src := source.Map{"train/alpaca.jsonl": strings.NewReader(alpaca)}
	in := dataset.SourceFiles(src, "train/alpaca.jsonl")
	show(dataset.Read(context.Background(), in, &dataset.ReadOptions{Source: dataset.Alpaca, SkipBad: true}))
	// Output:
	// Name a bird.
	// Name a bird.
	// Translate. Vogel
	// Show a loop.
}

func ExampleFromReader() {
	in := dataset.FromReader("standard input", strings.NewReader(`{"human_0": "Hi", "gpt_1": "Yo"}`))
	show(dataset.Read(context.Background(), []dataset.Input{in}, nil))
	// Output:
	// Hi
}

func ExampleSources() {
	for _, s := range dataset.Sources()[5:7] {
		fmt.Println(s.Name, s.Fields)
	}
	// Output:
	// alpaca [instruction input output]
	// hh [chosen rejected]
}

func ExampleDedup() {
	show(dataset.Dedup(context.Background(), records(), nil))
	// Output:
	// Name a bird.
	// Translate. Vogel
	// Show a loop.
}

// Filter takes any predicate: here, whether a reply has no code.
func ExampleFilter() {
	code := func(r *dataset.Record) bool {
		reply, _ := r.Get("gpt_1")
		return !dataset.HasCode(reply)
	}
	show(dataset.Filter(records(), "code", code, nil))
	// Output:
	// Name a bird.
	// Name a bird.
	// Translate. Vogel
}

// QueryFilter turns a predicate on texts into one on the queries of records. The
// module dataset/lang has such a predicate for languages.
func ExampleQueryFilter() {
	short := dataset.QueryFilter(func(text string) bool { return len(text) < 15 })
	show(dataset.Filter(records(), "long", short, nil))
	// Output:
	// Name a bird.
	// Name a bird.
	// Show a loop.
}

func ExampleLeaks() {
	leaks, err := dataset.Leaks(context.Background(), records(), []string{"Name a bird .", "Why is the sky blue?"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(leaks[0].Score > 99, leaks[0].Same, leaks[0].At.Line, leaks[1] == nil)
	// Output:
	// true true 1 true
}

func ExampleWithoutLeaks() {
	show(dataset.WithoutLeaks(context.Background(), records(), []string{"Name a bird ."}, nil))
	// Output:
	// Translate. Vogel
	// Show a loop.
}

func ExampleSplitter() {
	s, err := dataset.NewSplitter(3, []float64{1, 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for r := range records() {
		fmt.Println(s.Part(&r), r.Query())
	}
	// Output:
	// 1 Name a bird.
	// 1 Name a bird.
	// 0 Translate. Vogel
	// 1 Show a loop.
}

func ExampleMix() {
	other := func() iter.Seq2[dataset.Record, error] {
		return dataset.Read(context.Background(), []dataset.Input{dataset.Text("b", `{"human_0": "Hi"}`)}, nil)
	}
	sources := []dataset.MixSource{{Name: "a", Weight: 1, Records: records}, {Name: "b", Weight: 3, Records: other}}
	show(dataset.Mix(sources, &dataset.MixOptions{Seed: 7, Total: 6}))
	// Output:
	// Hi
	// Hi
	// Name a bird.
	// Name a bird.
	// Hi
	// Hi
}

func ExampleShuffle() {
	show(dataset.Shuffle(context.Background(), records(), &dataset.ShuffleOptions{Seed: 2}))
	// Output:
	// Name a bird.
	// Show a loop.
	// Translate. Vogel
	// Name a bird.
}

func ExampleStats() {
	var stats dataset.Stats
	for r := range records() {
		stats.Add("alpaca", &r)
	}
	x := stats.Sources[0]
	fmt.Println(x.Name, x.Records, x.Turns, x.Queries.Mean(), x.Queries.Most)
	var page strings.Builder
	fmt.Println(stats.WriteHTML(&page), strings.HasPrefix(page.String(), "<!DOCTYPE html>"))
	// Output:
	// alpaca 4 8 13 16
	// <nil> true
}

func ExampleProcessor() {
	p, err := dataset.NewProcessor(tokenizer.Default(), &dataset.ProcessorOptions{Fields: "[a+b],c,<|eos|>", NoPrepend: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	var e dataset.Example
	err = p.AppendExample(&e, &dataset.Record{Fields: []dataset.Field{{Key: "a", Text: "Hi"}, {Key: "b", Text: "there"}, {Key: "c", Text: "Yes"}}})
	fmt.Println(e.Tokens, e.Masks, err)
	// Output:
	// [6324 727 3869 2] [0 0 1 1] <nil>
}

// Pack is the last step from raw records to the batches of Koala's training.
func ExamplePack() {
	p, err := dataset.NewProcessor(tokenizer.Default(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	examples := dataset.Tokenize(context.Background(), records(), p, 0)
	for b, err := range dataset.Pack(examples, &dataset.PackOptions{SeqLength: 12, Batch: 2}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(b.Inputs[:12])
		fmt.Println(b.Targets[:12])
		fmt.Println(b.Masks)
		break
	}
	// Output:
	// [1 22815 29940 4214 8079 8707 5348 29903 8098 29901 3148 1001]
	// [22815 29940 4214 8079 8707 5348 29903 8098 29901 3148 1001 29901]
	// [0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 1 1 1 1]
}

// A run that was stopped resumes after the last whole file. The directory holds
// what it needs.
func ExampleCreateBatches() {
	dir, err := os.MkdirTemp("", "batches")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	w, err := dataset.CreateBatches(context.Background(), dir, &dataset.BatchOptions{SeqLength: 4, Batch: 1, FileBatches: 2, Generation: dataset.Gen2024, Fingerprint: "of inputs and options"})
	if err != nil {
		fmt.Println(err)
		return
	}
	batch := dataset.Batch{Inputs: make([]tokenizer.Token, 4), Targets: make([]tokenizer.Token, 4), Masks: make([]uint8, 4)}
	fmt.Println(w.Done(), w.Write(&batch), w.Close())
	names, err := filepath.Glob(dir + "/*")
	for _, name := range names {
		fmt.Println(filepath.Base(name))
	}
	fmt.Println(err)
	// Output:
	// false <nil> <nil>
	// done.json
	// input_tokens-00000.npy
	// loss_masks-00000.npy
	// target_tokens-00000.npy
	// <nil>
}

func ExampleCreateLines() {
	path := filepath.Join(os.TempDir(), "koala-example.jsonl")
	defer os.Remove(path)
	w, err := dataset.CreateLines(context.Background(), path, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	for r := range records() {
		w.Write(append(r.AppendJSON(nil), '\n'))
	}
	fmt.Println(w.Publish())
	// Output:
	// <nil>
}

func ExampleAppendEval() {
	var pairs []dataset.EvalPair
	in := []dataset.Input{dataset.Text("chat", `{"human_0": "Hi", "gpt_1": "Yo"}`)}
	for r := range dataset.Read(context.Background(), in, &dataset.ReadOptions{Source: dataset.ShareGPTEval}) {
		pairs = dataset.AppendEval(pairs, &r)
	}
	fmt.Printf("%s\n", dataset.AppendEvalJSON(nil, pairs))
	// Output:
	// {"prefix": ["BEGINNING OF CONVERSATION: USER: Hi GPT:"], "text": ["Yo</s>"]}
}
