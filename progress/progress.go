// Package progress defines how long jobs of the module report how far they
// are: one type, whatever the job.
//
//	opts.Progress = func(p progress.Progress) {
//		fmt.Printf("\r%s %d of %d %s", p.Stage, p.Done, p.Total, p.Unit)
//	}
package progress

import "sync"

// Progress says how far a job is.
type Progress struct {
	Stage string // what the job does now, such as "write"
	Done  int64  // so far, in the unit
	Total int64  // of this stage; zero if it is not known
	Unit  Unit   // what Done and Total count
}

// Unit is what a job counts.
type Unit string

// The units.
const (
	Bytes   Unit = "bytes"
	Records Unit = "records"
	Tokens  Unit = "tokens"
)

// Func is called with a job's progress now and then, by one goroutine at a
// time. It must return soon: the job waits for it.
type Func func(Progress)

// Counter adds up the work of several goroutines and reports the sum.
type Counter struct {
	mu     sync.Mutex
	state  Progress
	report Func
}

// NewCounter returns a Counter that begins at a state. A nil Func reports to
// nobody.
func NewCounter(begin Progress, report Func) *Counter {
	return &Counter{state: begin, report: report}
}

// Add reports that n more units are done.
func (c *Counter) Add(n int64) { c.update(func(p *Progress) { p.Done += n }) }

// Enter reports that a stage begins, with done units already done.
func (c *Counter) Enter(stage string, done int64) {
	c.update(func(p *Progress) { p.Stage, p.Done = stage, done })
}

func (c *Counter) update(change func(*Progress)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.state)
	if c.report != nil {
		c.report(c.state)
	}
}
