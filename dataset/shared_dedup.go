package dataset

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"path/filepath"
	"sort"
	"time"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/vfs"
)

// DedupUnitOptions are the options of DedupUnits. Nil means the zero value.
type DedupUnitOptions struct {
	UnitOptions        // which units the run does
	Memory      int    // as in DedupOptions, for a part of the hashes at a time
	Dir         string // directory of temporary files (default: the system's)
	// Wait is how long to wait for a file of another run. After that the run
	// makes the file itself: the result is the same, and the work is done twice.
	Wait time.Duration
}

// dedupParts is the number of parts into which the hashes are divided.
const dedupParts = 16

// DedupUnits is Dedup for several runs that share a directory: of all records
// with the same query, in all units, only the first one stays. read returns the
// records of a unit, and write writes those that stay.
//
// The work has three steps: the hashes of each unit, the duplicates of each part
// of the hashes, and the output of each unit. A run does the units and parts of
// its index. The runs exchange hashes and numbers of records only, in a hidden
// directory that the last run removes.
func DedupUnits(ctx context.Context, dir string, units []Unit, opts *DedupUnitOptions, read func(Unit) iter.Seq2[Record, error], write func(u Unit, path string, records iter.Seq2[Record, error]) error) error {
	if opts == nil {
		opts = &DedupUnitOptions{}
	}
	run, err := newUnitRun(ctx, dir, &opts.UnitOptions)
	if err != nil {
		return err
	}
	d := &dedupRun{o: *opts, units: units, read: read, x: exchange{run: run, wait: opts.Wait, dir: filepath.Join(dir, ".hashes")}}
	return d.x.during(units, d.prepare, func() error {
		return run.each(".jsonl", units, func(u Unit, path string) error {
			duplicates, err := d.duplicatesOf(u.Number)
			if err != nil {
				return err
			}
			return write(u, path, filterByNumber(read(u), func(i int64) bool {
				if duplicates.has(i) {
					opts.Report.addDropped("duplicate")
				}
				return !duplicates.has(i)
			}))
		})
	})
}

// filterByNumber yields the records whose numbers keep returns true for.
func filterByNumber(records iter.Seq2[Record, error], keep func(i int64) bool) iter.Seq2[Record, error] {
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

// duplicateSize is the length of a duplicate in a file: the number of its unit
// in 4 bytes, and of the record in the unit in 8.
const duplicateSize = 12

// prepare makes the files of hashes and of duplicates.
func (d *dedupRun) prepare() error {
	err := d.x.makeAll("unit", len(d.units), func(i int) ([]byte, error) { return d.hashes(d.units[i]) })
	if err != nil {
		return err
	}
	return d.x.makeAll("part", dedupParts, d.duplicates)
}

// hashes returns the hashes of the records of a unit.
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

// duplicates returns the duplicates among the hashes of a part, in the order of
// the units. The first four bits of a hash are its part.
func (d *dedupRun) duplicates(part int) ([]byte, error) {
	s := newHashSet(d.x.run.fs, d.o.Memory, d.o.Dir)
	defer s.close()
	var out []byte
	for _, u := range d.units {
		data, err := vfs.ReadFile(d.x.run.fs, d.x.path("unit", u.Number))
		if err != nil {
			return nil, err
		}
		for i := 0; i+hashSize <= len(data); i += hashSize {
			if int(data[i]>>4) != part {
				continue
			}
			duplicate, err := s.add(hash128(data[i : i+hashSize]))
			if err != nil {
				return nil, err
			}
			if duplicate {
				out = binary.LittleEndian.AppendUint32(out, uint32(u.Number))
				out = binary.LittleEndian.AppendUint64(out, uint64(i/hashSize))
			}
		}
	}
	return out, nil
}

// bitset is a set of numbers of records.
type bitset []uint64

func (b *bitset) add(i int64) {
	for int64(len(*b)) <= i/64 {
		*b = append(*b, 0)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b bitset) has(i int64) bool { return i/64 < int64(len(b)) && b[i/64]>>(i%64)&1 == 1 }

// duplicatesOf returns the numbers of the duplicates in a unit.
func (d *dedupRun) duplicatesOf(unit int) (numbers bitset, err error) {
	for part := range dedupParts {
		if err := d.addDuplicates(part, unit, &numbers); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// addDuplicates adds the duplicates of a unit in one part. The file is sorted by
// unit, so they are found by binary search.
func (d *dedupRun) addDuplicates(part, unit int, numbers *bitset) error {
	f, err := d.x.run.fs.Open(d.x.path("part", part))
	if err != nil {
		return err
	}
	defer f.Close()
	var entry [duplicateSize]byte
	n := int(f.Size() / duplicateSize)
	unitAt := func(i int) int {
		err = errors.Join(err, bounded.ReadFull(f, entry[:], int64(i)*duplicateSize))
		return int(binary.LittleEndian.Uint32(entry[:]))
	}
	first := sort.Search(n, func(i int) bool { return unitAt(i) >= unit })
	last := sort.Search(n, func(i int) bool { return unitAt(i) > unit })
	r := bufio.NewReader(io.NewSectionReader(f, int64(first)*duplicateSize, int64(last-first)*duplicateSize))
	for ; first < last && err == nil; first++ {
		if _, err = io.ReadFull(r, entry[:]); err == nil {
			numbers.add(int64(binary.LittleEndian.Uint64(entry[4:])))
		}
	}
	return err
}
