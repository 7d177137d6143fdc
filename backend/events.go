package backend

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// maxLine bounds a line of a stream and an event of several lines, in bytes.
const maxLine = 1 << 20

// lines reads lines that end in LF or CRLF.
type lines struct {
	r   *bufio.Reader
	buf []byte // of a line that is longer than the reader's buffer
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 4<<10)} }

// next is the next line without its end, good until the next call. The error is
// io.EOF at the end, io.ErrUnexpectedEOF in a line, ErrBroken for a line that is
// too long, or that of the reader.
func (l *lines) next() ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if err == nil && len(l.buf) == 0 {
			return chomp(part), nil
		}
		if len(l.buf)+len(part) > maxLine {
			return nil, broken("a line over %d bytes", maxLine)
		}
		l.buf = append(l.buf, part...)
		switch {
		case err == nil:
			return chomp(l.buf), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF && len(l.buf) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

func chomp(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// events reads the events of a stream.
type events interface {
	// next is the JSON of the next event, good until the next call. The
	// errors are those of lines.
	next() ([]byte, error)
}

// ndjson reads an event a line. Empty lines are skipped.
type ndjson struct{ *lines }

func (n ndjson) next() ([]byte, error) {
	for {
		line, err := n.lines.next()
		if err != nil || len(line) > 0 {
			return line, err
		}
	}
}

// sse reads the data of server-sent events (WHATWG HTML, 9.2), where lines end
// in LF or CRLF. Stricter than there, a line that is no field is an error. An
// error: field, which older servers of llama.cpp sent, is taken for data.
type sse struct {
	*lines
	data []byte
}

func (s *sse) next() ([]byte, error) {
	s.data = s.data[:0]
	begun := false
	for {
		line, err := s.lines.next()
		switch {
		case err == io.EOF && begun:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case len(line) == 0 && begun:
			return s.data[:len(s.data)-1], nil
		case len(line) == 0 || line[0] == ':':
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "data", "error":
			begun = true
			s.data = append(append(s.data, bytes.TrimPrefix(value, []byte(" "))...), '\n')
			if len(s.data) > maxLine {
				return nil, broken("an event over %d bytes", maxLine)
			}
		case "event", "id", "retry":
		default:
			return nil, broken("no event of a stream: %.100q", line)
		}
	}
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
