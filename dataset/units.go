package dataset

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/internal/parquet"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/internal/wire"
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
	head := make([]byte, min(512, f.Size()))
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
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
	if isArray(head) || bytes.HasPrefix(head, []byte{0x1f, 0x8b}) || bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
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

// UnitOptions say which units are this run's.
type UnitOptions struct {
	Index, Count int    // this run does the units whose numbers are Index modulo Count
	Fingerprint  string // of what decides on the results
	Force        bool   // do again what was done with another fingerprint
	Report       *Report
}

// unitMarker says that a unit is done.
type unitMarker struct {
	Fingerprint string `json:"fingerprint"`
	Unit        int    `json:"unit"`
}

// EachUnit does this run's units, one after the other, and skips those that
// an earlier run did. do writes the unit's result to path, in the directory,
// in one step; when it is there a marker is put beside it. Runs of different
// indexes may go on at the same time.
func EachUnit(ctx context.Context, dir, end string, units []Unit, o UnitOptions, do func(u Unit, path string) error) error {
	if err := o.check(); err != nil {
		return err
	}
	own := filepath.Join(dir, fmt.Sprintf(".run-%d-of-%d", o.Index, o.Count))
	if err := os.MkdirAll(own, 0o777); err != nil {
		return err
	}
	lock, err := vfs.OS.Lock(own)
	if err != nil {
		return fmt.Errorf("%w: %s: wait for the other run of this index to end", err, dir)
	}
	for _, u := range units {
		if u.Number%o.Count != o.Index {
			continue
		}
		if err = ctx.Err(); err == nil {
			err = o.unit(dir, end, u, do)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = os.Remove(own)
	}
	return errors.Join(err, lock.Close())
}

func (o *UnitOptions) check() error {
	if o.Count <= 0 || o.Index < 0 || o.Index >= o.Count {
		return wire.Reason(ErrUnsupported, "index %d of %d runs: it must be from 0 to below their number", o.Index, o.Count)
	}
	return nil
}

// unit does one unit, unless its marker says that it is done.
func (o *UnitOptions) unit(dir, end string, u Unit, do func(u Unit, path string) error) error {
	name := fmt.Sprintf("unit-%05d", u.Number)
	marker := filepath.Join(dir, name+".done")
	var was unitMarker
	found, err := readJSON(marker, &was)
	switch {
	case err != nil && !o.Force:
		return err
	case found && was.Fingerprint == o.Fingerprint:
		o.Report.drop("unit done before")
		return nil
	case found && !o.Force:
		return fmt.Errorf("%w: %s: it was made of other inputs or with other options; remove it, or force", ErrExists, marker)
	}
	if err := vfs.OS.RemoveAll(marker); err != nil {
		return err
	}
	if err := do(u, filepath.Join(dir, name+end)); err != nil {
		return err
	}
	return writeJSON(marker, unitMarker{o.Fingerprint, u.Number})
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
