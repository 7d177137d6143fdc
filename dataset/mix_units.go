package dataset

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
)

// MixUnitSource is one of the sources that MixUnits joins: plain files of
// lines, each a training record.
type MixUnitSource struct {
	Name   string
	Weight float64
	Paths  []string
}

// MixUnitOptions are the choices of MixUnits.
type MixUnitOptions struct {
	UnitOptions
	Mix     MixOptions
	Shuffle bool  // shuffle what comes out, by the seed of the mixture
	Size    int64 // about the bytes of a unit, in and out, which is also the memory it costs (default 256 MiB)
	Temp    string
	Wait    time.Duration // as in DedupUnitOptions
}

// MixUnits is Mix, and Shuffle, for several runs that share a directory. First
// each run finds out where the records of its share of the inputs stand. From
// these places every run draws the same mixture, and makes the units of the
// output that are its own, for which it reads the records in them alone. read
// gives the records of a unit of the inputs. All units of the output together,
// in order, are what Mix and Shuffle give.
func MixUnits(ctx context.Context, dir string, sources []MixUnitSource, o MixUnitOptions, read func(Unit) iter.Seq2[Record, error]) error {
	if o.Size <= 0 {
		o.Size = 256 << 20
	}
	if err := o.check(); err != nil {
		return err
	}
	m := &mixRun{o: o, sources: sources, read: read, x: exchange{ctx: ctx, o: &o.UnitOptions, wait: o.Wait, dir: filepath.Join(dir, ".places")}}
	defer m.close()
	done := filepath.Join(dir, "mixture.done")
	m.x.finished = func() bool {
		finished, err := m.finished(done)
		return err == nil && finished
	}
	finished, err := m.finished(done)
	if err == nil && !finished {
		if err = m.start(); err != nil { // it may be that the others did this run's share and cleared up
			finished = m.x.finished()
		}
	}
	switch {
	case finished: // what a run left that was killed as it cleared up
		return o.alone(dir, func() error { return vfs.OS.RemoveAll(m.x.dir) })
	case err != nil:
		return err
	}
	err = EachUnit(ctx, dir, ".jsonl", m.out, o.UnitOptions, m.unit)
	if err != nil || !o.allDone(dir, m.out) {
		return err
	}
	return o.alone(dir, func() error {
		if err := o.mark(done, len(m.out)); err != nil {
			return err
		}
		return vfs.OS.RemoveAll(m.x.dir)
	})
}

// finished says whether all units are done: the mixture's own marker says how
// many there are.
func (m *mixRun) finished(done string) (bool, error) {
	var was unitMarker
	found, err := readJSON(done, &was)
	if !found || was.Fingerprint != m.o.Fingerprint {
		return false, err
	}
	units := make([]Unit, was.Unit)
	for i := range units {
		units[i].Number = i
	}
	return m.o.allDone(filepath.Dir(done), units), nil
}

// start finds out where all records stand.
func (m *mixRun) start() error {
	if err := m.divide(); err != nil {
		return err
	}
	if err := os.MkdirAll(m.x.dir, 0o777); err != nil {
		return err
	}
	if err := m.x.all("unit", len(m.in), func(i int) ([]byte, error) { return m.places(m.in[i].Unit) }); err != nil {
		return err
	}
	return m.plan()
}

// mixRun is one run of MixUnits.
type mixRun struct {
	o       MixUnitOptions
	sources []MixUnitSource
	read    func(Unit) iter.Seq2[Record, error]
	x       exchange
	in      []mixUnit // of the inputs
	out     []Unit
	total   uint64       // records that are drawn
	drawn   []*placeFile // by unit of the output; nil for what is not there
	data    []byte       // of the unit in the making
}

// mixUnit is a unit of the inputs.
type mixUnit struct {
	Unit
	source int
}

// place is where a drawn record stands and where it goes.
type place struct {
	key, n uint64
	unit   uint32 // of the inputs
	bytes  uint32
	offset uint64
	to     uint64 // in the unit of the output
}

