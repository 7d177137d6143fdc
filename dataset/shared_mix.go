package dataset

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"path/filepath"
	"time"

	"github.com/koala-go/sdk/internal/refusal"
)

// MixUnitSource is one of the sources that MixUnits joins.
type MixUnitSource struct {
	Name   string  // name for errors
	Weight float64 // relative probability of a draw
	Inputs []Input // plain files of lines, each line a training record
}

// MixUnitOptions are the options of MixUnits. Nil means the zero value.
type MixUnitOptions struct {
	UnitOptions            // which units of the output the run makes
	Mix         MixOptions // as for Mix
	Shuffle     bool       // shuffle the mixture with its seed
	// Size is the approximate size in bytes of a unit of the inputs and of the
	// output. A unit of the output is held in memory. Default: 256 MiB.
	Size int64
	Dir  string        // directory of temporary files (default: the system's)
	Wait time.Duration // as in DedupUnitOptions
}

// MixUnits is Mix, and Shuffle, for several runs that share a directory. First
// each run finds the offsets of the records in its share of the inputs. From
// the offsets of all records every run draws the same mixture. Then each run
// makes its units of the output, and reads only the records in them. read
// returns the records of a unit of the inputs. The units of the output, one
// after the other, are equal to the result of Mix and Shuffle.
func MixUnits(ctx context.Context, dir string, sources []MixUnitSource, opts *MixUnitOptions, read func(Unit) iter.Seq2[Record, error]) error {
	m := &mixRun{sources: sources, read: read}
	if opts != nil {
		m.o = *opts
	}
	if m.o.Size <= 0 {
		m.o.Size = defaultUnitSize
	}
	run, err := newUnitRun(ctx, dir, &m.o.UnitOptions)
	if err != nil {
		return err
	}
	m.run, m.marker = run, filepath.Join(dir, "mixture.done")
	m.x = exchange{run: run, wait: m.o.Wait, dir: filepath.Join(dir, ".places"), stepDone: m.finished}
	defer m.close()
	return m.do()
}

// mixRun is one run of MixUnits.
type mixRun struct {
	run     *unitRun
	o       MixUnitOptions
	sources []MixUnitSource
	read    func(Unit) iter.Seq2[Record, error]
	x       exchange
	marker  string    // path of the marker of the whole mixture
	in      []mixUnit // units of the inputs
	out     []Unit    // units of the output
	total   uint64    // number of records that are drawn
	drawn   []*refFile
	data    []byte // buffer for a unit of the output
}

// mixUnit is a unit of the inputs.
type mixUnit struct {
	Unit
	source int
	file   int // number of the file among those of all sources
}

// do makes this run's share of the mixture.
func (m *mixRun) do() error {
	finished, err := m.finished()
	if err == nil && !finished {
		if err = m.prepare(); err != nil { // perhaps because the others finished and removed the directory
			finished = m.x.finished()
		}
	}
	switch {
	case finished: // a run that was killed while it cleaned up may have left the directory
		return m.run.exclusive(func() error { return m.run.fs.RemoveAll(m.x.dir) })
	case err != nil:
		return err
	}
	if err := m.run.each(".jsonl", m.out, m.makeUnit); err != nil {
		return err
	}
	if done, err := m.run.allDone(m.out); err != nil || !done {
		return err
	}
	return m.run.exclusive(func() error {
		if err := m.run.mark(m.marker, len(m.out)); err != nil {
			return err
		}
		return m.run.fs.RemoveAll(m.x.dir)
	})
}

// finished reports whether all units of the output are done. Their number is in
// the marker of the mixture.
func (m *mixRun) finished() (bool, error) {
	var marker unitMarker
	found, err := readJSON(m.run.fs, m.marker, &marker)
	if !found || marker.Fingerprint != m.run.Fingerprint {
		return false, err
	}
	units := make([]Unit, marker.Unit)
	for i := range units {
		units[i].Number = i
	}
	return m.run.allDone(units)
}

