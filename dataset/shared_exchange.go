package dataset

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// exchange is a hidden directory in which the runs of a step exchange hashes
// and offsets.
type exchange struct {
	run  *unitRun
	wait time.Duration // how long to wait for a file of another run
	dir  string
	// stepDone reports whether the step is done, so that another run may have
	// removed the directory.
	stepDone func() (bool, error)
}

// finished is stepDone for a run that can continue without the answer.
func (x *exchange) finished() bool {
	done, err := x.stepDone()
	return done && err == nil
}

// errFinished ends the wait for a file when the step is done.
var errFinished = errors.New("the step is done")

// pollInterval is the time between two looks for a file of another run.
const pollInterval = 100 * time.Millisecond

// during does a step: prepare fills the directory and do makes the units. The
// run that finds all units done removes the directory.
func (x *exchange) during(units []Unit, prepare, do func() error) error {
	x.stepDone = func() (bool, error) { return x.run.allDone(units) }
	done, err := x.stepDone()
	if err != nil {
		return err
	}
	if !done { // a run without units of its own prepares its share too
		err := x.run.fs.MkdirAll(x.dir)
		if err == nil {
			err = prepare()
		}
		if err != nil && !x.finished() { // else the others did this run's share and removed the directory
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if done, err = x.stepDone(); done {
		err = x.run.fs.RemoveAll(x.dir)
	}
	return err
}

// path returns the path of a file. The name has a part of the fingerprint, so
// that files of runs with other inputs are not used.
func (x *exchange) path(what string, n int) string {
	return filepath.Join(x.dir, fmt.Sprintf("%s-%05d-%.16s", what, n, x.run.Fingerprint))
}

// makeAll makes the files with the numbers from 0 to n-1: first those of this
// run, then those that other runs have not made in time.
func (x *exchange) makeAll(what string, n int, data func(i int) ([]byte, error)) error {
	for _, own := range []bool{true, false} {
		for i := range n {
			if x.run.owns(i) != own {
				continue
			}
			if err := x.ensure(x.path(what, i), own, func() ([]byte, error) { return data(i) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// ensure makes a file unless it exists. It waits first if the file is another
// run's.
func (x *exchange) ensure(path string, own bool, data func() ([]byte, error)) error {
	for start := time.Now(); ; {
		if _, err := x.run.fs.Stat(path); err == nil {
			return nil
		}
		if own || time.Since(start) >= x.wait {
			break
		}
		if x.finished() {
			return errFinished
		}
		select {
		case <-x.run.ctx.Done():
			return x.run.ctx.Err()
		case <-time.After(pollInterval):
		}
	}
	content, err := data()
	if err != nil {
		return err
	}
	return x.run.put(path, content)
}
