package dataset

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/koala-go/sdk/internal/vfs"
)

// UnitOptions say which units a run does. Nil means the zero value: all units.
type UnitOptions struct {
	Index       int     // number of the run, from 0
	Count       int     // number of runs that share the units; a run does the units whose numbers are Index modulo Count (default: 1)
	Fingerprint string  // digest of everything that decides on the results: see Fingerprint
	Force       bool    // do units again that were done with another fingerprint
	Report      *Report // counts units that were done before; may be nil
}

// unitRun is one run of a step that several runs share. It holds the resolved
// options and the shared directory.
type unitRun struct {
	UnitOptions
	ctx context.Context
	fs  vfs.FS
	dir string
}

// newUnitRun checks the options.
func newUnitRun(ctx context.Context, dir string, opts *UnitOptions) (*unitRun, error) {
	r := &unitRun{ctx: ctx, fs: vfs.FromContext(ctx), dir: dir}
	if opts != nil {
		r.UnitOptions = *opts
	}
	if r.Count == 0 {
		r.Count = 1
	}
	if r.Count < 0 || r.Index < 0 || r.Index >= r.Count {
		return nil, badOption("index %d of %d runs: give an index from 0 to below the number of runs", r.Index, r.Count)
	}
	return r, nil
}

// unitMarker is the content of the file that marks a unit as done. In the marker
// of a mixture, Unit is the number of units.
type unitMarker struct {
	Fingerprint string `json:"fingerprint"`
	Unit        int    `json:"unit"`
}

// EachUnit does the units of this run one after the other, and skips those that
// an earlier run did. do must write the result of a unit to path and rename it
// into place. Path is in the directory and ends in ending. When do returns,
// EachUnit writes a marker. Runs with different indexes can continue at the same
// time. A second run with the same index gets ErrBusy.
func EachUnit(ctx context.Context, dir, ending string, units []Unit, opts *UnitOptions, do func(u Unit, path string) error) error {
	r, err := newUnitRun(ctx, dir, opts)
	if err != nil {
		return err
	}
	return r.each(ending, units, do)
}

func (r *unitRun) each(ending string, units []Unit, do func(u Unit, path string) error) error {
	return r.exclusive(func() error {
		if err := r.checkExtraUnits(len(units)); err != nil {
			return err
		}
		for _, u := range units {
			if !r.owns(u.Number) {
				continue
			}
			err := r.ctx.Err()
			if err == nil {
				err = r.doUnit(ending, u, do)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// exclusive calls do while no other run has the same index, after it removed
// the partial files of a killed run with that index.
func (r *unitRun) exclusive(do func() error) error {
	own := filepath.Join(r.dir, fmt.Sprintf(".run-%d-of-%d", r.Index, r.Count))
	if err := r.fs.MkdirAll(own); err != nil {
		return err
	}
	lock, err := r.fs.Lock(own)
	if err != nil {
		return fmt.Errorf("%w: %s: wait for the other run with this index to end", err, r.dir)
	}
	err = r.folder(r.dir).RemovePartial()
	if err == nil {
		err = do()
	}
	if err == nil {
		err = r.fs.RemoveAll(own)
	}
	return errors.Join(err, lock.Close())
}

// folder returns a Folder whose partial files no run with another index uses.
func (r *unitRun) folder(dir string) *vfs.Folder {
	return vfs.NewFolder(r.fs, dir, fmt.Sprintf(".%d-of-%d", r.Index, r.Count))
}

// put writes a file in one step.
func (r *unitRun) put(path string, data []byte) error {
	f := r.folder(filepath.Dir(path))
	if err := f.WriteFile(filepath.Base(path), data); err != nil {
		return err
	}
	return f.Sync()
}

// PublishShared writes a file of a shared directory in one step. It uses a
// partial file that no run with another index uses, so that several runs may
// write the same file at the same time.
func PublishShared(ctx context.Context, path string, data []byte, opts *UnitOptions) error {
	r, err := newUnitRun(ctx, filepath.Dir(path), opts)
	if err != nil {
		return err
	}
	return r.put(path, data)
}

// owns reports whether a unit, or another numbered thing, is this run's.
func (r *unitRun) owns(number int) bool { return number%r.Count == r.Index }

func unitName(number int) string { return fmt.Sprintf("unit-%05d", number) }

func (r *unitRun) markerPath(number int) string {
	return filepath.Join(r.dir, unitName(number)+".done")
}

// checkExtraUnits refuses a directory with units beyond those of the inputs,
// which a run with other inputs made. With Force it removes them.
func (r *unitRun) checkExtraUnits(units int) error {
	for n := units; ; n++ {
		marker := r.markerPath(n)
		if _, err := r.fs.Stat(marker); err != nil {
			return nil
		}
		if !r.Force {
			return existsError(marker)
		}
		if err := vfs.RemoveMatching(r.fs, r.dir, func(name string) bool { return strings.HasPrefix(name, unitName(n)) }); err != nil {
			return err
		}
	}
}

func existsError(marker string) error {
	return fmt.Errorf("%w: %s: it was made from other inputs or with other options; remove it, or force", ErrExists, marker)
}

// allDone reports whether all units have markers with this run's fingerprint. A
// malformed marker is not one.
func (r *unitRun) allDone(units []Unit) (bool, error) {
	for _, u := range units {
		var marker unitMarker
		found, err := readJSON(r.fs, r.markerPath(u.Number), &marker)
		if err != nil && !errors.Is(err, ErrMalformed) {
			return false, err
		}
		if err != nil || !found || marker.Fingerprint != r.Fingerprint {
			return false, nil
		}
	}
	return true, nil
}

// doUnit does one unit, unless its marker says that it is done.
func (r *unitRun) doUnit(ending string, u Unit, do func(u Unit, path string) error) error {
	path := r.markerPath(u.Number)
	var marker unitMarker
	found, err := readJSON(r.fs, path, &marker)
	switch {
	case err != nil && !r.Force:
		return err
	case found && marker.Fingerprint == r.Fingerprint:
		r.Report.addDropped("unit done before")
		return nil
	case found && !r.Force:
		return existsError(path)
	}
	if err := r.fs.RemoveAll(path); err != nil {
		return err
	}
	if err := do(u, filepath.Join(r.dir, unitName(u.Number)+ending)); err != nil {
		return err
	}
	return r.mark(path, u.Number)
}

// mark writes a marker.
func (r *unitRun) mark(path string, number int) error {
	text, err := marshalFile(unitMarker{r.Fingerprint, number})
	if err != nil {
		return err
	}
	return r.put(path, text)
}