// prepare finds the offsets of all records, and divides the output.
func (m *mixRun) prepare() error {
	if err := m.divide(); err != nil {
		return err
	}
	if err := m.run.fs.MkdirAll(m.x.dir); err != nil {
		return err
	}
	if err := m.x.makeAll("unit", len(m.in), func(i int) ([]byte, error) { return m.offsets(m.in[i].Unit) }); err != nil {
		return err
	}
	return m.plan()
}

// divide lists the units of the inputs.
func (m *mixRun) divide() error {
	file := 0
	for i, s := range m.sources {
		for _, in := range s.Inputs {
			if err := requirePlainLines(m.run.ctx, &in); err != nil {
				return err
			}
			units, err := Units(m.run.ctx, []Input{in}, m.o.Size)
			if err != nil {
				return err
			}
			for _, u := range units {
				u.Number = len(m.in)
				m.in = append(m.in, mixUnit{u, i, file})
			}
			file++
		}
	}
	return nil
}

// requirePlainLines refuses files in which a single line cannot be read.
func requirePlainLines(ctx context.Context, in *Input) error {
	f, closer, err := in.openSized(ctx)
	if err != nil {
		return err
	}
	head, err := readHead(f)
	if err == nil && !isPlainLines(head) {
		err = &Error{File: in.Name, Err: refusal.Reason(ErrUnsupported, "runs that share a mixture need plain files of lines")}
	}
	return errors.Join(err, closer.Close())
}

// offsetSize is the length of a record in a file of offsets: its offset in 8
// bytes, and its length in 4.
const offsetSize = 12

// offsets returns the offsets and lengths of the records of a unit.
func (m *mixRun) offsets(u Unit) ([]byte, error) {
	var out []byte
	for r, err := range m.read(u) {
		if err != nil {
			return nil, err
		}
		out = binary.LittleEndian.AppendUint64(out, uint64(r.At.Offset))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(r.Line)))
	}
	return out, nil
}

// sourceRefs yields the references to the records of a source in order.
func (m *mixRun) sourceRefs(source int) iter.Seq2[recordRef, error] {
	return func(yield func(recordRef, error) bool) {
		for _, u := range m.in {
			if u.source != source {
				continue
			}
			for p, err := range m.unitRefs(u.Unit) {
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// unitRefs yields the references to the records of a unit of the inputs.
func (m *mixRun) unitRefs(u Unit) iter.Seq2[recordRef, error] {
	return func(yield func(recordRef, error) bool) {
		f, err := m.run.fs.Open(m.x.path("unit", u.Number))
		if err != nil {
			yield(recordRef{}, err)
			return
		}
		defer f.Close()
		r := bufio.NewReaderSize(io.NewSectionReader(f, 0, f.Size()), 64<<10)
		for {
			var entry [offsetSize]byte
			_, err := io.ReadFull(r, entry[:])
			if err == io.EOF {
				return
			}
			p := recordRef{unit: uint32(u.Number), offset: binary.LittleEndian.Uint64(entry[:]), bytes: binary.LittleEndian.Uint32(entry[8:])}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// plan measures the sources and divides the output into units.
func (m *mixRun) plan() error {
	var size uint64
	for i := range m.sources {
		var records, bytes uint64
		for p, err := range m.sourceRefs(i) {
			if err != nil {
				return err
			}
			records, bytes = records+1, bytes+uint64(p.bytes)+1
		}
		switch {
		case m.sources[i].Weight <= 0 || records == 0:
		case m.o.Mix.Total > 0: // assumes that all records come from the source with the longest ones
			size = max(size, uint64(m.o.Mix.Total)*((bytes+records-1)/records))
		default:
			m.total, size = m.total+records, size+bytes
		}
	}
	if m.o.Mix.Total > 0 {
		m.total = uint64(m.o.Mix.Total)
	}
	units := max(1, (size+uint64(m.o.Size)-1)/uint64(m.o.Size))
	for n := range units {
		m.out = append(m.out, Unit{Number: int(n)})
	}
	m.drawn = make([]*refFile, units)
	return nil
}

func (m *mixRun) close() {
	for _, f := range m.drawn {
		f.close()
	}
}
