package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/koala-go/sdk/internal/vfs"
)

// exchange is a hidden folder in which the runs of a step leave hashes and
// positions for each other.
type exchange struct {
	ctx      context.Context
	o        *UnitOptions
	wait     time.Duration // for what other runs make
	dir      string
	finished func() bool // says that the step is done, and the folder may be gone
}

// errFinished ends the wait for what was cleared up.
var errFinished = errors.New("the step is done")

// during does a step of which start fills the folder and do makes the units.
// The run that finds all units done removes the folder.
func (x *exchange) during(dir string, units []Unit, start, do func() error) error {
	x.finished = func() bool { return x.o.allDone(dir, units) }
	if !x.finished() { // also a run without units of its own has its share of these
		err := os.MkdirAll(x.dir, 0o777)
		if err == nil {
			err = start()
		}
		if err != nil && !x.finished() { // else the others did this run's share and cleared up
			return err
		}
	}
	err := do()
	if err == nil && x.finished() {
		err = vfs.OS.RemoveAll(x.dir)
	}
	return err
}

// path names a file after what decides on it, too.
func (x *exchange) path(what string, n int) string {
	return filepath.Join(x.dir, fmt.Sprintf("%s-%05d-%.16s", what, n, x.o.Fingerprint))
}

// all makes the files of numbers 0 to n-1 that are this run's, and then all
// others that are not there after a while.
func (x *exchange) all(what string, n int, data func(i int) ([]byte, error)) error {
	for _, mine := range []bool{true, false} {
		for i := range n {
			if x.o.mine(i) != mine {
				continue
			}
			if err := x.ensure(x.path(what, i), mine, func() ([]byte, error) { return data(i) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// ensure makes a file unless it is there. What is another run's is waited for
// first.
func (x *exchange) ensure(path string, mine bool, data func() ([]byte, error)) error {
	for start := time.Now(); ; {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if mine || time.Since(start) >= x.wait {
			break
		}
		if x.finished() {
			return errFinished
		}
		select {
		case <-x.ctx.Done():
			return x.ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	text, err := data()
	if err != nil {
		return err
	}
	return x.o.Publish(path, text)
}

// Publish puts a file in its place in one step, by way of a name that no run
// of another index uses.
func (o *UnitOptions) Publish(path string, data []byte) error {
	return replaceVia(partial(path+o.suffix()), path, data)
}

// suffix tells the files of runs of different indexes apart.
func (o *UnitOptions) suffix() string { return fmt.Sprintf(".%d-of-%d", o.Index, o.Count) }

// CollectUnits is EachUnit for steps whose result is one for all units. do
// gives a unit's part of it, which is kept as JSON. The result has the parts
// of all units, in order, or is nil when other runs have not done theirs: the
// run that gets them, which may be more than one, joins and publishes them.
func CollectUnits[T any](ctx context.Context, dir string, units []Unit, o UnitOptions, do func(u Unit) (T, error)) ([]T, error) {
	err := EachUnit(ctx, dir, ".json", units, o, func(u Unit, path string) error {
		part, err := do(u)
		if err != nil {
			return err
		}
		text, err := json.Marshal(part)
		if err != nil {
			return err
		}
		return o.Publish(path, append(text, '\n'))
	})
	if err != nil || !o.allDone(dir, units) {
		return nil, err
	}
	parts := make([]T, len(units))
	for i, u := range units {
		path := filepath.Join(dir, unitName(u.Number)+".json")
		found, err := readJSON(path, &parts[i])
		if err == nil && !found {
			err = &Error{File: path, Err: errors.New("the unit's marker is there and its result is not: remove the marker")}
		}
		if err != nil {
			return nil, err
		}
	}
	return parts, nil
}
