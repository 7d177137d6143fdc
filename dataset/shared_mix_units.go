package dataset

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math/bits"
	"slices"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/vfs"
)

// recordRef refers to a drawn record in the inputs, and says where it goes.
type recordRef struct {
	key, n uint64 // sort key, and number of the draw
	unit   uint32 // unit of the inputs
	bytes  uint32 // length of the line without its newline
	offset uint64 // in the input
	to     uint64 // offset in the unit of the output
}

// draw yields the mixture as references.
func (m *mixRun) draw() iter.Seq2[recordRef, error] {
	list := make([]mixSource[recordRef], len(m.sources))
	for i, s := range m.sources {
		list[i] = mixSource[recordRef]{s.Name, s.Weight, func() iter.Seq2[recordRef, error] { return m.sourceRefs(i) }}
	}
	return mix(list, &m.o.Mix)
}

// outputUnit returns the unit of the output that a drawn record belongs to. The
// units of a shuffle are equal ranges of the keys, other units equal ranges of
// the numbers of draws.
func (m *mixRun) outputUnit(p *recordRef) int {
	high, low := bits.Mul64(p.key, uint64(len(m.out)))
	if !m.o.Shuffle {
		high, _ = bits.Div64(high, low, m.total)
	}
	return int(high)
}

// maxOpenUnits is the number of units of the output for which references are
// collected in one drawing of the mixture. Each has an open file.
const maxOpenUnits = 200

// collect draws the mixture and keeps the references of this run's next units,
// beginning with first.
func (m *mixRun) collect(first int) (err error) {
	for n, open := first, 0; n < len(m.out) && open < maxOpenUnits; n++ {
		if m.run.owns(n) {
			if m.drawn[n], err = createRefFile(m.run.fs, m.o.Dir); err != nil {
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
		if n++; n%4096 == 0 && m.run.ctx.Err() != nil {
			return context.Cause(m.run.ctx)
		}
		if f := m.drawn[m.outputUnit(&p)]; f != nil {
			if err := f.add(&p); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeUnit makes a unit of the output.
func (m *mixRun) makeUnit(u Unit, path string) error {
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
	data, err := m.readRecords(list)
	if err != nil {
		return err
	}
	m.o.Report.update(func(n *Counts) { n.Out += int64(len(list)) })
	return m.run.put(path, data)
}

// readRecords reads the records of a unit of the output. It reads each input
// from its beginning to its end, and puts each record where it belongs in the
// output.
func (m *mixRun) readRecords(list []recordRef) ([]byte, error) {
	slices.SortFunc(list, func(a, b recordRef) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.n, b.n)) })
	size := uint64(0)
	for i := range list {
		list[i].to = size
		size += uint64(list[i].bytes) + 1
	}
	slices.SortFunc(list, func(a, b recordRef) int {
		return cmp.Or(cmp.Compare(a.unit, b.unit), cmp.Compare(a.offset, b.offset), cmp.Compare(a.to, b.to))
	})
	if uint64(cap(m.data)) < size {
		m.data = nil // frees the old buffer before the new one is made
		m.data = make([]byte, size+size/8)
	}
	data := m.data[:size]
	for _, p := range list {
		data[p.to+uint64(p.bytes)] = '\n'
	}
	for len(list) > 0 {
		first := m.in[list[0].unit]
		n := 0
		for n < len(list) && m.in[list[n].unit].file == first.file {
			n++
		}
		if err := readRefs(m.run.ctx, &first.Input, data, list[:n]); err != nil {
			return nil, err
		}
		list = list[n:]
	}
	return data, nil
}

// readRefs reads the records of one input.
func readRefs(ctx context.Context, in *Input, data []byte, list []recordRef) error {
	f, closer, err := in.openSized(ctx)
	if err != nil {
		return err
	}
	defer closer.Close()
	for _, p := range list {
		if err := bounded.ReadFull(f, data[p.to:p.to+uint64(p.bytes)], int64(p.offset)); err != nil {
			return &Error{File: in.Name, Err: fmt.Errorf("the file changed during the run: %w", err)}
		}
	}
	return nil
}

// refFile is a temporary file of the references of a unit of the output.
type refFile struct {
	file *vfs.TempFile
	w    *bufio.Writer
}

func createRefFile(fsys vfs.FS, dir string) (*refFile, error) {
	f, err := vfs.CreateTemp(fsys, dir, "koala-mix-*")
	if err != nil {
		return nil, err
	}
	return &refFile{f, bufio.NewWriterSize(f, 16<<10)}, nil
}

// refSize is the length of a reference in a refFile.
const refSize = 32

func (f *refFile) add(p *recordRef) error {
	var b [refSize]byte
	binary.LittleEndian.PutUint64(b[:], p.key)
	binary.LittleEndian.PutUint64(b[8:], p.n)
	binary.LittleEndian.PutUint64(b[16:], p.offset)
	binary.LittleEndian.PutUint32(b[24:], p.unit)
	binary.LittleEndian.PutUint32(b[28:], p.bytes)
	_, err := f.w.Write(b[:])
	return err
}

// all reads the references.
func (f *refFile) all() ([]recordRef, error) {
	if err := f.w.Flush(); err != nil {
		return nil, err
	}
	list := make([]recordRef, f.file.Size()/refSize)
	r := bufio.NewReaderSize(f.file.Reader(), 64<<10)
	for i := range list {
		var b [refSize]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		list[i] = recordRef{key: binary.LittleEndian.Uint64(b[:]), n: binary.LittleEndian.Uint64(b[8:]),
			offset: binary.LittleEndian.Uint64(b[16:]), unit: binary.LittleEndian.Uint32(b[24:]), bytes: binary.LittleEndian.Uint32(b[28:])}
	}
	return list, nil
}

func (f *refFile) close() {
	if f != nil && f.file != nil {
		_ = f.file.Close() // the file is not needed any more
		f.file = nil
	}
}
