package dataset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/parquet"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
)

// Unit is a piece of work for runs on more than one machine: a file, or some
// of the lines of a large one. What it is depends on the files alone and never
// on how many machines there are.
type Unit struct {
	Number int // from 0
	Path   string
	Start  Start // of the first record, and End; for ReadOptions
}

// Units divides files. Plain files of lines are cut at the first line that
// begins at or after each multiple of size bytes (0 for 256 MiB); arrays and
// compressed files are whole.
func Units(paths []string, size int64) ([]Unit, error) {
	if size <= 0 {
		size = 256 << 20
	}
	var units []Unit
	for _, path := range paths {
		cuts, err := lineCuts(path, size)
		if err != nil {
			return nil, err
		}
		for i, start := range cuts {
			u := Unit{Number: len(units), Path: path, Start: Start{Offset: start}}
			if i+1 < len(cuts) {
				u.Start.End = cuts[i+1]
			}
			units = append(units, u)
		}
	}
	return units, nil
}

// lineCuts are the offsets at which the units of a file begin.
func lineCuts(path string, size int64) ([]int64, error) {
	f, err := vfs.OS.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head, err := headOf(f)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(head, []byte(parquet.Magic)) {
		cuts, err := rowCuts(f, size)
		if err != nil {
			return nil, at(err, &Position{File: path})
		}
		return cuts, nil
	}
	cuts := []int64{0}
	if !plainLines(head) {
		return cuts, nil
	}
	for at := size; at < f.Size(); at += size {
		r := bufio.NewReader(io.NewSectionReader(f, at-1, f.Size()-at+1))
		cut := at - 1
		for {
			line, err := r.ReadSlice('\n')
			if cut += int64(len(line)); err == nil || err == io.EOF {
				break
			}
			if err != bufio.ErrBufferFull {
				return nil, err
			}
		}
		if cut > cuts[len(cuts)-1] && cut < f.Size() {
			cuts = append(cuts, cut)
		}
	}
	return cuts, nil
}

func headOf(f vfs.File) ([]byte, error) {
	head := make([]byte, min(512, f.Size()))
	err := bounded.ReadFull(f, head, 0)
	return head, err
}

// plainLines tells plain files of lines by their beginnings.
func plainLines(head []byte) bool {
	for _, magic := range []string{parquet.Magic, "\x1f\x8b", "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return false
		}
	}
	return !isArray(head)
}

// UnitOptions say which units are this run's.
type UnitOptions struct {
	Index, Count int    // this run does the units whose numbers are Index modulo Count
	Fingerprint  string // of what decides on the results
	Force        bool   // do again what was done with another fingerprint
	Report       *Report
}

// unitMarker says that a unit is done; or a mixture, with its number of units.
type unitMarker struct {
	Fingerprint string `json:"fingerprint"`
	Unit        int    `json:"unit"`
}

// EachUnit does this run's units, one after the other, and skips those that
// an earlier run did. do writes the unit's result to path, in the directory,
// by renames; when it is there a marker is put beside it. Runs of different
// indexes may go on at the same time.
func EachUnit(ctx context.Context, dir, end string, units []Unit, o UnitOptions, do func(u Unit, path string) error) error {
	if err := o.check(); err != nil {
		return err
	}
	return o.alone(dir, func() error {
		if err := o.noMore(dir, len(units)); err != nil {
			return err
		}
		return o.each(ctx, dir, end, units, do)
	})
}

// alone does something while no other run of this index does, after what such
// a run left that was killed is removed.
func (o *UnitOptions) alone(dir string, do func() error) error {
	own := filepath.Join(dir, fmt.Sprintf(".run-%d-of-%d", o.Index, o.Count))
	if err := os.MkdirAll(own, 0o777); err != nil {
		return err
	}
	lock, err := vfs.OS.Lock(own)
	if err != nil {
		return fmt.Errorf("%w: %s: wait for the other run of this index to end", err, dir)
	}
	err = removeIn(dir, func(name string) bool { return strings.HasSuffix(name, o.suffix()+partialEnd) })
	if err == nil {
		err = do()
	}
	if err == nil {
		err = vfs.OS.RemoveAll(own)
	}
	return errors.Join(err, lock.Close())
}

