// Package bounded reads binary structures from an io.ReaderAt of known size.
// It compares each length with the bytes that are left before it reads or
// allocates, so that a hostile length costs nothing.
package bounded

import (
	"encoding/binary"
	"io"

	"github.com/koala-go/sdk/internal/refusal"
)

// cursorWindow is how much a Cursor reads ahead: a record's header at most,
// so that skipping gigabytes of payload costs one short read a record.
const cursorWindow = 4096

// Cursor walks over the binary structure of a file and skips its payloads.
// Each method checks what is left before it reads or allocates; errors are
// *Error values that carry the offset.
type Cursor struct {
	r        io.ReaderAt
	off, end int64

	window      []byte // bytes already read, from file offset windowStart
	windowStart int64
	store       []byte
}

// NewCursor walks over bytes off to end of r.
func NewCursor(r io.ReaderAt, off, end int64) *Cursor {
	return &Cursor{r: r, off: off, end: end}
}

// Offset is the file offset of the next byte.
func (c *Cursor) Offset() int64 { return c.off }

// Left is the number of bytes up to the end.
func (c *Cursor) Left() int64 { return c.end - c.off }

// Skip moves over n bytes without reading them.
func (c *Cursor) Skip(n int64) error {
	if n < 0 || n > c.Left() {
		return refusal.Truncated(c.off, "", "%d bytes announced, %d left", n, c.Left())
	}
	c.off += n
	return nil
}

// Bytes reads n bytes. They are valid until the next call.
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

// fill moves the window to start and makes it at least n long.
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

// Within runs f on the next n bytes alone and checks that it reads all of them.
func (c *Cursor) Within(n int64, f func() error) error {
	if n < 0 || n > c.Left() {
		return refusal.Truncated(c.off, "", "%d bytes announced, %d left", n, c.Left())
	}
	outer := c.end
	c.end = c.off + n
	err := f()
	if err == nil && c.off < c.end {
		err = refusal.Malformed(c.off, "", "%d bytes follow the value", c.Left())
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

// BigEndian reads an unsigned number of 1, 2, 4 or 8 bytes.
func (c *Cursor) BigEndian(size int64) (uint64, error) {
	b, err := c.Bytes(size)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[8-len(b):], b)
	return binary.BigEndian.Uint64(full[:]), nil
}

// ReadFull fills p from r at off. Unlike io.ReaderAt it gives a nil error
// whenever p was filled, io.ErrUnexpectedEOF when the input ends early, and
// it ends also with a reader that returns neither bytes nor an error.
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
