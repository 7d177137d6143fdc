package torchfile

import (
	"math"
	"slices"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
)

// readLocals reads the members in the order of the file. Each must begin where
// the previous one ends, and the central directory where the last one ends.
func (z *archive) readLocals() error {
	c := bounded.NewCursor(z.r, 0, z.dir)
	for i := range z.members {
		m := &z.members[i]
		switch at := c.Offset(); {
		case m.start < at:
			return refusal.Malformed(m.at+42, "", "member %.100q begins at %d, within the previous member", m.name, m.start)
		case m.start > at:
			return refusal.Malformed(at, "", "%d bytes before member %.100q belong to no member", m.start-at, m.name)
		}
		if err := m.readLocal(c); err != nil {
			return err
		}
	}
	if c.Left() > 0 {
		return refusal.Malformed(c.Offset(), "", "%d bytes before the central directory belong to no member", c.Left())
	}
	return nil
}

// readLocal checks that the local header and the descriptor of a member agree
// with its entry.
func (m *member) readLocal(c *bounded.Cursor) error {
	h, err := c.Bytes(localSize)
	if err != nil {
		return err
	}
	h = slices.Clone(h)
	if got := u32(h, 0); got != localSignature {
		return refusal.Malformed(m.start, "", "member %.100q begins with signature %#08x, want %#08x", m.name, got, localSignature)
	}
	if u16(h, 6) != m.flags || u16(h, 8) != methodStored {
		return refusal.Malformed(m.start+6, "", "member %.100q has different flags or a different method in its local header", m.name)
	}
	name, err := c.Bytes(int64(u16(h, 26)))
	if err != nil {
		return err
	}
	if string(name) != m.name {
		return refusal.Malformed(m.start+localSize, "", "member %.100q has the name %.100q in its local header", m.name, name)
	}
	off := c.Offset()
	extra, err := c.Bytes(int64(u16(h, 28)))
	if err != nil {
		return err
	}
	long, err := zip64Field(extra, off)
	if err != nil {
		return err
	}
	if !m.agrees(h) || !m.agreesLong(long, h) {
		return refusal.Malformed(m.start+14, "", "member %.100q has a different checksum or size in its local header", m.name)
	}
	wide := long != nil
	m.data = c.Offset()
	if err := c.Skip(m.size); err != nil {
		return err
	}
	if m.flags&flagDescriptor == 0 {
		return nil
	}
	return m.readDescriptor(c, wide)
}

// agrees reports whether the checksum and the sizes of a local header agree
// with the entry. They may all be zero if a descriptor follows the data.
func (m *member) agrees(h []byte) bool {
	sum, stored, size := u32(h, 14), u32(h, 18), u32(h, 22)
	if stored != size {
		return false
	}
	if m.flags&flagDescriptor != 0 && sum == 0 && size == 0 {
		return true
	}
	wide := size == math.MaxUint32
	later := m.flags&flagDescriptor != 0 && wide && sum == 0
	return (sum == m.crc || later) && (wide || int64(size) == m.size)
}

// agreesLong reports whether the zip64 field of a local header agrees with the
// entry. The field holds the two sizes, the offset of the header, or all three.
// If the short sizes have all bits set, the field must hold the sizes.
func (m *member) agreesLong(long, h []byte) bool {
	later := m.flags&flagDescriptor != 0
	if u32(h, 22) == math.MaxUint32 && len(long) < 16 {
		return false
	}
	sizes, place := long[:len(long)/16*16], long[len(long)/16*16:]
	for ; len(sizes) > 0; sizes = sizes[8:] {
		if v := u64(sizes, 0); v != uint64(m.size) && (v != 0 || !later) {
			return false
		}
	}
	return len(place) == 0 || u64(place, 0) == uint64(m.start)
}

// readDescriptor reads and checks the record after a member's data. Its sizes
// have 64 bits if wide is set, that is if the local header has a zip64 field.
func (m *member) readDescriptor(c *bounded.Cursor, wide bool) error {
	at, n := c.Offset(), int64(16)
	if wide {
		n = 24
	}
	d, err := c.Bytes(n)
	if err != nil {
		return err
	}
	size, stored := uint64(u32(d, 8)), uint64(u32(d, 12))
	if wide {
		size, stored = u64(d, 8), u64(d, 16)
	}
	if u32(d, 0) != descriptorSignature || u32(d, 4) != m.crc || size != uint64(m.size) || stored != uint64(m.size) {
		return refusal.Malformed(at, "", "member %.100q has a different checksum or size in its descriptor", m.name)
	}
	return nil
}