// removeIn removes what has such a name in a directory.
func removeIn(dir string, what func(name string) bool) error {
	entries, err := vfs.OS.ReadDir(dir)
	for _, e := range entries {
		if what(e.Name()) {
			err = errors.Join(err, vfs.OS.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

func (o *UnitOptions) each(ctx context.Context, dir, end string, units []Unit, do func(u Unit, path string) error) error {
	for _, u := range units {
		if !o.mine(u.Number) {
			continue
		}
		err := ctx.Err()
		if err == nil {
			err = o.unit(dir, end, u, do)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mine says whether a unit, or another numbered thing, is this run's.
func (o *UnitOptions) mine(number int) bool { return number%o.Count == o.Index }

func unitName(number int) string { return fmt.Sprintf("unit-%05d", number) }

func markerPath(dir string, number int) string { return filepath.Join(dir, unitName(number)+".done") }

// noMore refuses a directory that has units after the last of this run's
// inputs, which an earlier run of other inputs made; with force they go.
func (o *UnitOptions) noMore(dir string, units int) error {
	for n := units; ; n++ {
		marker := markerPath(dir, n)
		if _, err := os.Stat(marker); err != nil {
			return nil
		}
		if !o.Force {
			return o.exists(marker)
		}
		if err := removeIn(dir, func(name string) bool { return strings.HasPrefix(name, unitName(n)) }); err != nil {
			return err
		}
	}
}

func (o *UnitOptions) exists(marker string) error {
	return fmt.Errorf("%w: %s: it was made of other inputs or with other options; remove it, or force", ErrExists, marker)
}

// allDone says whether all units have the markers of this run's fingerprint.
func (o *UnitOptions) allDone(dir string, units []Unit) bool {
	for _, u := range units {
		var was unitMarker
		if found, err := readJSON(markerPath(dir, u.Number), &was); err != nil || !found || was.Fingerprint != o.Fingerprint {
			return false
		}
	}
	return true
}

func (o *UnitOptions) check() error {
	if o.Count <= 0 || o.Index < 0 || o.Index >= o.Count {
		return refusal.Reason(ErrUnsupported, "index %d of %d runs: it must be from 0 to below their number", o.Index, o.Count)
	}
	return nil
}

// unit does one unit, unless its marker says that it is done.
func (o *UnitOptions) unit(dir, end string, u Unit, do func(u Unit, path string) error) error {
	marker := markerPath(dir, u.Number)
	var was unitMarker
	found, err := readJSON(marker, &was)
	switch {
	case err != nil && !o.Force:
		return err
	case found && was.Fingerprint == o.Fingerprint:
		o.Report.drop("unit done before")
		return nil
	case found && !o.Force:
		return o.exists(marker)
	}
	if err := vfs.OS.RemoveAll(marker); err != nil {
		return err
	}
	if err := do(u, filepath.Join(dir, unitName(u.Number)+end)); err != nil {
		return err
	}
	return o.mark(marker, u.Number)
}

// mark writes a marker.
func (o *UnitOptions) mark(path string, number int) error {
	text, err := json.MarshalIndent(unitMarker{o.Fingerprint, number}, "", "  ")
	if err != nil {
		return err
	}
	return o.Publish(path, append(text, '\n'))
}

// linesBefore counts the lines of a plain file before an offset.
func linesBefore(in *Input, offset int64) (int64, error) {
	f, err := in.Open()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := int64(0)
	buf := make([]byte, 64<<10)
	for r := io.LimitReader(f, offset); ; {
		n, err := r.Read(buf)
		if lines += int64(bytes.Count(buf[:n], []byte{'\n'})); err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
	}
}
