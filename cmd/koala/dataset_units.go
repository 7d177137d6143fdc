package main

import (
	"bytes"
	"errors"
	"iter"
	"path/filepath"
	"slices"

	"github.com/koala-go/sdk/dataset"
)

// unitFlags share a step among several runs.
type unitFlags struct {
	Index    int  `placeholder:"I" help:"Number of this run, from 0: it does the units whose numbers are I modulo --count."`
	Count    int  `placeholder:"N" help:"Number of runs that share the work. --out is then a directory that all runs share. Each unit of the inputs has an output of its own there, which does not depend on N."`
	UnitSize size `default:"256MiB" placeholder:"SIZE" help:"Approximate size of units, into which plain files of lines and Parquet are divided (default ${default})."`
}

// task has the inputs and the output of a step: of all inputs, or of one unit.
type task struct {
	inputs []dataset.Input
	start  dataset.Start
	out    string // path of the output
}

// readTask returns the training records of a task.
func (s *step) readTask(t task) iter.Seq2[dataset.Record, error] {
	return s.read(t.inputs, dataset.ReadOptions{Start: t.start})
}

// readUnit returns the training records of a unit.
func (s *step) readUnit(u dataset.Unit) iter.Seq2[dataset.Record, error] {
	return s.readTask(unitTask(u, ""))
}

func unitTask(u dataset.Unit, out string) task {
	return task{[]dataset.Input{u.Input}, u.Start, out}
}

// divide divides the inputs into units, and returns which of them are this
// run's.
func (s *step) divide(f *unitFlags, settings any) ([]dataset.Unit, *dataset.UnitOptions, error) {
	o := &dataset.UnitOptions{Index: f.Index, Count: f.Count, Force: s.Force, Report: s.report}
	if slices.Contains(s.In, "-") {
		return nil, o, errors.New("standard input cannot be divided: --count: give files")
	}
	units, err := dataset.Units(s.a.ctx, dataset.Files(s.In...), int64(f.UnitSize))
	if err == nil {
		o.Fingerprint, err = dataset.Fingerprint(s.a.ctx, dataset.Files(s.decisive...), settings, int64(f.UnitSize))
	}
	// The markers, and not the outputs, say which units are done. An output
	// without a marker is a leftover of a killed run and is replaced.
	s.Force = true
	return units, o, err
}

// each does a step for all inputs at once or, with --count, for each unit of
// this run.
func (s *step) each(f *unitFlags, out, ending string, settings any, do func(task) error) error {
	if f.Count == 0 {
		if f.Index != 0 {
			return errors.New("--index without --count: in the command line: give both")
		}
		return do(task{s.inputs(), dataset.Start{}, out})
	}
	units, o, err := s.divide(f, settings)
	if err != nil {
		return err
	}
	return dataset.EachUnit(s.a.ctx, out, ending, units, o, func(u dataset.Unit, path string) error {
		return do(unitTask(u, path))
	})
}

// collect does a step that has one result for all inputs: at once or, with
// --count, part by part for each unit of this run. The run that finds the parts
// of all units joins them, and writes the result to a file of the given name in
// the shared directory.
func collect[T any](s *step, f *unitFlags, out, name string, settings any, do func(task) (T, error), join func([]T) iter.Seq2[[]byte, error]) error {
	if f.Count == 0 {
		return s.each(f, out, "", nil, func(t task) error {
			part, err := do(t)
			if err != nil {
				return err
			}
			return s.writeLines(out, join([]T{part}))
		})
	}
	units, o, err := s.divide(f, settings)
	if err != nil {
		return err
	}
	parts, err := dataset.CollectUnits(s.a.ctx, out, units, o, func(u dataset.Unit) (T, error) {
		return do(unitTask(u, ""))
	})
	if err != nil || parts == nil {
		return err
	}
	var text bytes.Buffer
	if err := copyLines(&text, join(parts)); err != nil {
		return err
	}
	return dataset.PublishShared(s.a.ctx, filepath.Join(out, name), text.Bytes(), o)
}
