package main

import (
	"bytes"
	"errors"
	"iter"
	"path/filepath"

	"github.com/koala-go/sdk/dataset"
)

// unitFlags divide a step among machines.
type unitFlags struct {
	Index    int  `help:"Do the units whose numbers are this modulo --count." placeholder:"I"`
	Count    int  `help:"Number of runs that share the work; --out is then a directory that all share, and each unit of the inputs makes an output of its own there, the same for every count." placeholder:"N"`
	UnitSize size `default:"256MiB" placeholder:"SIZE" help:"Plain files of lines, and Parquet by its row groups, are divided into units of about this size (default ${default})."`
}

// at reads the records of a place.
func (s *step) at(p place) iter.Seq2[dataset.Record, error] {
	return s.read(p.inputs, dataset.ReadOptions{Start: p.start})
}

// place is what a step reads and where it writes.
type place struct {
	inputs []dataset.Input
	start  dataset.Start
	out    string
}

// divide finds the units, and which are this run's. Units may take the place
// of what stands there: their markers tell what is done.
func (s *step) divide(f *unitFlags, settings any) ([]dataset.Unit, dataset.UnitOptions, error) {
	o := dataset.UnitOptions{Index: f.Index, Count: f.Count, Force: s.Force, Report: s.report}
	if contains(s.In, "-") {
		return nil, o, errors.New("standard input cannot be divided: --count: give files")
	}
	units, err := dataset.Units(s.In, int64(f.UnitSize))
	if err == nil {
		o.Fingerprint, err = dataset.Fingerprint(s.decisive, settings, int64(f.UnitSize))
	}
	s.Force = true
	return units, o, err
}

// each does a step for all inputs at once, or for each unit that is this
// run's.
func (s *step) each(f *unitFlags, out, end string, settings any, do func(place) error) error {
	if f.Count == 0 {
		if f.Index != 0 {
			return errors.New("--index without --count: in the command line: give both")
		}
		return do(place{s.inputs(), dataset.Start{}, out})
	}
	units, o, err := s.divide(f, settings)
	if err != nil {
		return err
	}
	return dataset.EachUnit(s.a.ctx, out, end, units, o, func(u dataset.Unit, path string) error {
		return do(place{dataset.Files(u.Path), u.Start, path})
	})
}

// collect does a step that has one result for all inputs: at once, or for each
// unit that is this run's. In a shared directory the run that finds all parts
// there joins them, in name.
func collect[T any](s *step, f *unitFlags, out, name string, settings any, do func(place) (T, error), join func([]T) iter.Seq2[[]byte, error]) error {
	if f.Count == 0 {
		return s.each(f, out, "", nil, func(p place) error {
			part, err := do(p)
			if err != nil {
				return err
			}
			return s.put(out, join([]T{part}))
		})
	}
	units, o, err := s.divide(f, settings)
	if err != nil {
		return err
	}
	parts, err := dataset.CollectUnits(s.a.ctx, out, units, o, func(u dataset.Unit) (T, error) {
		return do(place{dataset.Files(u.Path), u.Start, ""})
	})
	if err != nil || parts == nil {
		return err
	}
	var text bytes.Buffer
	if err := copyLines(&text, join(parts)); err != nil {
		return err
	}
	return o.Publish(filepath.Join(out, name), text.Bytes())
}
