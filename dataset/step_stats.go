package dataset

import (
	"html/template"
	"io"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// Stats counts records, their turns, and the lengths of queries and replies, by
// source. The zero value is ready for use.
type Stats struct {
	Sources []*SourceStats `json:"sources"` // in the order of their first records
}

// SourceStats are the numbers of one source: a data set, or a file.
type SourceStats struct {
	Name    string    `json:"name"`        // name given to Add
	Records int64     `json:"records"`     // number of records
	Bad     int64     `json:"bad_replies"` // number of records with a reply marked as unhelpful
	Turns   int64     `json:"turns"`       // number of user turns and replies
	Queries Histogram `json:"queries"`     // lengths of the user turns
	Replies Histogram `json:"replies"`     // lengths of the replies
}

// Histogram counts texts by length in characters.
type Histogram struct {
	Count   int64   `json:"count"`   // number of texts
	Sum     int64   `json:"sum"`     // sum of their lengths
	Most    int64   `json:"most"`    // greatest length
	Buckets []int64 `json:"buckets"` // number of texts of length 0, then of lengths from 2^(i-1) to 2^i - 1
}

// Add counts a text.
func (h *Histogram) Add(text string) {
	n := int64(utf8.RuneCountInString(text))
	h.Count++
	h.Sum += n
	h.Most = max(h.Most, n)
	b := bits.Len64(uint64(n))
	for len(h.Buckets) <= b {
		h.Buckets = append(h.Buckets, 0)
	}
	h.Buckets[b]++
}

// Join adds the counts of another histogram.
func (h *Histogram) Join(o *Histogram) {
	h.Count += o.Count
	h.Sum += o.Sum
	h.Most = max(h.Most, o.Most)
	for i, n := range o.Buckets {
		if i == len(h.Buckets) {
			h.Buckets = append(h.Buckets, 0)
		}
		h.Buckets[i] += n
	}
}

// Mean returns the mean length, or 0 if there are no texts.
func (h *Histogram) Mean() float64 { return float64(h.Sum) / float64(max(1, h.Count)) }

// source returns the numbers of a source. It adds a source that is new.
func (s *Stats) source(name string) *SourceStats {
	i := slices.IndexFunc(s.Sources, func(x *SourceStats) bool { return x.Name == name })
	if i < 0 {
		i = len(s.Sources)
		s.Sources = append(s.Sources, &SourceStats{Name: name})
	}
	return s.Sources[i]
}

// Join adds the counts of another Stats. Its new sources come after those of s.
func (s *Stats) Join(o *Stats) {
	for _, from := range o.Sources {
		x := s.source(from.Name)
		x.Records += from.Records
		x.Bad += from.Bad
		x.Turns += from.Turns
		x.Queries.Join(&from.Queries)
		x.Replies.Join(&from.Replies)
	}
}

// Add counts a record of a source.
func (s *Stats) Add(source string, r *Record) {
	x := s.source(source)
	x.Records++
	bad := false
	for k := range r.Fields {
		f := &r.Fields[k]
		switch {
		case f.JSON:
		case strings.HasPrefix(f.Key, "human"):
			x.Turns++
			x.Queries.Add(f.Text)
		case strings.HasPrefix(f.Key, "gpt"):
			x.Turns++
			x.Replies.Add(f.Text)
			bad = bad || strings.HasPrefix(f.Key, "gpt_bad")
		}
	}
	if bad {
		x.Bad++
	}
}

// WriteHTML writes the numbers as an HTML page without external resources.
func (s *Stats) WriteHTML(w io.Writer) error { return page.Execute(w, s) }

// bar is a line of a histogram: the range of lengths, and the number of texts as
// such and in percent of the longest bar.
type bar struct {
	From, To, Count int64
	Percent         float64
}

// bars returns the lines of a histogram.
func bars(h Histogram) (list []bar) {
	for i, n := range h.Buckets {
		b := bar{Count: n, Percent: 100 * float64(n) / float64(max(1, slices.Max(h.Buckets)))}
		if i > 0 {
			b.From, b.To = 1<<(i-1), 1<<i-1
		}
		list = append(list, b)
	}
	return list
}

var page = template.Must(template.New("stats").Funcs(template.FuncMap{"bars": bars}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Training records</title><style>
body{font:15px/1.4 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse}td,th{padding:.15em .7em;text-align:right}td:first-child,th:first-child{text-align:left}
.bar{background:#47a;height:.8em}.wide{width:24em}
</style></head><body><h1>Training records</h1>
<table><tr><th>source</th><th>records</th><th>unhelpful</th><th>turns</th><th>query, mean</th><th>longest</th><th>reply, mean</th><th>longest</th></tr>
{{range .Sources}}<tr><td>{{.Name}}</td><td>{{.Records}}</td><td>{{.Bad}}</td><td>{{.Turns}}</td><td>{{printf "%.1f" .Queries.Mean}}</td><td>{{.Queries.Most}}</td><td>{{printf "%.1f" .Replies.Mean}}</td><td>{{.Replies.Most}}</td></tr>
{{end}}</table><p>Lengths are in characters.</p>
{{range .Sources}}<h2>{{.Name}}</h2><h3>queries</h3>{{template "histogram" .Queries}}<h3>replies</h3>{{template "histogram" .Replies}}
{{end}}</body></html>
{{define "histogram"}}<table>{{range bars .}}<tr><td>{{.From}} to {{.To}}</td><td>{{.Count}}</td><td class="wide"><div class="bar" style="width:{{printf "%.1f" .Percent}}%"></div></td></tr>
{{end}}</table>{{end}}`))
