package local

import (
	"io"
	"strings"
)

// stream writes a reply up to the first stop text in it. What may be the
// beginning of one waits.
type stream struct {
	w       io.Writer
	stops   []string
	pending []byte
}

// write takes more of the reply. It gives the stop text that ended it, ""
// for none yet.
func (s *stream) write(text []byte) (stop string, err error) {
	s.pending = append(s.pending, text...)
	at, found := s.find()
	if found != "" {
		return found, s.give(at)
	}
	return "", s.give(len(s.pending) - s.begun())
}

// find is the first place of a stop text; of those at one place the longest.
func (s *stream) find() (at int, stop string) {
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

// begun is how many of the last bytes may be the beginning of a stop text.
func (s *stream) begun() int {
	for i := range s.pending {
		for _, stop := range s.stops {
			if strings.HasPrefix(stop, string(s.pending[i:])) {
				return len(s.pending) - i
			}
		}
	}
	return 0
}

// give writes the first n bytes that wait.
func (s *stream) give(n int) error {
	if n == 0 {
		return nil
	}
	_, err := s.w.Write(s.pending[:n])
	s.pending = append(s.pending[:0], s.pending[n:]...)
	return err
}
