package dataset

import (
	"errors"
	"io"
	"strings"

	"github.com/koala-go/sdk/internal/parquet"
	"github.com/koala-go/sdk/internal/refusal"
)

// columns are what the rules read of a source's records: of a Parquet file,
// other columns are not touched.
var columns = map[Source][]string{
	HC3: {"question", "human_answers", "chatgpt_answers"}, OIG: {"text"}, OIGBasic: {"text"},
	Alpaca: {"instruction", "input", "output"}, HH: {"chosen", "rejected"},
	WebGPT:  {"question", "quotes_0", "quotes_1", "answer_0", "answer_1", "score_0", "score_1"},
	Summary: {"info", "summaries", "choice"},
}

// wants says whether a source's rule reads a member of a record.
func (s Source) wants(name string) bool {
	switch s {
	case "":
		return true
	case ShareGPT, ShareGPTEval:
		return name == "conversations" || strings.HasPrefix(name, "human") || strings.HasPrefix(name, "gpt")
	}
	for _, c := range columns[s] {
		if c == name {
			return true
		}
	}
	return false
}

// sized is a file in which all places can be read, as Parquet needs it.
type sized interface {
	io.ReaderAt
	Size() int64
}

// openTable reads the structure of a Parquet file.
func openTable(raw io.Reader) (*parquet.File, error) {
	f, ok := raw.(sized)
	if !ok {
		return nil, refusal.Reason(ErrUnsupported, "Parquet is read from a file and not from a stream")
	}
	table, err := parquet.Open(f, f.Size())
	return table, tableError(err)
}

// tableError makes an *Error of a Parquet reader's.
func tableError(err error) error {
	var e *parquet.Error
	if errors.As(err, &e) {
		return &Error{Group: e.Group, Field: e.Column, Err: e.Err}
	}
	return err
}

// table gives a Parquet file's rows as blocks of records, each as the JSON
// that stands for it in files of lines. In a record's Position a row is what a
// byte is in other files.
func (r *reader) table(t *parquet.File, pos Position, end int64, yield func(block) bool) bool {
	s := &tableReader{at: pos, end: end}
	s.at.Line, s.at.Index = pos.Offset+1, pos.Offset
	o := parquet.RowOptions{Columns: r.opts.Source.wants, Max: r.opts.maxRecord()}
	// A table has the same columns for all records: null is what is not there.
	o.OmitNull = r.opts.Source == "" || r.opts.Source == ShareGPT || r.opts.Source == ShareGPTEval
	err := t.Check(o.Columns)
	if err == nil {
		s.rows, err = t.Rows(o)
	}
	if err == nil {
		defer s.rows.Close()
		err = s.rows.Skip(pos.Offset)
	}
	for err == nil {
		var b block
		err = s.block(&b)
		if err != nil && err != io.EOF {
			b.err = s.wrong(err)
		}
		if (len(b.raws) > 0 || b.err != nil) && !yield(b) {
			return false
		}
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
	}
	yield(block{err: s.wrong(err)})
	return false
}

// tableReader reads one Parquet file.
type tableReader struct {
	rows *parquet.Rows
	at   Position // of the next row
	end  int64
}

// wrong puts an error about the file in its place. The row is that at which
// reading stopped.
func (s *tableReader) wrong(err error) *Error {
	err = tableError(err)
	e, ok := err.(*Error)
	if !ok {
		e = &Error{Err: err}
	}
	if e.File = s.at.File; e.Group > 0 {
		e.Line = s.at.Line
	}
	return e
}

// block reads some rows. The error is io.EOF after the last.
func (s *tableReader) block(b *block) error {
	var buf []byte
	var ends []int
	var err error
	for err == nil && len(buf) < blockSize && len(ends) < blockElements {
		if s.end > 0 && s.at.Offset >= s.end {
			err = io.EOF
			break
		}
		var bad error
		if buf, bad, err = s.rows.Next(buf); err != nil {
			break
		}
		s.at.End, s.at.Group = s.at.Offset+1, s.rows.Group()
		x := raw{at: s.at}
		if bad != nil {
			x.bad = tableError(bad)
		}
		b.raws, ends = append(b.raws, x), append(ends, len(buf))
		s.at.Offset, s.at.Line, s.at.Index = s.at.End, s.at.Line+1, s.at.Index+1
	}
	start := 0
	for i, end := range ends {
		b.raws[i].data, start = buf[start:end:end], end
	}
	return err
}

// rowCuts are the rows at which the units of a Parquet file begin: those of
// the first row group at or after each multiple of size bytes.
func rowCuts(f sized, size int64) ([]int64, error) {
	t, err := parquet.Open(f, f.Size())
	if err != nil {
		return nil, tableError(err)
	}
	cuts := []int64{0}
	var rows, bytes, next int64 = 0, 0, size
	for i := range t.Groups {
		if bytes >= next && rows > cuts[len(cuts)-1] {
			cuts = append(cuts, rows)
		}
		for next <= bytes {
			next += size
		}
		rows, bytes = rows+t.Groups[i].Rows, bytes+t.Groups[i].Bytes
	}
	return cuts, nil
}
