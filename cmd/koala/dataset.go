package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/koala-go/sdk/dataset"
	"github.com/koala-go/sdk/progress"
)

// datasetCmd is the verbs about training data.
type datasetCmd struct {
	Build    datasetBuildCmd    `cmd:"" help:"Turn a public data set into training records."`
	Tokenize datasetTokenizeCmd `cmd:"" help:"Turn training records into tokens and loss masks."`
	Pack     datasetPackCmd     `cmd:"" help:"Turn training records into packed batches."`
	Dedup    datasetDedupCmd    `cmd:"" help:"Leave out records whose query was there before."`
	Filter   datasetFilterCmd   `cmd:"" help:"Leave out records with code, or that a program refuses."`
	Leak     datasetLeakCmd     `cmd:"" help:"Find test queries that training records are too much like."`
	Split    datasetSplitCmd    `cmd:"" help:"Put records into parts by a hash of their queries."`
	Mix      datasetMixCmd      `cmd:"" help:"Draw records from files by weights, and shuffle."`
	Stats    datasetStatsCmd    `cmd:"" help:"Count records, turns and lengths by file."`
}

// datasetFlags are what the steps have in common.
type datasetFlags struct {
	In      []string `required:"" placeholder:"FILE" sep:"none" help:"File to read: JSON lines or an array, plain or compressed with gzip or zstd, or Parquet; - for standard input. May be given more than once, and be a pattern such as units/*.jsonl."`
	SkipBad bool     `help:"Count bad records and go on."`
	Force   bool     `help:"Replace an existing output, once the new one is whole."`
	Workers int      `placeholder:"N" help:"Goroutines (default: one a core)."`
	JSON    bool     `name:"json" help:"Print the report as a JSON document on stdout."`
	Quiet   bool     `help:"No progress and no report on stderr."`
}

// step is one run of a verb.
type step struct {
	*datasetFlags
	a        *app
	report   *dataset.Report
	bar      *progressBar
	total    int64
	start    time.Time
	decisive []string // files that decide on the result of a unit
}

func (f *datasetFlags) begin(a *app) (*step, error) {
	var err error
	if f.In, err = expand(f.In); err != nil {
		return nil, err
	}
	s := &step{datasetFlags: f, a: a, report: new(dataset.Report), bar: newProgressBar(a.stderr, f.Quiet), start: time.Now(), decisive: f.In}
	for _, path := range f.In {
		if info, err := os.Stat(path); err == nil {
			s.total += info.Size()
		}
	}
	return s, nil
}

// expand gives the files of patterns. What names a file is none.
func expand(paths []string) (list []string, err error) {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil || !strings.ContainsAny(path, "*?[") {
			list = append(list, path)
			continue
		}
		found, err := filepath.Glob(path)
		if err == nil && len(found) == 0 {
			err = errors.New("no file matches")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: give a pattern of files that are there", err, path)
		}
		list = append(list, found...)
	}
	return list, nil
}

// inputs are the files to read.
func (s *step) inputs() []dataset.Input {
	var list []dataset.Input
	for _, path := range s.In {
		if path == "-" {
			list = append(list, dataset.Input{Name: "standard input", Open: func() (io.ReadCloser, error) { return io.NopCloser(s.a.stdin), nil }})
			continue
		}
		list = append(list, dataset.Files(path)...)
	}
	return list
}

func (s *step) read(inputs []dataset.Input, opts dataset.ReadOptions) iter.Seq2[dataset.Record, error] {
	opts.SkipBad, opts.Workers, opts.Report = s.SkipBad, s.Workers, s.report
	opts.Progress = func(done int64) {
		s.bar.update(progress.Progress{Stage: "read", Done: done, Total: max(done, s.total), Unit: progress.Bytes})
	}
	return dataset.Read(s.a.ctx, inputs, &opts)
}

// write writes records as lines to a file, or to standard output for "-".
func (s *step) write(path string, records iter.Seq2[dataset.Record, error]) error {
	return s.put(path, s.lines(records))
}

// lines are records as lines, which are counted as written.
func (s *step) lines(records iter.Seq2[dataset.Record, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var line []byte
		n := int64(0)
		defer func() { s.report.Written(n) }()
		for r, err := range records {
			line = append(r.AppendJSON(line[:0]), '\n')
			if !yield(line, err) {
				return
			}
			n++
		}
	}
}

