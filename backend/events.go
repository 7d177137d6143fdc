package backend

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// maxLine bounds a line of a stream and an event of several lines, in bytes.
const maxLine = maxDocument

// byteOrderMark may begin a stream (WHATWG HTML, 9.2.5). It is skipped.
const byteOrderMark = "\ufeff"

// lines reads lines that end with LF or CRLF.
type lines struct {
	r   *bufio.Reader
	buf []byte // a line that is longer than the buffer of r
}

func newLines(r io.Reader) *lines {
	l := &lines{r: bufio.NewReaderSize(r, 4<<10)}
	if begin, _ := l.r.Peek(len(byteOrderMark)); string(begin) == byteOrderMark {
		_, _ = l.r.Discard(len(byteOrderMark)) // they were peeked at
	}
	return l
}

// next returns the next line without its line ending. The line is valid until the
// next call. The error is io.EOF at the end of the stream. With io.ErrUnexpectedEOF
// it returns the last line, which has no line ending. The error is also of the kind ErrBroken for a line that is too long, or the
// error of the reader.
func (l *lines) next() ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if err == nil && len(l.buf) == 0 {
			return trimLineEnd(part), nil
		}
		if len(l.buf)+len(part) > maxLine {
			return nil, broken("a line over %d bytes", maxLine)
		}
		l.buf = append(l.buf, part...)
		switch {
		case err == nil:
			return trimLineEnd(l.buf), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF && len(l.buf) > 0:
			return trimLineEnd(l.buf), io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

func trimLineEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// events reads the events of a stream.
type events interface {
	// next returns the JSON of the next event, which is valid until the next
	// call. The errors are those of lines.next: with io.ErrUnexpectedEOF comes
	// an event that the stream may have cut short, or none.
	next() ([]byte, error)
}

// ndjson reads a stream with one event per line. It skips empty lines.
type ndjson struct{ *lines }

func (n ndjson) next() ([]byte, error) {
	for {
		line, err := n.lines.next()
		if err != nil || len(bytes.TrimSpace(line)) > 0 {
			return line, err
		}
	}
}

// sse reads the data of server-sent events (WHATWG HTML, 9.2) whose lines end with
// LF or CRLF. Unlike the standard, it refuses a line that is not a field. It reads
// the field error, which older servers of llama.cpp sent, like data.
type sse struct {
	*lines
	data []byte
}

func (s *sse) next() ([]byte, error) {
	s.data = s.data[:0]
	ping := false
	for {
		line, err := s.lines.next()
		switch {
		case err == io.EOF && len(s.data) > 0:
			return s.data[:len(s.data)-1], io.ErrUnexpectedEOF
		case err != nil && err != io.ErrUnexpectedEOF:
			return nil, err
		}
		blank := len(line) == 0
		if !blank {
			if err := s.field(line, &ping); err != nil {
				return nil, err
			}
		}
		switch {
		case err != nil && len(s.data) > 0:
			return s.data[:len(s.data)-1], err
		case err != nil:
			return nil, err
		case blank && !ping && len(bytes.TrimSpace(s.data)) > 0:
			return s.data[:len(s.data)-1], nil
		case blank: // no data, empty data or a ping: the event keeps the connection alive
			s.data, ping = s.data[:0], false
		}
	}
}

// field reads a line of an event.
func (s *sse) field(line []byte, ping *bool) error {
	if line[0] == ':' { // a comment
		return nil
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "data", "error":
		s.data = append(append(s.data, value...), '\n')
		if len(s.data) > maxLine {
			return broken("an event over %d bytes", maxLine)
		}
	case "event":
		*ping = string(value) == "ping"
	case "id", "retry":
	default:
		return broken("a line that is not a field of an event: %.100q", line)
	}
	return nil
}

// replaceInvalid returns text with U+FFFD for each byte that is not valid UTF-8,
func replaceInvalid(text []byte) ([]byte, int) {
	if utf8.Valid(text) {
		return text, 0
	}
	var out []byte
	replaced := 0
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			replaced++
		}
		out = utf8.AppendRune(out, r)
		text = text[size:]
	}
	return out, replaced
}
