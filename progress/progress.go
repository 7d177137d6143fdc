// Package progress defines how the module's long jobs report their progress.
//
//	opts.Progress = func(p progress.Progress) {
//		fmt.Printf("\r%s %d of %d %s", p.Stage, p.Done, p.Total, p.Unit)
//	}
package progress

import "sync"

// Progress describes how far a job has come.
type Progress struct {
	Stage string // Stage is the current step of the job, such as "write".
	Done  int64  // Done is the amount of work completed in this stage.
	Total int64  // Total is the amount of work of this stage, or zero if it is unknown.
	Unit  Unit   // Unit is the unit that Done and Total count.
}

// Unit is a unit of work.
type Unit string

// The units of work.
const (
	Bytes   Unit = "bytes"
	Records Unit = "records"
	Tokens  Unit = "tokens"
)

// Func receives a job's progress from time to time, from one goroutine at a
// time. The job waits for it, so it must return quickly.
type Func func(Progress)

// Counter sums the work of several goroutines and reports the total.
type Counter struct {
	mu     sync.Mutex
	state  Progress
	report Func
}

// NewCounter returns a Counter that starts at begin. A nil report is allowed.
func NewCounter(begin Progress, report Func) *Counter {
	return &Counter{state: begin, report: report}
}

// Add records n more units of work as done, and reports.
func (c *Counter) Add(n int64) { c.update(func(p *Progress) { p.Done += n }) }

// Enter records the start of a stage in which done units are already done, and
// reports.
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
