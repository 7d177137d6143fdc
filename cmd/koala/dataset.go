package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/koala-go/sdk/dataset"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/progress"
)

// datasetCmd has the commands for training data.
type datasetCmd struct {
	Build    datasetBuildCmd    `cmd:"" help:"Convert a public data set to training records."`
	Tokenize datasetTokenizeCmd `cmd:"" help:"Convert training records to tokens and loss masks."`
	Pack     datasetPackCmd     `cmd:"" help:"Convert training records to packed batches."`
	Dedup    datasetDedupCmd    `cmd:"" help:"Leave out records whose query occurred before."`
	Filter   datasetFilterCmd   `cmd:"" help:"Leave out records with code, or those that a program rejects."`
	Leak     datasetLeakCmd     `cmd:"" help:"Find test queries that are too similar to training records."`
	Split    datasetSplitCmd    `cmd:"" help:"Divide records into parts by a hash of their queries."`
	Mix      datasetMixCmd      `cmd:"" help:"Draw records from files by weights, and shuffle them."`
	Stats    datasetStatsCmd    `cmd:"" help:"Count records, turns and lengths by file."`
}

// datasetVars returns the variables of the struct tags of dataset's commands:
// the values that a flag accepts.
func datasetVars() kong.Vars {
	var all, training []dataset.Source
	for _, s := range dataset.Sources() {
		all = append(all, s.Name)
		if !s.Eval {
			training = append(training, s.Name)
		}
	}
	return kong.Vars{
		"dataset_sources":          commaList(all...),
		"dataset_training_sources": commaList(training...),
		"dataset_generations":      commaList(dataset.Generations()...),
		"dataset_formats":          commaList(dataset.Formats()...),
		"dataset_bos_rules":        commaList(dataset.BOSRules()...),
	}
}

// datasetFlags are the flags that most steps have.
type datasetFlags struct {
	In      []string `required:"" placeholder:"FILE" sep:"none" help:"Input: JSON lines or a JSON array, plain or compressed with gzip or zstd, or Parquet; - for standard input. The flag may be repeated, and FILE may be a pattern such as units/*.jsonl."`
	SkipBad bool     `help:"Count bad records and continue."`
	Force   bool     `help:"Replace an existing output when the new one is complete."`
	Workers int      `placeholder:"N" help:"Number of goroutines (default: one per processor)."`
	JSON    bool     `name:"json" help:"Print the report as a JSON document on stdout."`
	Quiet   bool     `help:"Print no progress and no report on stderr."`
}

// step is one run of a command.
type step struct {
	*datasetFlags
	a        *app
	fs       vfs.FS
	report   *dataset.Report
	bar      *progressBar
	total    int64 // bytes of all inputs
	start    time.Time
	decisive []string // paths of the files that decide on the result of a unit
}

// begin expands the patterns and begins the step.
func (f *datasetFlags) begin(a *app) (*step, error) {
	s := &step{datasetFlags: f, a: a, fs: vfs.FromContext(a.ctx), report: new(dataset.Report), bar: newProgressBar(a.stderr, f.Quiet), start: time.Now()}
	var err error
	if f.In, err = expandPatterns(s.fs, f.In); err != nil {
		return nil, err
	}
	s.decisive = f.In
	for _, path := range f.In {
		if info, err := s.fs.Stat(path); err == nil {
			s.total += info.Size()
		}
	}
	return s, nil
}

// expandPatterns replaces patterns by the files that match them. The name of an
// existing file is not a pattern.
func expandPatterns(fsys vfs.FS, paths []string) (list []string, err error) {
	for _, path := range paths {
		if _, err := fsys.Stat(path); err == nil || !strings.ContainsAny(path, "*?[") {
			list = append(list, path)
			continue
		}
		found, err := filepath.Glob(path)
		if err == nil && len(found) == 0 {
			err = errors.New("no file matches")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: give a pattern of existing files", err, path)
		}
		list = append(list, found...)
	}
	return list, nil
}

// inputs returns the inputs of the command.
func (s *step) inputs() []dataset.Input {
	var list []dataset.Input
	for _, path := range s.In {
		if path == "-" {
			list = append(list, dataset.FromReader("standard input", s.a.stdin))
			continue
		}
		list = append(list, dataset.Files(path)...)
	}
	return list
}

// read returns the records of inputs, and shows the progress.
func (s *step) read(inputs []dataset.Input, opts dataset.ReadOptions) iter.Seq2[dataset.Record, error] {
	opts.SkipBad, opts.Workers, opts.Report = s.SkipBad, s.Workers, s.report
	opts.Progress = func(p progress.Progress) {
		// Total is of compressed files, Done is after decompression.
		p.Total = max(p.Done, s.total)
		s.bar.update(p)
	}
	return dataset.Read(s.a.ctx, inputs, &opts)
}

// writeRecords writes records as lines to a file, or to standard output for
// "-".
func (s *step) writeRecords(path string, records iter.Seq2[dataset.Record, error]) error {
	return s.writeLines(path, s.lines(records))
}

// lines returns records as lines, and counts them as written.
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

// writeLines writes lines to a file, or to standard output for "-".
func (s *step) writeLines(path string, lines iter.Seq2[[]byte, error]) error {
	if path == "-" {
		return copyLines(s.a.stdout, lines)
	}
	out, err := dataset.CreateLines(s.a.ctx, path, s.Force)
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

// single returns a sequence of one element.
func single(data []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) { yield(data, nil) }
}

// end prints the report, unless the step failed.
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
		fmt.Fprintf(w, "skipped %d bad records; the first: %v\n", n.Bad, n.Errors[0])
	}
	if n.Tokens > 0 {
		fmt.Fprintf(w, "tokens %d, batches %d, left over %d\n", n.Tokens, n.Batches, n.Left)
	}
	return nil
}
