package dataset

import (
	"bytes"
	"io"

	"github.com/koala-go/sdk/internal/refusal"
)

// blockSize is the number of bytes that are read and passed to a worker at a
// time.
const blockSize = 256 << 10

// rawRecord is the text of a record in a file.
type rawRecord struct {
	at   Position
	data []byte
	bad  error // error of the reader about this record alone
}

// bytes returns the length of the record in its file, or of the JSON that stands
// for a row of a Parquet file.
func (x *rawRecord) bytes() int64 {
	if x.at.Group > 0 {
		return int64(len(x.data))
	}
	return x.at.End - x.at.Offset
}

// block is a run of successive records. The error is about what follows them.
type block struct {
	records []rawRecord
	err     *Error
}

// splitter cuts a file into records. Each block has a buffer of its own, so
// that records can point into it while the next block is read.
type splitter struct {
	r     io.Reader
	at    Position // of the next record
	rest  []byte   // data read and not yet given out
	eof   bool
	limit int   // greatest length of a record in bytes
	end   int64 // offset at which another unit begins: records from there on are left out; 0 for none
	from  int64 // elements of an array that begin before this offset are left out
}

// byteOrderMark may begin a file. It is skipped.
const byteOrderMark = "\xef\xbb\xbf"

// blocks yields the records of a file. An error about the file is in the last
// block. It reports whether the file was read to its end.
func (s *splitter) blocks(array bool, yield func(block) bool) bool {
	next := s.lines
	if array {
		a := &arraySplitter{splitter: s}
		next = a.elements
	}
	for {
		var b block
		more, err := next(&b)
		if err != nil {
			b.err = locate(classifyReadError(err), &s.at)
		}
		if (len(b.records) > 0 || b.err != nil) && !yield(b) {
			return false
		}
		if !more || err != nil {
			return b.err == nil
		}
	}
}

// read returns the rest and about blockSize bytes of new data. If grow is set it
// at least doubles the rest, so that a long record costs linear time.
func (s *splitter) read(grow bool) ([]byte, error) {
	size := blockSize
	if grow {
		size = max(size, len(s.rest))
	}
	buf := append(make([]byte, 0, len(s.rest)+size), s.rest...)
	var err error
	for len(buf) < cap(buf) && err == nil {
		var n int
		n, err = s.r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
	}
	if err == io.EOF {
		s.eof, err = true, nil
	}
	s.rest = buf
	return buf, err
}

// lines adds the next whole lines to a block. It reports whether there are
// more.
func (s *splitter) lines(b *block) (more bool, err error) {
	grow := false
	for {
		data, err := s.read(grow)
		if err != nil {
			return false, err
		}
		end := bytes.LastIndexByte(data, '\n') + 1
		if s.eof {
			end = len(data)
		}
		if end > 0 || s.eof {
			s.rest = data[end:]
			return s.cut(b, data[:end]) && !s.eof, nil
		}
		if len(data) > s.limit {
			return false, s.tooLong()
		}
		grow = true
	}
}

func (s *splitter) tooLong() error {
	return refusal.Reason(ErrUnsupported, "the record is longer than %d bytes", s.limit)
}

// cut adds lines to a block as records. It reports false when it reaches the
// end of the unit.
func (s *splitter) cut(b *block, data []byte) bool {
	for len(data) > 0 {
		if s.end > 0 && s.at.Offset >= s.end {
			return false
		}
		n := bytes.IndexByte(data, '\n') + 1
		if n == 0 {
			n = len(data)
		}
		s.at.End = s.at.Offset + int64(n)
		line := data[:n]
		if s.at.Offset == 0 {
			line = bytes.TrimPrefix(line, []byte(byteOrderMark))
		}
		b.records = append(b.records, rawRecord{at: s.at, data: bytes.TrimRight(line, "\r\n")})
		s.at.Offset = s.at.End
		s.at.Line++
		s.at.Index++
		data = data[n:]
	}
	return true
}
