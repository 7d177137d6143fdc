package local

import (
	"io"
	"strings"
)

// stopWriter writes a reply up to the first stop sequence in it. It holds back text
// that may be the beginning of a stop sequence.
type stopWriter struct {
	w       io.Writer
	stops   []string
	pending []byte
}

// write adds text to the reply. It returns the stop sequence that ended the reply,
// or "".
func (s *stopWriter) write(text []byte) (stop string, err error) {
	s.pending = append(s.pending, text...)
	at, found := s.find()
	if found != "" {
		return found, s.flush(at)
	}
	return "", s.flush(len(s.pending) - s.partial())
}

// find returns the first stop sequence and its offset: the longest one of those at
// that offset.
func (s *stopWriter) find() (at int, stop string) {
	for _, candidate := range s.stops {
		i := strings.Index(string(s.pending), candidate)
		if candidate == "" || i < 0 {
			continue
		}
		if stop == "" || i < at || i == at && len(candidate) > len(stop) {
			at, stop = i, candidate
		}
	}
	return at, stop
}

// partial returns the number of bytes at the end that may be the beginning of a stop
// sequence.
func (s *stopWriter) partial() int {
	for i := range s.pending {
		for _, stop := range s.stops {
			if strings.HasPrefix(stop, string(s.pending[i:])) {
				return len(s.pending) - i
			}
		}
	}
	return 0
}

// flush writes the first n pending bytes.
func (s *stopWriter) flush(n int) error {
	if n == 0 {
		return nil
	}
	_, err := s.w.Write(s.pending[:n])
	s.pending = append(s.pending[:0], s.pending[n:]...)
	return err
}
