package torchfile_test

import (
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/torchfile"
)

func TestChecksumOfPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for size := range 300 {
		data := randomBytes(rng, size*size/10)
		var c torchfile.Checksum
		type piece struct{ begin, end int }
		var pieces []piece
		for at := 0; at < len(data); {
			end := min(len(data), at+1+rng.IntN(len(data)/3+1))
			pieces = append(pieces, piece{at, end})
			at = end
		}
		rng.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		for _, p := range pieces {
			c.Add(int64(p.begin), data[p.begin:p.end])
		}
		crc, n := c.Sum()
		require.Equal(t, crc32.ChecksumIEEE(data), crc)
		require.EqualValues(t, len(data), n)
	}
}

// TestChecksumOfMuch combines long runs of bytes.
func TestChecksumOfMuch(t *testing.T) {
	zeros := make([]byte, 1<<20)
	h := crc32.NewIEEE()
	var c torchfile.Checksum
	for i := range 64 {
		h.Write(zeros)
		c.Add(int64(63-i)<<20, zeros)
	}
	crc, n := c.Sum()
	require.Equal(t, h.Sum32(), crc)
	require.EqualValues(t, 64<<20, n)
}

func TestChecksumFromGoroutines(t *testing.T) {
	data := randomBytes(rand.New(rand.NewPCG(9, 10)), 1<<20)
	var c torchfile.Checksum
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for at := worker * 1000; at < len(data); at += 4000 {
				c.Add(int64(at), data[at:min(at+1000, len(data))])
			}
		})
	}
	wg.Wait()
	crc, n := c.Sum()
	require.Equal(t, crc32.ChecksumIEEE(data), crc)
	require.EqualValues(t, len(data), n)
}

func TestChecksumTellsOfFaults(t *testing.T) {
	data := []byte("0123456789")
	for _, test := range []struct {
		name   string
		pieces [][2]int
		size   int64
	}{
		{"nothing", nil, 0},
		{"an empty piece", [][2]int{{3, 3}}, 0},
		{"the beginning is missing", [][2]int{{1, 10}}, 0},
		{"the middle is missing", [][2]int{{0, 4}, {5, 10}}, 4},
		{"the end is missing", [][2]int{{4, 9}, {0, 4}}, 9},
		{"a piece twice", [][2]int{{0, 10}, {0, 10}}, -1},
		{"overlap before", [][2]int{{4, 10}, {0, 5}}, -1},
		{"overlap after", [][2]int{{0, 5}, {4, 10}}, -1},
		{"overlap within", [][2]int{{0, 10}, {4, 5}}, -1},
		{"overlap around", [][2]int{{4, 5}, {0, 10}}, -1},
		{"overlap of two", [][2]int{{0, 4}, {6, 10}, {3, 7}}, -1},
		{"all", [][2]int{{6, 10}, {0, 4}, {4, 6}}, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c torchfile.Checksum
			for _, p := range test.pieces {
				c.Add(int64(p[0]), data[p[0]:p[1]])
			}
			crc, n := c.Sum()
			require.Equal(t, test.size, n)
			if n > 0 {
				require.Equal(t, crc32.ChecksumIEEE(data[:n]), crc)
			}
		})
	}
}
