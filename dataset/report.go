package dataset

import (
	"encoding/json"
	"maps"
	"sync"
)

// maxReportErrors is the number of errors about skipped records that a Report
// keeps.
const maxReportErrors = 100

// Report counts what happened to the records of a run. One Report may be given
// to all steps of the run. Its methods may be called at any time, by several
// goroutines. Methods of a nil Report do nothing.
type Report struct {
	mu sync.Mutex
	n  Counts
}

// Counts are the numbers of a Report.
type Counts struct {
	Bytes   int64            `json:"bytes"`             // bytes of input read, after decompression
	In      int64            `json:"in"`                // raw records read
	Made    int64            `json:"made"`              // training records made by the rule of the source
	Out     int64            `json:"out"`               // records written
	Dropped map[string]int64 `json:"dropped,omitempty"` // records left out, by reason
	Bad     int64            `json:"bad"`               // records skipped because of an error
	Errors  []*Error         `json:"errors,omitempty"`  // errors of the first records skipped
	Tokens  int64            `json:"tokens,omitempty"`  // tokens made
	Batches int64            `json:"batches,omitempty"` // batches packed
	Left    int64            `json:"left,omitempty"`    // tokens at the end that fill no batch
}

// Counts returns the numbers so far.
func (r *Report) Counts() Counts {
	if r == nil {
		return Counts{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.n
	n.Dropped = maps.Clone(n.Dropped)
	n.Errors = append([]*Error(nil), n.Errors...)
	return n
}

// update changes the numbers under the lock.
func (r *Report) update(f func(*Counts)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.n)
}

// Written counts records that were written.
func (r *Report) Written(records int64) { r.update(func(n *Counts) { n.Out += records }) }

// addDropped counts a record that is left out for a reason.
func (r *Report) addDropped(reason string) {
	r.update(func(n *Counts) {
		if n.Dropped == nil {
			n.Dropped = make(map[string]int64)
		}
		n.Dropped[reason]++
	})
}

// addBad counts a record that is skipped because of an error.
func (r *Report) addBad(err *Error) {
	r.update(func(n *Counts) {
		if n.Bad++; len(n.Errors) < maxReportErrors {
			n.Errors = append(n.Errors, err)
		}
	})
}

// MarshalJSON writes the cause and the position, without the advice.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		File  string `json:"file"`
		Line  int64  `json:"line,omitempty"` // or row
		Group int    `json:"row_group,omitempty"`
		Field string `json:"field,omitempty"`
		Error string `json:"error"`
	}{e.File, e.Line, e.Group, e.Field, e.Err.Error()})
}
