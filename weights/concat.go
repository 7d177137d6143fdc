package weights

import (
	"io"
	"sort"
	"sync"

	"github.com/koala-go/sdk/internal/bounded"
)

// part is one of several arrays that are concatenated along an axis.
type part struct {
	data  io.ReaderAt
	bytes int64 // size of the part or, where columns are concatenated, of one of its rows
	end   int64 // offset of the end of the part in the result, or in a row of it
}

// newParts computes where each part ends.
func newParts(data []io.ReaderAt, bytes []int64) []part {
	parts, end := make([]part, len(data)), int64(0)
	for i := range data {
		end += bytes[i]
		parts[i] = part{data[i], bytes[i], end}
	}
	return parts
}

// find returns the part that holds the byte at an offset of the result, or of a
// row of it.
func find(parts []part, at int64) *part {
	// An empty part ends where the part before it ends, so it is never found.
	return &parts[sort.Search(len(parts)-1, func(i int) bool { return at < parts[i].end })]
}

// rowConcat reads the concatenation of arrays along the rows.
type rowConcat []part

func (s rowConcat) ReadAt(p []byte, off int64) (int, error) {
	for n := 0; n < len(p); {
		at := off + int64(n)
		if at >= s[len(s)-1].end {
			return n, io.EOF
		}
		x := find(s, at)
		k := min(int64(len(p)-n), x.end-at)
		if err := bounded.ReadFull(x.data, p[n:n+int(k)], at-(x.end-x.bytes)); err != nil {
			return n, err
		}
		n += int(k)
	}
	return len(p), nil
}

// columnConcat reads the concatenation of matrices along the columns: each row
// is made of one row of every part.
type columnConcat struct {
	parts []part
	row   int64 // bytes of a row of the result
	rows  int64
}

// gatherBuffer bounds the bytes of one part that are read at once.
const gatherBuffer = 256 << 10

var gatherPool = sync.Pool{New: func() any { return new([gatherBuffer]byte) }}

func (m *columnConcat) ReadAt(p []byte, off int64) (int, error) {
	if m.row == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	for n := 0; n < len(p); {
		row, at := (off+int64(n))/m.row, (off+int64(n))%m.row
		if row >= m.rows {
			return n, io.EOF
		}
		// Whole rows are read in bulk; the rest, at the ends of the range, part by
		// part.
		rest := p[n:]
		var read int64
		var err error
		if rows := min(int64(len(rest))/m.row, m.rows-row); at == 0 && rows > 0 {
			read, err = m.readRows(rest, row, rows)
		} else {
			read, err = m.readWithin(rest, row, at)
		}
		n += int(read)
		if err != nil {
			return n, err
		}
	}
	return len(p), nil
}

// readWithin reads from an offset of a row to the end of the part there, at
// most.
func (m *columnConcat) readWithin(p []byte, row, at int64) (int64, error) {
	x := find(m.parts, at)
	n := min(int64(len(p)), x.end-at)
	return n, bounded.ReadFull(x.data, p[:n], row*x.bytes+at-(x.end-x.bytes))
}

// readRows reads whole rows, as many as are asked for and fit the buffer. It
// reads each part once for all of them: a read for each row of each part would
// cost a system call for a few KiB.
func (m *columnConcat) readRows(p []byte, row, rows int64) (int64, error) {
	widest := int64(0)
	for _, x := range m.parts {
		widest = max(widest, x.bytes)
	}
	rows = min(rows, gatherBuffer/max(widest, 1))
	if rows <= 1 { // the buffer saves nothing
		return m.readWithin(p, row, 0)
	}
	b := gatherPool.Get().(*[gatherBuffer]byte)
	defer gatherPool.Put(b)
	for _, x := range m.parts {
		piece := b[:rows*x.bytes]
		if err := bounded.ReadFull(x.data, piece, row*x.bytes); err != nil {
			return 0, err
		}
		for r := range rows {
			copy(p[r*m.row+x.end-x.bytes:], piece[r*x.bytes:(r+1)*x.bytes])
		}
	}
	return rows * m.row, nil
}
