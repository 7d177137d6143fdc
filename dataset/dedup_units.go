package dataset

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/koala-go/sdk/internal/bounded"
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
	if err := o.check(); err != nil {
		return err
	}
	d := &dedupRun{o: o, units: units, read: read, x: exchange{ctx: ctx, o: &o.UnitOptions, wait: o.Wait, dir: filepath.Join(dir, ".hashes")}}
	return d.x.during(dir, units, d.start, func() error {
		return EachUnit(ctx, dir, ".jsonl", units, o.UnitOptions, func(u Unit, path string) error {
			drops, err := d.drops(u.Number)
			if err != nil {
				return err
			}
			return write(u, path, byNumber(read(u), func(i int64) bool {
				if drops.has(i) {
					o.Report.drop("duplicate")
				}
				return !drops.has(i)
			}))
		})
	})
}

// byNumber gives the records whose numbers keep wants.
func byNumber(records iter.Seq2[Record, error], keep func(i int64) bool) iter.Seq2[Record, error] {
	i := int64(-1)
	return Filter(records, "", func(*Record) bool { i++; return keep(i) }, nil)
}

// dedupRun is one run of DedupUnits.
type dedupRun struct {
	o     DedupUnitOptions
	units []Unit
	read  func(Unit) iter.Seq2[Record, error]
	x     exchange
}

const hashSize, dropSize = 16, 12

// start makes the hashes and duplicates of this run, and then all others that
// other runs have not made.
func (d *dedupRun) start() error {
	err := d.x.all("unit", len(d.units), func(i int) ([]byte, error) { return d.hashes(d.units[i]) })
	if err != nil {
		return err
	}
	return d.x.all("part", dedupParts, d.duplicates)
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
		data, err := os.ReadFile(d.x.path("unit", u.Number))
		if err != nil {
			return nil, err
		}
		for i := 0; i+hashSize <= len(data); i += hashSize {
			if int(data[i]>>4) != part {
				continue
			}
			old, err := s.add(hash128(data[i : i+hashSize]))
			if err != nil {
				return nil, err
			}
			if old {
				out = binary.LittleEndian.AppendUint32(out, uint32(u.Number))
				out = binary.LittleEndian.AppendUint64(out, uint64(i/hashSize))
			}
		}
	}
	return out, nil
}

// bitset is a set of the numbers of records.
type bitset []uint64

func (b *bitset) add(i int64) {
	for int64(len(*b)) <= i/64 {
		*b = append(*b, 0)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b bitset) has(i int64) bool { return i/64 < int64(len(b)) && b[i/64]>>(i%64)&1 == 1 }

// drops are the numbers of the duplicates in a unit.
func (d *dedupRun) drops(unit int) (drops bitset, err error) {
	for part := range dedupParts {
		if err := d.dropsOf(part, unit, &drops); err != nil {
			return nil, err
		}
	}
	return drops, nil
}

// dropsOf finds them in a part, where they are in the order of the units.
func (d *dedupRun) dropsOf(part, unit int, drops *bitset) error {
	f, err := vfs.OS.Open(d.x.path("part", part))
	if err != nil {
		return err
	}
	defer f.Close()
	var entry [dropSize]byte
	n := int(f.Size() / dropSize)
	at := func(i int) int {
		err = errors.Join(err, bounded.ReadFull(f, entry[:], int64(i)*dropSize))
		return int(binary.LittleEndian.Uint32(entry[:]))
	}
	first := sort.Search(n, func(i int) bool { return at(i) >= unit })
	last := sort.Search(n, func(i int) bool { return at(i) > unit })
	r := bufio.NewReader(io.NewSectionReader(f, int64(first)*dropSize, int64(last-first)*dropSize))
	for ; first < last && err == nil; first++ {
		if _, err = io.ReadFull(r, entry[:]); err == nil {
			drops.add(int64(binary.LittleEndian.Uint64(entry[4:])))
		}
	}
	return err
}
