package torchfile

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
)

// readEnd finds the central directory by means of the records at the end of the
// file.
func (z *archive) readEnd() error {
	tail := make([]byte, min(max(z.size, 0), end64Size+locatorSize+endSize))
	if err := z.readAt(tail, z.size-int64(len(tail))); err != nil {
		return err
	}
	if len(tail) < endSize || u32(tail, len(tail)-endSize) != endSignature {
		return z.noEnd()
	}
	end := tail[len(tail)-endSize:]
	z.ends = z.size - endSize
	if u16(end, 20) != 0 {
		return refusal.Malformed(z.ends+20, "", "the zip archive has a comment")
	}
	if u16(end, 4) != 0 || u16(end, 6) != 0 || u16(end, 8) != u16(end, 10) {
		return refusal.Malformed(z.ends+4, "", "the zip archive spans several disks")
	}
	values := [3]uint64{uint64(u16(end, 10)), uint64(u32(end, 12)), uint64(u32(end, 16))}
	if len(tail) >= locatorSize+endSize && u32(tail, len(tail)-endSize-locatorSize) == locatorSignature {
		if err := z.readEnd64(tail, &values); err != nil {
			return err
		}
	}
	return z.setDirectory(values)
}

func (z *archive) readAt(b []byte, off int64) error {
	if err := bounded.ReadFull(z.r, b, off); err != nil {
		return &refusal.Error{Offset: max(off, 0), Err: err}
	}
	return nil
}

// readEnd64 reads the zip64 end record and its locator. Each 64-bit value must
// agree with the short value in the end record, unless that has all bits set.
func (z *archive) readEnd64(tail []byte, values *[3]uint64) error {
	at := z.ends - locatorSize
	locator := tail[len(tail)-endSize-locatorSize:]
	z.ends = at - end64Size
	if u32(locator, 4) != 0 || u32(locator, 16) != 1 {
		return refusal.Malformed(at+4, "", "the zip archive spans several disks")
	}
	if z.ends < 0 || u64(locator, 8) != uint64(z.ends) || u32(tail, 0) != end64Signature {
		return refusal.Malformed(at+8, "", "the zip64 end record is not at the offset that its locator gives")
	}
	if u64(tail, 4) != end64Size-12 {
		return refusal.Malformed(z.ends+4, "", "the zip64 end record has %d bytes, want %d", u64(tail, 4), end64Size-12)
	}
	if u32(tail, 16) != 0 || u32(tail, 20) != 0 || u64(tail, 24) != u64(tail, 32) {
		return refusal.Malformed(z.ends+16, "", "the zip archive spans several disks")
	}
	// A short value with all bits set refers to the long value.
	for i, unknown := range []uint64{math.MaxUint16, math.MaxUint32, math.MaxUint32} {
		long := u64(tail, 32+8*i)
		if values[i] != unknown && values[i] != long {
			return refusal.Malformed(z.ends+32+8*int64(i), "", "the zip64 end record says %d, but the end record says %d", long, values[i])
		}
		values[i] = long
	}
	return nil
}

// setDirectory takes the number of entries, the size and the offset of the
// central directory, if they are consistent with each other and with the file.
func (z *archive) setDirectory(values [3]uint64) error {
	count, size, dir := values[0], values[1], values[2]
	switch {
	case size > uint64(z.ends) || dir != uint64(z.ends)-size:
		return refusal.Malformed(z.ends, "", "the central directory of %d bytes at %d does not end where the end records begin", size, dir)
	case count > size/entrySize:
		return refusal.Malformed(z.ends, "", "the central directory of %d bytes is too small for %d entries", size, count)
	}
	z.count, z.dir = int64(count), int64(dir)
	return nil
}

// legacyMagic is the number at the start of files that torch wrote before
// version 1.6, as pickled with protocol 2 or later.
var legacyMagic = []byte("\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")

// noEnd returns the error for a file without an end record: another format, or
// a truncated archive.
func (z *archive) noEnd() error {
	head := make([]byte, min(z.size, 512))
	if err := z.readAt(head, 0); err != nil {
		return err
	}
	switch {
	case len(head) > 2 && head[0] == 0x80 && bytes.Contains(head[:min(len(head), 32)], legacyMagic):
		return refusal.Unsupported(0, "", "the file has torch's format from before version 1.6")
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return refusal.Unsupported(0, "", "the file has the tar format of torch's first versions")
	case !bytes.HasPrefix(head, []byte("PK\x03\x04")[:min(len(head), 4)]):
		return refusal.Malformed(0, "", "the file is not a zip archive")
	}
	return z.truncated()
}

// truncated returns the error for an archive without an end record at its end.
// It distinguishes a truncated file from one with trailing bytes, which has an
// end record further ahead.
func (z *archive) truncated() error {
	tail := make([]byte, min(z.size, math.MaxUint16+endSize))
	from := z.size - int64(len(tail))
	if err := z.readAt(tail, from); err != nil {
		return err
	}
	at := bytes.LastIndex(tail, binary.LittleEndian.AppendUint32(nil, endSignature))
	if at < 0 || len(tail)-at < endSize {
		return refusal.Truncated(z.size, "", "the zip archive ends without an end record")
	}
	return refusal.Malformed(from+int64(at)+endSize, "", "%d unexpected bytes follow the end record of the zip archive", len(tail)-at-endSize)
}
