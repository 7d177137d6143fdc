package dataset

import (
	"iter"
	"strings"
)

// Filter leaves out the records for which keep returns false, and counts them
// in the report under a reason.
func Filter(records iter.Seq2[Record, error], reason string, keep func(*Record) bool, report *Report) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for r, err := range records {
			if err == nil && !keep(&r) {
				report.addDropped(reason)
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// QueryFilter returns a function for Filter that passes the query of a record to
// keep, such as a language detector.
func QueryFilter(keep func(text string) bool) func(*Record) bool {
	return func(r *Record) bool { return keep(r.Query()) }
}

// HasCode reports whether a text has a fenced code block.
func HasCode(text string) bool { return strings.Contains(text, "```") }
