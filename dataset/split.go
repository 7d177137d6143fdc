package dataset

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/koala-go/sdk/internal/refusal"
)

// blockSize is how much of a file is read and handed to a worker at a time.
const blockSize = 256 << 10

// raw is a record as it stands in a file.
type raw struct {
	at   Position
	data []byte
	bad  error // what is wrong with it beside what data says
}

// bytes is how long the record is in its file, or the JSON that stands for a
// row of a Parquet file.
func (x *raw) bytes() int64 {
	if x.at.Group > 0 {
		return int64(len(x.data))
	}
	return x.at.End - x.at.Offset
}

// block is some records that follow each other. An error is about what comes
// after them.
type block struct {
	raws []raw
	err  *Error
}

// splitter cuts a file into records. The buffer of a block is its own: records
// may point into it.
type splitter struct {
	r    io.Reader
	at   Position // where the next record begins
	rest []byte   // read, but not yet given
	eof  bool
	max  int   // bytes of the longest record
	end  int64 // records that begin at or after this offset are another's; 0 for none
	from int64 // elements of an array that begin before are passed over
}

// errBOM is for files that begin with a byte order mark, which no reader of
// JSON lines takes.
var errBOM = refusal.Reason(ErrMalformed, "the file begins with a byte order mark")

// blocks gives a file's records. An error about a file is in the last block.
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
			b.err = at(readError(err), &s.at)
		}
		if (len(b.raws) > 0 || b.err != nil) && !yield(b) {
			return false
		}
		if !more || err != nil {
			return b.err == nil
		}
	}
}

// readError gives the errors of decompression a kind.
func readError(err error) error {
	var corrupt flate.CorruptInputError
	var known *Error
	switch {
	case errors.As(err, &known):
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refusal.Reason(io.ErrUnexpectedEOF, "the file ends in the middle")
	case errors.As(err, &corrupt), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader),
		errors.Is(err, zstd.ErrCRCMismatch), errors.Is(err, zstd.ErrMagicMismatch), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return refusal.Reason(ErrMalformed, "the compressed data is damaged: %v", err)
	}
	return err
}

// read returns what is left over and about as much new data as a block has,
// and more than before if grow is set.
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

// lines gives the next whole lines.
func (s *splitter) lines(b *block) (more bool, err error) {
	first := s.at.Offset == 0
	grow := false
	for {
		data, err := s.read(grow)
		if err != nil {
			return false, err
		}
		if first && bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
			return false, errBOM
		}
		end := bytes.LastIndexByte(data, '\n') + 1
		if s.eof {
			end = len(data)
		}
		if end > 0 || s.eof {
			s.rest = data[end:]
			return s.cut(b, data[:end]) && !s.eof, nil
		}
		if len(data) > s.max {
			return false, refusal.Reason(ErrUnsupported, "a record longer than %d bytes", s.max)
		}
		grow = true
	}
}

// cut makes records of lines. It says false when the rest belongs to others.
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
		b.raws = append(b.raws, raw{at: s.at, data: bytes.TrimRight(data[:n], "\r\n")})
		s.at.Offset = s.at.End
		s.at.Line++
		s.at.Index++
		data = data[n:]
	}
	return true
}
