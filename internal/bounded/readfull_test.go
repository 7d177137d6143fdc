package bounded_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/bounded"
)

// script answers each ReadAt with its next step, and from data after the last.
type script struct {
	data  []byte
	steps []step
	next  int
}

// step is an answer of at most n bytes with an error.
type step struct {
	n   int
	err error
}

func (s *script) ReadAt(p []byte, off int64) (int, error) {
	if s.next >= len(s.steps) {
		return bytes.NewReader(s.data).ReadAt(p, off)
	}
	st := s.steps[s.next]
	s.next++
	return copy(p[:min(st.n, len(p))], s.data[off:]), st.err
}

func TestReadFull(t *testing.T) {
	broken := errors.New("broken")
	data := numbered(64)
	for _, test := range []struct {
		name  string
		steps []step
		off   int64
		n     int
		want  error
	}{
		{"plain", nil, 3, 10, nil},
		{"nothing", []step{{0, broken}}, 3, 0, nil},
		{"short reads", []step{{1, nil}, {2, nil}, {3, nil}}, 5, 20, nil},
		{"all with EOF", []step{{10, io.EOF}}, 54, 10, nil},
		{"all with another error", []step{{10, broken}}, 0, 10, nil},
		{"some with EOF", []step{{4, io.EOF}}, 0, 10, io.ErrUnexpectedEOF},
		{"none with EOF", []step{{0, io.EOF}}, 0, 10, io.ErrUnexpectedEOF},
		{"some with another error", []step{{4, broken}}, 0, 10, broken},
		{"an error after short reads", []step{{4, nil}, {4, nil}, {0, broken}}, 0, 10, broken},
		{"a few stalls", []step{{0, nil}, {0, nil}, {3, nil}, {0, nil}}, 0, 10, nil},
		{"past the end", nil, 60, 10, io.ErrUnexpectedEOF},
		{"far past the end", nil, math.MaxInt64 - 10, 10, io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := make([]byte, test.n)
			err := bounded.ReadFull(&script{data: data, steps: test.steps}, p, test.off)
			require.Equal(t, test.want, err)
			if err == nil {
				require.Equal(t, data[test.off:][:test.n], p)
			}
		})
	}
}

// stalling returns one byte after each run of empty answers.
type stalling struct {
	data   []byte
	stalls int
	left   int
}

func (s *stalling) ReadAt(p []byte, off int64) (int, error) {
	if s.left == 0 {
		s.left = s.stalls
		return copy(p[:1], s.data[off:]), nil
	}
	s.left--
	return 0, nil
}

func TestReadFullEnds(t *testing.T) {
	data, p := numbered(30), make([]byte, 30)
	require.NoError(t, bounded.ReadFull(&stalling{data: data, stalls: 50, left: 50}, p, 0))
	require.Equal(t, data, p, "only consecutive stalls count")
	require.Equal(t, io.ErrNoProgress, bounded.ReadFull(failing{nil}, p, 0), "(0, nil) forever")
}