// put writes what is given, part by part.
func (s *step) put(path string, lines iter.Seq2[[]byte, error]) error {
	if path == "-" {
		return copyLines(s.a.stdout, lines)
	}
	out, err := dataset.CreateLines(path, s.Force)
	if err != nil {
		return err
	}
	if err := copyLines(out, lines); err != nil {
		_ = out.Discard() // the other error says more
		return err
	}
	return out.Publish()
}

func copyLines(w io.Writer, lines iter.Seq2[[]byte, error]) error {
	for line, err := range lines {
		if err == nil {
			_, err = w.Write(line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// end prints the report.
func (s *step) end(err error) error {
	s.bar.finish()
	if err != nil {
		return err
	}
	n := s.report.Counts()
	if s.JSON {
		return printJSON(s.a.stdout, n)
	}
	if s.Quiet {
		return nil
	}
	w := s.a.stderr
	seconds := time.Since(s.start).Seconds()
	fmt.Fprintf(w, "in %d, made %d, out %d, %s in %.1f s, %s/s\n", n.In, n.Made, n.Out, bytesText(n.Bytes), seconds, bytesText(int64(float64(n.Bytes)/seconds)))
	for _, reason := range slices.Sorted(maps.Keys(n.Dropped)) {
		fmt.Fprintf(w, "dropped %d: %s\n", n.Dropped[reason], reason)
	}
	if n.Bad > 0 {
		fmt.Fprintf(w, "skipped %d bad records, of which the first: %v\n", n.Bad, n.Errors[0])
	}
	if n.Tokens > 0 {
		fmt.Fprintf(w, "tokens %d, batches %d, left over %d\n", n.Tokens, n.Batches, n.Left)
	}
	return nil
}

// sourceFlags are the choices of a source's rule.
type sourceFlags struct {
	Compat       bool   `help:"Do what the reference does where that is a defect."`
	PositiveOnly bool   `help:"Leave out the replies that people liked less."`
	Seed         uint64 `help:"Of the choice among the phrases of a task."`
	Phrase       int    `placeholder:"N" help:"Use this phrase always, from 1 (default: chosen by seed and record)."`
	Part         string `placeholder:"PART" help:"train, eval or all, of a ShareGPT file that has parts (default train)."`
}

func (f *sourceFlags) options(source string) dataset.ReadOptions {
	return dataset.ReadOptions{
		Source: dataset.Source(source), Compat: f.Compat, PositiveOnly: f.PositiveOnly, Seed: f.Seed, Phrase: f.Phrase, Part: f.Part,
	}
}

type datasetBuildCmd struct {
	Source string `required:"" enum:"sharegpt,sharegpt-eval,hc3,oig,oig-basic,alpaca,hh,webgpt,summary" help:"The data set: ${enum}."`
	Out    string `required:"" placeholder:"FILE" help:"Where to write; - for standard output."`
	sourceFlags
	datasetFlags
	unitFlags
}

func (c *datasetBuildCmd) Help() string {
	return `Writes JSON lines as the reference does, to the byte. What the reference trains on and nobody
wants (empty replies, a person's turn as a reply, the word None) is an error, counted with
--skip-bad and allowed with --compat.

Example:
  koala dataset build --source hh --in train.jsonl.gz --out hh.jsonl --skip-bad`
}

func (c *datasetBuildCmd) Run(a *app) error {
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	settings := []any{"build", c.Source, c.sourceFlags, c.SkipBad}
	return s.end(s.each(&c.unitFlags, c.Out, ".jsonl", settings, func(p place) error {
		opts := c.options(c.Source)
		opts.Start = p.start
		records := s.read(p.inputs, opts)
		if dataset.Source(c.Source) == dataset.ShareGPTEval {
			return s.eval(p.out, records)
		}
		return s.write(p.out, records)
	}))
}

// eval writes the evaluation export: one JSON object of two lists, and as in
// the reference no newline.
func (s *step) eval(path string, records iter.Seq2[dataset.Record, error]) error {
	var pairs []dataset.EvalPair
	for r, err := range records {
		if err != nil {
			return err
		}
		pairs = dataset.AppendEval(pairs, &r)
	}
	s.report.Written(1)
	return s.put(path, one(dataset.AppendEvalJSON(nil, pairs)))
}

// one gives a single part.
func one(data []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) { yield(data, nil) }
}

type datasetDedupCmd struct {
	Out    string        `required:"" placeholder:"FILE" help:"Where to write; - for standard output."`
	Memory int           `default:"2000000" placeholder:"N" help:"Queries remembered in memory; older ones go to a temporary file (default ${default})."`
	Wait   time.Duration `placeholder:"TIME" help:"With --count: how long to wait for what other runs do before doing it here, as in 30m (default: not at all)."`
	datasetFlags
	unitFlags
}

func (c *datasetDedupCmd) Help() string {
	return `Reads training records. A query is what the person says in all turns; a helpful and an unhelpful
reply to one query are two records.

Example:
  koala dataset dedup --in hh.jsonl --in alpaca.jsonl --out records.jsonl`
}

func (c *datasetDedupCmd) Run(a *app) error {
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	if c.Count > 0 {
		return s.end(c.shared(s))
	}
	return s.end(s.each(&c.unitFlags, c.Out, "", nil, func(p place) error {
		return s.write(p.out, dataset.Dedup(s.read(p.inputs, dataset.ReadOptions{}), &dataset.DedupOptions{Memory: c.Memory, Report: s.report}))
	}))
}

// shared is one of several runs.
func (c *datasetDedupCmd) shared(s *step) error {
	units, o, err := s.divide(&c.unitFlags, []any{"dedup", c.SkipBad})
	if err != nil {
		return err
	}
	return dataset.DedupUnits(s.a.ctx, c.Out, units, dataset.DedupUnitOptions{UnitOptions: o, Memory: c.Memory, Wait: c.Wait},
		func(u dataset.Unit) iter.Seq2[dataset.Record, error] {
			return s.read(dataset.Files(u.Path), dataset.ReadOptions{Start: u.Start})
		},
		func(_ dataset.Unit, path string, records iter.Seq2[dataset.Record, error]) error {
			return s.write(path, records)
		})
}

type datasetLeakCmd struct {
	Queries string  `required:"" placeholder:"FILE" help:"Test queries: JSON lines with a text \"prompt\"."`
	Out     string  `required:"" placeholder:"FILE" help:"Where to write what is kept; - for standard output."`
	Over    float64 `default:"20" help:"BLEU in percent above which a query leaks (default ${default})."`
	Drop    string  `enum:"queries,examples" default:"queries" help:"What to leave out of a pair: ${enum} (default ${default})."`
	datasetFlags
	unitFlags
}

func (c *datasetLeakCmd) Help() string {
	return `Compares each test query with each turn of a person in the training records, by sacrebleu's
sentence BLEU, and for equal tokens. All pairs over the bound are found.

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
		return s.end(s.each(&c.unitFlags, c.Out, ".jsonl", settings, func(p place) error {
			return s.write(p.out, dataset.WithoutLeaks(a.ctx, s.at(p), texts, opts))
		}))
	}
	return s.end(collect(s, &c.unitFlags, c.Out, "kept.jsonl", settings, func(p place) ([]*dataset.Leak, error) {
		return dataset.Leaks(a.ctx, s.at(p), texts, opts)
	}, func(parts [][]*dataset.Leak) iter.Seq2[[]byte, error] {
		return s.lines(c.kept(s, queries, dataset.JoinLeaks(parts...)))
	}))
}

// kept gives the queries that do not leak, and tells of the others.
func (c *datasetLeakCmd) kept(s *step, queries []dataset.Record, leaks []*dataset.Leak) iter.Seq2[dataset.Record, error] {
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

func readQueries(ctx context.Context, path string) (records []dataset.Record, texts []string, err error) {
	for r, err := range dataset.Read(ctx, dataset.Files(path), nil) {
		if err != nil {
			return nil, nil, err
		}
		text, ok := r.Get("prompt")
		if !ok {
			return nil, nil, fmt.Errorf("no text \"prompt\" in a query: %s, line %d: mend it", path, r.At.Line)
		}
		records, texts = append(records, r), append(texts, text)
	}
	return records, texts, nil
}

type datasetStatsCmd struct {
	Out string `required:"" placeholder:"FILE" help:"Where to write an HTML page; - for standard output."`
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
	return s.end(collect(s, &c.unitFlags, c.Out, "stats.html", []any{"stats", c.SkipBad}, func(p place) (*dataset.Stats, error) {
		stats := new(dataset.Stats)
		for r, err := range s.at(p) {
			if err != nil {
				return nil, err
			}
			stats.Add(r.At.File, &r)
		}
		return stats, nil
	}, joinStats))
}

// joinStats makes the page.
func joinStats(parts []*dataset.Stats) iter.Seq2[[]byte, error] {
	var all dataset.Stats
	for _, part := range parts {
		all.Join(part)
	}
	var page bytes.Buffer
	err := all.WriteHTML(&page)
	return func(yield func([]byte, error) bool) { yield(page.Bytes(), err) }
}
