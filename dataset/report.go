package dataset

import (
	"encoding/json"
	"maps"
	"sync"
)

// keptErrors is how many errors of skipped records a Report holds.
const keptErrors = 100

// Report counts what happened to records on their way. One Report may be given
// to all steps of a run. Its methods may be called at any time.
type Report struct {
	mu sync.Mutex
	n  Counts
}

// Counts are the numbers of a Report.
type Counts struct {
	Bytes   int64            `json:"bytes"`             // of input read, decompressed
	In      int64            `json:"in"`                // records read
	Made    int64            `json:"made"`              // training records that the source's rule made of them
	Out     int64            `json:"out"`               // records written
	Dropped map[string]int64 `json:"dropped,omitempty"` // by reason
	Bad     int64            `json:"bad"`               // records skipped because something is wrong with them
	Errors  []*Error         `json:"errors,omitempty"`  // what was wrong with the first of them
	Tokens  int64            `json:"tokens,omitempty"`  // made
	Batches int64            `json:"batches,omitempty"` // packed
	Left    int64            `json:"left,omitempty"`    // tokens at the end that fill no batch
}

// Counts gives the numbers so far.
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

// count changes the numbers. A nil Report counts nothing.
func (r *Report) count(f func(*Counts)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.n)
}

// Written counts records that were written.
func (r *Report) Written(records int64) { r.count(func(n *Counts) { n.Out += records }) }

// drop counts a record that is left out for a reason.
func (r *Report) drop(reason string) {
	r.count(func(n *Counts) {
		if n.Dropped == nil {
			n.Dropped = make(map[string]int64)
		}
		n.Dropped[reason]++
	})
}

// bad counts a record that is skipped because of an error.
func (r *Report) bad(err *Error) {
	r.count(func(n *Counts) {
		if n.Bad++; len(n.Errors) < keptErrors {
			n.Errors = append(n.Errors, err)
		}
	})
}

// MarshalJSON writes the error as its sentence and its place.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		File  string `json:"file"`
		Line  int64  `json:"line,omitempty"` // or row
		Group int    `json:"row_group,omitempty"`
		Field string `json:"field,omitempty"`
		Error string `json:"error"`
	}{e.File, e.Line, e.Group, e.Field, e.Err.Error()})
}