// divide lists the units of the inputs.
func (m *mixRun) divide() error {
	for i, s := range m.sources {
		for _, path := range s.Paths {
			if err := onlyPlain(path); err != nil {
				return err
			}
		}
		units, err := Units(s.Paths, m.o.Size)
		if err != nil {
			return err
		}
		for _, u := range units {
			u.Number = len(m.in)
			m.in = append(m.in, mixUnit{u, i})
		}
	}
	return nil
}

// onlyPlain refuses files in which single lines cannot be read.
func onlyPlain(path string) error {
	f, err := vfs.OS.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head, err := headOf(f)
	if err == nil && !plainLines(head) {
		err = &Error{File: path, Err: refusal.Reason(ErrUnsupported, "runs that share a mixture need plain files of lines")}
	}
	return err
}

// placeSize is what a place of an input takes: its offset and its length.
const placeSize = 12

// places are where a unit's records stand.
func (m *mixRun) places(u Unit) ([]byte, error) {
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

// source gives the places of a source's records in order.
func (m *mixRun) source(source int) iter.Seq2[place, error] {
	return func(yield func(place, error) bool) {
		for _, u := range m.in {
			if u.source != source {
				continue
			}
			for p, err := range m.of(u.Unit) {
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// of gives the places of a unit's records.
func (m *mixRun) of(u Unit) iter.Seq2[place, error] {
	return func(yield func(place, error) bool) {
		f, err := os.Open(m.x.path("unit", u.Number))
		if err != nil {
			yield(place{}, err)
			return
		}
		defer f.Close()
		r := bufio.NewReaderSize(f, 64<<10)
		for {
			var entry [placeSize]byte
			_, err := io.ReadFull(r, entry[:])
			if err == io.EOF {
				return
			}
			p := place{unit: uint32(u.Number), offset: binary.LittleEndian.Uint64(entry[:]), bytes: binary.LittleEndian.Uint32(entry[8:])}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// plan counts the sources and divides the output.
func (m *mixRun) plan() error {
	var size uint64
	for i := range m.sources {
		var records, bytes uint64
		for p, err := range m.source(i) {
			if err != nil {
				return err
			}
			records, bytes = records+1, bytes+uint64(p.bytes)+1
		}
		switch {
		case m.sources[i].Weight <= 0 || records == 0:
		case m.o.Mix.Total > 0: // as if all came from the source of the longest records
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
	m.drawn = make([]*placeFile, units)
	return nil
}

// draw gives the mixture as places.
func (m *mixRun) draw() iter.Seq2[place, error] {
	list := make([]mixSource[place], len(m.sources))
	for i, s := range m.sources {
		list[i] = mixSource[place]{s.Name, s.Weight, func() iter.Seq2[place, error] { return m.source(i) }}
	}
	return mix(list, &m.o.Mix)
}

// to is the unit of the output in which a drawn record comes: those of a
// shuffle are ranges of its keys, others of the order in which they are drawn.
func (m *mixRun) to(p *place) int {
	high, low := bits.Mul64(p.key, uint64(len(m.out)))
	if !m.o.Shuffle {
		high, _ = bits.Div64(high, low, m.total)
	}
	return int(high)
}

// openUnits is for how many units of the output the mixture is drawn at once.
const openUnits = 200

// collect draws the mixture, and keeps the places of those of this run's units
// that come from first on.
func (m *mixRun) collect(first int) (err error) {
	for n, open := first, 0; n < len(m.out) && open < openUnits; n++ {
		if m.o.mine(n) {
			if m.drawn[n], err = createPlaces(m.o.Temp); err != nil {
				return err
			}
			open++
		}
	}
	n := uint64(0)
	for p, err := range m.draw() {
		if err != nil {
			return err
		}
		if p.n, p.key = n, n; m.o.Shuffle {
			p.key = shuffleKey(m.o.Mix.Seed, n)
		}
		if n++; n%4096 == 0 && m.x.ctx.Err() != nil {
			return context.Cause(m.x.ctx)
		}
		if f := m.drawn[m.to(&p)]; f != nil {
			if err := f.add(&p); err != nil {
				return err
			}
		}
	}
	return nil
}

// unit makes a unit of the output.
func (m *mixRun) unit(u Unit, path string) error {
	if m.drawn[u.Number] == nil {
		if err := m.collect(u.Number); err != nil {
			return err
		}
	}
	list, err := m.drawn[u.Number].all()
	m.drawn[u.Number].close()
	if err != nil {
		return err
	}
	data, err := m.records(list)
	if err != nil {
		return err
	}
	m.o.Report.count(func(n *Counts) { n.Out += int64(len(list)) })
	return m.o.Publish(path, data)
}

// records reads the records of a unit of the output, each input from its
// beginning to its end, into their places.
func (m *mixRun) records(list []place) ([]byte, error) {
	slices.SortFunc(list, func(a, b place) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.n, b.n)) })
	size := uint64(0)
	for i := range list {
		list[i].to = size
		size += uint64(list[i].bytes) + 1
	}
	slices.SortFunc(list, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.unit, b.unit), cmp.Compare(a.offset, b.offset), cmp.Compare(a.to, b.to))
	})
	if uint64(cap(m.data)) < size {
		m.data = nil // not both at once
		m.data = make([]byte, size+size/8)
	}
	data := m.data[:size]
	for _, p := range list {
		data[p.to+uint64(p.bytes)] = '\n'
	}
	for len(list) > 0 {
		path := m.in[list[0].unit].Path
		n := 0
		for n < len(list) && m.in[list[n].unit].Path == path {
			n++
		}
		if err := readPlaces(path, data, list[:n]); err != nil {
			return nil, err
		}
		list = list[n:]
	}
	return data, nil
}

// readPlaces reads the records in one file.
func readPlaces(path string, data []byte, list []place) error {
	f, err := vfs.OS.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range list {
		if err := bounded.ReadFull(f, data[p.to:p.to+uint64(p.bytes)], int64(p.offset)); err != nil {
			return &Error{File: path, Err: fmt.Errorf("the file changed during the run: %w", err)}
		}
	}
	return nil
}

func (m *mixRun) close() {
	for _, f := range m.drawn {
		f.close()
	}
}

// placeFile keeps the places of a unit of the output in a temporary file.
type placeFile struct {
	file *os.File
	w    *bufio.Writer
}

func createPlaces(dir string) (*placeFile, error) {
	f, err := os.CreateTemp(dir, "koala-mix-*")
	if err != nil {
		return nil, err
	}
	return &placeFile{f, bufio.NewWriterSize(f, 16<<10)}, nil
}

const drawnSize = 32

func (f *placeFile) add(p *place) error {
	var b [drawnSize]byte
	binary.LittleEndian.PutUint64(b[:], p.key)
	binary.LittleEndian.PutUint64(b[8:], p.n)
	binary.LittleEndian.PutUint64(b[16:], p.offset)
	binary.LittleEndian.PutUint32(b[24:], p.unit)
	binary.LittleEndian.PutUint32(b[28:], p.bytes)
	_, err := f.w.Write(b[:])
	return err
}

// all reads the places.
func (f *placeFile) all() ([]place, error) {
	if err := f.w.Flush(); err != nil {
		return nil, err
	}
	size, err := f.file.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = f.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, err
	}
	list := make([]place, size/drawnSize)
	r := bufio.NewReaderSize(f.file, 64<<10)
	for i := range list {
		var b [drawnSize]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		list[i] = place{key: binary.LittleEndian.Uint64(b[:]), n: binary.LittleEndian.Uint64(b[8:]),
			offset: binary.LittleEndian.Uint64(b[16:]), unit: binary.LittleEndian.Uint32(b[24:]), bytes: binary.LittleEndian.Uint32(b[28:])}
	}
	return list, nil
}

func (f *placeFile) close() {
	if f != nil && f.file != nil {
		_ = errors.Join(f.file.Close(), os.Remove(f.file.Name())) // nothing of it is needed
		f.file = nil
	}
}
