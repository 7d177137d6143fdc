package dataset

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/koala-go/sdk/internal/vfs"
)

// DedupUnitOptions are the choices of DedupUnits.
type DedupUnitOptions struct {
	UnitOptions
	Memory int    // as in DedupOptions, for a part of the hashes at a time
	Temp   string // for temporary files (default: the system's)
	// Wait is how long to wait for what other runs do. After that it is done
	// here: the result is the same, and the work is done twice.
	Wait time.Duration
}

// dedupParts is into how many parts the hashes are divided.
const dedupParts = 16

// DedupUnits is Dedup for several runs that share a directory: over all units
// only the first record of a query stays. read gives a unit's records, write
// writes those that stay. In three steps, hashes of each unit, what of each
// part of the hashes is a duplicate, and each unit's output, a run does the
// units and parts of its index. Hashes and positions alone go from run to run,
// in a folder that the last run removes.
func DedupUnits(ctx context.Context, dir string, units []Unit, o DedupUnitOptions, read func(Unit) iter.Seq2[Record, error], write func(u Unit, path string, records iter.Seq2[Record, error]) error) error {
	d := &dedupRun{ctx: ctx, o: o, units: units, read: read, dir: filepath.Join(dir, ".hashes")}
	if err := o.check(); err != nil {
		return err
	}
	if !allDone(dir, units) { // also a run without units of its own has its share of these
		if err := d.start(); err != nil && !allDone(dir, units) { // else the others did this run's share and cleared up
			return err
		}
	}
	err := EachUnit(ctx, dir, ".jsonl", units, o.UnitOptions, func(u Unit, path string) error {
		drops := d.drops[u.Number]
		return write(u, path, byNumber(read(u), func(i int64) bool {
			if drops[i] {
				o.Report.drop("duplicate")
			}
			return !drops[i]
		}))
	})
	if err == nil && allDone(dir, units) {
		err = vfs.OS.RemoveAll(d.dir)
	}
	return err
}

// allDone says whether all units have their markers.
func allDone(dir string, units []Unit) bool {
	for _, u := range units {
		if _, err := os.Stat(filepath.Join(dir, fmt.Sprintf("unit-%05d.done", u.Number))); err != nil {
			return false
		}
	}
	return true
}

// byNumber gives the records whose numbers keep wants.
func byNumber(records iter.Seq2[Record, error], keep func(i int64) bool) iter.Seq2[Record, error] {
	i := int64(-1)
	return Filter(records, "", func(*Record) bool { i++; return keep(i) }, nil)
}

// dedupRun is one run of DedupUnits.
type dedupRun struct {
	ctx   context.Context
	o     DedupUnitOptions
	units []Unit
	read  func(Unit) iter.Seq2[Record, error]
	dir   string
	drops map[int]map[int64]bool // of this run's units
}

// start makes the hashes and duplicates of this run, and then all others that
// other runs have not made.
func (d *dedupRun) start() error {
	if err := os.MkdirAll(d.dir, 0o777); err != nil {
		return err
	}
	for _, mine := range []bool{true, false} {
		for _, u := range d.units {
			if err := d.ensure(d.hashPath(u.Number), u.Number, mine, func() ([]byte, error) { return d.hashes(u) }); err != nil {
				return err
			}
		}
	}
	for _, mine := range []bool{true, false} {
		for part := range dedupParts {
			if err := d.ensure(d.partPath(part), part, mine, func() ([]byte, error) { return d.duplicates(part) }); err != nil {
				return err
			}
		}
	}
	return d.load()
}

func (d *dedupRun) hashPath(unit int) string { return d.path("unit", unit) }
func (d *dedupRun) partPath(part int) string { return d.path("part", part) }

// path names a file after what decides on it, too.
func (d *dedupRun) path(what string, n int) string {
	return filepath.Join(d.dir, fmt.Sprintf("%s-%05d-%.16s", what, n, d.o.Fingerprint))
}

// ensure makes a file unless it is there. What is another run's is waited for
// first.
func (d *dedupRun) ensure(path string, number int, mine bool, data func() ([]byte, error)) error {
	own := number%d.o.Count == d.o.Index
	if own != mine {
		return nil
	}
	for start := time.Now(); ; {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if own || time.Since(start) >= d.o.Wait {
			break
		}
		select {
		case <-d.ctx.Done():
			return d.ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	text, err := data()
	if err != nil {
		return err
	}
	return replaceVia(partial(fmt.Sprintf("%s.%d-of-%d", path, d.o.Index, d.o.Count)), path, text)
}

// hashes are those of a unit's records, 16 bytes each.
func (d *dedupRun) hashes(u Unit) ([]byte, error) {
	var out []byte
	for r, err := range d.read(u) {
		if err != nil {
			return nil, err
		}
		h := queryHash(&r)
		out = append(out, h[:]...)
	}
	return out, nil
}

// duplicates are, of the hashes that are in a part, those that were there
// before: each as the unit, in 4 bytes, and the record's number in it, in 8.
func (d *dedupRun) duplicates(part int) ([]byte, error) {
	s := newHashSet(DedupOptions{Memory: d.o.Memory, Dir: d.o.Temp})
	defer s.close()
	var out []byte
	for _, u := range d.units {
		data, err := os.ReadFile(d.hashPath(u.Number))
		if err != nil {
			return nil, err
		}
		for i := 0; i+16 <= len(data); i += 16 {
			if int(data[i]>>4) != part {
				continue
			}
			old, err := s.add(hash128(data[i : i+16]))
			if err != nil {
				return nil, err
			}
			if old {
				out = binary.LittleEndian.AppendUint32(out, uint32(u.Number))
				out = binary.LittleEndian.AppendUint64(out, uint64(i/16))
			}
		}
	}
	return out, nil
}

// load reads the duplicates in this run's units.
func (d *dedupRun) load() error {
	d.drops = make(map[int]map[int64]bool)
	for part := range dedupParts {
		data, err := os.ReadFile(d.partPath(part))
		if err != nil {
			return err
		}
		if len(data)%12 != 0 {
			return &Error{File: d.partPath(part), Err: errors.New("not of the length that it was written in")}
		}
		for ; len(data) > 0; data = data[12:] {
			unit := int(binary.LittleEndian.Uint32(data))
			if unit%d.o.Count != d.o.Index {
				continue
			}
			if d.drops[unit] == nil {
				d.drops[unit] = make(map[int64]bool)
			}
			d.drops[unit][int64(binary.LittleEndian.Uint64(data[4:]))] = true
		}
	}
	return nil
}
