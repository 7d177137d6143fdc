// Package bounded reads binary structures from an io.ReaderAt of known size. It
// compares each length with the number of bytes left before it reads or
// allocates, so that a length in a hostile file cannot cost memory.
//
// NewCursor returns a Cursor, with which a parser walks over a file.
package bounded

import (
	"encoding/binary"
	"io"

	"github.com/koala-go/sdk/internal/refusal"
)

// cursorWindow is how many bytes a Cursor reads ahead. It exceeds the header of
// a record, so that skipping gigabytes of payload costs one short read per
// record.
const cursorWindow = 4096

// Cursor reads the structure of a binary file in order and skips payloads. Each
// method checks how many bytes are left before it reads or allocates. Its
// errors are *refusal.Error values with the offset.
type Cursor struct {
	r        io.ReaderAt
	off, end int64

	window      []byte // bytes already read, from file offset windowStart
	windowStart int64
	store       []byte
}

// NewCursor returns a Cursor over the bytes of r from off to end.
func NewCursor(r io.ReaderAt, off, end int64) *Cursor {
	return &Cursor{r: r, off: off, end: end}
}

// Offset returns the file offset of the next byte.
func (c *Cursor) Offset() int64 { return c.off }

// Left returns the number of bytes up to the end of the range.
func (c *Cursor) Left() int64 { return c.end - c.off }

// Skip advances by n bytes without reading them.
func (c *Cursor) Skip(n int64) error {
	if n < 0 || n > c.Left() {
		return refusal.Truncated(c.off, "", "%d bytes are announced, but only %d are left", n, c.Left())
	}
	c.off += n
	return nil
}

// Bytes reads n bytes. The slice is valid until the next call.
func (c *Cursor) Bytes(n int64) ([]byte, error) {
	start := c.off
	if err := c.Skip(n); err != nil {
		return nil, err
	}
	if start < c.windowStart || start+n > c.windowStart+int64(len(c.window)) {
		if err := c.fill(start, n); err != nil {
			return nil, err
		}
	}
	i := start - c.windowStart
	return c.window[i : i+n], nil
}

// fill moves the window to start and makes it at least n bytes long.
func (c *Cursor) fill(start, n int64) error {
	want := min(max(n, cursorWindow), c.end-start)
	if want > int64(cap(c.store)) {
		c.store = make([]byte, want)
	}
	c.window, c.windowStart = c.store[:want], start
	if err := ReadFull(c.r, c.window, start); err != nil {
		c.window = nil
		return &refusal.Error{Offset: start, Err: err}
	}
	return nil
}

// Within calls f with the range limited to the next n bytes, and checks that f
// reads all of them.
func (c *Cursor) Within(n int64, f func() error) error {
	if n < 0 || n > c.Left() {
		return refusal.Truncated(c.off, "", "%d bytes are announced, but only %d are left", n, c.Left())
	}
	outer := c.end
	c.end = c.off + n
	err := f()
	if err == nil && c.off < c.end {
		err = refusal.Malformed(c.off, "", "%d unexpected bytes follow the value", c.Left())
	}
	c.end = outer
	return err
}

// Byte reads one byte.
func (c *Cursor) Byte() (byte, error) {
	b, err := c.Bytes(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// BigEndian reads an unsigned integer of 1, 2, 4 or 8 bytes.
func (c *Cursor) BigEndian(size int64) (uint64, error) {
	b, err := c.Bytes(size)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[8-len(b):], b)
	return binary.BigEndian.Uint64(full[:]), nil
}

// ReadFull fills p with the bytes of r at off. Unlike io.ReaderAt it returns a
// nil error whenever p is full, and io.ErrUnexpectedEOF if the input ends
// early. It gives up on a reader that keeps returning neither bytes nor an
// error.
func ReadFull(r io.ReaderAt, p []byte, off int64) error {
	for stalls := 0; len(p) > 0; {
		n, err := r.ReadAt(p, off)
		p, off = p[n:], off+int64(n)
		switch {
		case len(p) == 0:
			return nil
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case n > 0:
			stalls = 0
		default:
			if stalls++; stalls > 100 {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}
