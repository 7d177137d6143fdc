package dataset

import (
	"errors"
	"io"

	"github.com/koala-go/sdk/internal/parquet"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/source"
)

// openTable reads the structure of a Parquet file.
func openTable(raw io.Reader) (*parquet.File, error) {
	f, ok := raw.(source.ReaderAtSizer)
	if !ok {
		return nil, refusal.Reason(ErrUnsupported, "Parquet is read from a file and not from a stream")
	}
	table, err := parquet.Open(f, f.Size())
	return table, tableError(err)
}

// tableError turns an error of the Parquet reader into an *Error.
func tableError(err error) error {
	var e *parquet.Error
	if errors.As(err, &e) {
		return &Error{Group: e.Group, Field: e.Column, Err: e.Err}
	}
	return err
}

// table yields the rows of a Parquet file as blocks of records. Each row becomes
// the JSON that would stand for it in a file of lines. It reports whether the
// file was read to its end.
func (r *reader) table(t *parquet.File, pos Position, end int64, yield func(block) bool) bool {
	s := &tableReader{at: pos, end: end}
	s.at.Line, s.at.Index = pos.Offset+1, pos.Offset
	o := parquet.RowOptions{Columns: r.source.reads, Max: r.opts.maxRecord(), OmitNull: r.source.sparse}
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
			b.err = s.locate(err)
		}
		if (len(b.records) > 0 || b.err != nil) && !yield(b) {
			return false
		}
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
	}
	yield(block{err: s.locate(err)})
	return false
}

// tableReader reads one Parquet file.
type tableReader struct {
	rows *parquet.Rows
	at   Position // of the next row
	end  int64    // first row of the next unit; 0 for none
}

// locate adds the position to an error about the file. The row is the one at
// which reading stopped.
func (s *tableReader) locate(err error) *Error {
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

// block adds rows to a block. It returns io.EOF after the last row.
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
		x := rawRecord{at: s.at}
		if bad != nil {
			x.bad = tableError(bad)
		}
		b.records, ends = append(b.records, x), append(ends, len(buf))
		s.at.Offset, s.at.Line, s.at.Index = s.at.End, s.at.Line+1, s.at.Index+1
	}
	// Next may move buf, so the records can point into it only now.
	start := 0
	for i, end := range ends {
		b.records[i].data, start = buf[start:end:end], end
	}
	return err
}

// rowCuts returns the rows at which the units of a Parquet file begin: the first
// rows of the row groups at or after each multiple of size bytes.
func rowCuts(f source.ReaderAtSizer, size int64) ([]int64, error) {
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
