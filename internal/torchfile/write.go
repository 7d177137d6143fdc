package torchfile

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// alignment is the alignment of the members' data in the file, as in torch.
const alignment = 64

// maxSize bounds sums of sizes, so that adding one more size cannot overflow.
const maxSize = math.MaxInt64 / 4

// Plan is the layout of a zip archive whose elements are not yet known. It
// holds a dictionary of contiguous tensors, each with a storage of its own, as
// torch.save writes it.
type Plan struct {
	Pieces  []tensor.Piece // the bytes that do not depend on the elements
	Offsets []int64        // the file offset of each tensor's data, in the order of the tensors
	Size    int64          // of the file in bytes

	parts   []part
	tensors []int // index of each tensor's part
	id      int   // index of the serialization id's part
	dir     int64 // file offset of the central directory
}

// part is a member to be written.
type part struct {
	name              string
	start, data, size int64
	crc               uint32
}

// NewPlan lays out a file for tensors. It uses the Name, DType and Shape of
// each tensor. root is the name of the folder in the archive. torch uses the
// file's name without its extension, such as "consolidated.00" or
// "pytorch_model".
//
// The file is complete once these have been written: Pieces, the data of each
// tensor at its offset (little-endian, row-major), and the pieces that Seal
// returns.
func NewPlan(root string, tensors []tensor.Tensor) (*Plan, error) {
	if !validName(root) || strings.Contains(root, "/") || len(root) > 1000 {
		return nil, refusal.Malformed(0, "", "%.100q is not a valid name for the folder of the zip archive", root)
	}
	if err := checkTensors(tensors); err != nil {
		return nil, err
	}
	pickle := appendPickle(nil, tensors)
	if len(pickle) > maxPickle {
		return nil, refusal.Unsupported(0, "", "data.pkl of %d tensors would have %d bytes, which exceeds the limit of %d", len(tensors), len(pickle), maxPickle)
	}
	p := &Plan{Offsets: make([]int64, len(tensors)), tensors: make([]int, len(tensors)), parts: make([]part, 0, len(tensors)+6)}
	p.addBytes(root+"/data.pkl", pickle)
	p.addBytes(root+"/.format_version", []byte("1"))
	p.addBytes(root+"/.storage_alignment", []byte(fmt.Sprint(alignment)))
	p.addBytes(root+"/byteorder", []byte("little"))
	for i := range tensors {
		p.tensors[i] = p.add(fmt.Sprintf("%s/data/%d", root, i), tensors[i].Bytes())
		p.Offsets[i] = p.parts[p.tensors[i]].data
	}
	p.addBytes(root+"/version", []byte("3\n"))
	p.id = p.add(root+"/.data/serialization_id", idSize)
	// Sizes and offsets are final, and only checksums will change: the directory
	// keeps its length.
	p.dir = p.Size
	p.Size += int64(len(p.appendDirectory(nil)))
	return p, nil
}

// checkTensors refuses tensors that Read could not restore.
func checkTensors(tensors []tensor.Tensor) error {
	seen := make(map[string]struct{}, len(tensors))
	total, letters := int64(0), 0
	for i := range tensors {
		t := &tensors[i]
		if letters += len(t.Name); letters > maxPickle {
			return refusal.Unsupported(0, "", "the names of the first %d tensors alone exceed the limit of %d bytes for data.pkl", i+1, maxPickle)
		}
		if _, dup := seen[t.Name]; dup {
			return refusal.Malformed(0, t.Name, "two tensors have the same name")
		}
		seen[t.Name] = struct{}{}
		if !utf8.ValidString(t.Name) {
			return refusal.Malformed(0, t.Name, "the tensor's name is not UTF-8")
		}
		if storageClass[t.DType] == "" {
			return refusal.Unsupported(0, t.Name, "torch has no class of storages for dtype %q", t.DType)
		}
		n, ok := t.DType.Bytes(t.Shape)
		if total += n; !ok || total > maxSize || len(t.Shape) > maxRank {
			return refusal.Malformed(0, t.Name, "the tensor of dtype %s and shape %s has too many dimensions or its size overflows", t.DType, brief(t.Shape))
		}
	}
	return nil
}

// add lays out a member and returns its index.
func (p *Plan) add(name string, size int64) int {
	m := part{name: name, start: p.Size, size: size}
	m.data = m.start + int64(len(m.appendLocal(nil)))
	p.Size = m.data + size
	p.parts = append(p.parts, m)
	return len(p.parts) - 1
}

// addBytes lays out a member with the contents b.
func (p *Plan) addBytes(name string, b []byte) {
	m := &p.parts[p.add(name, int64(len(b)))]
	m.crc = checksum(b)
	p.Pieces = append(p.Pieces, tensor.Piece{Offset: m.start, Bytes: append(m.appendLocal(nil), b...)})
}

// idSize is the length of the serialization id in digits.
const idSize = 40

// serialID returns the serialization id, which distinguishes files like torch's
// own: 20 digits that hash the names of the members, and 20 that hash the
// checksums of the tensors.
func (p *Plan) serialID(sums []uint32) []byte {
	names, data := fnv.New64a(), fnv.New64a()
	for i := range p.parts {
		names.Write([]byte(p.parts[i].name + "\n"))
	}
	for _, sum := range sums {
		data.Write(binary.LittleEndian.AppendUint32(nil, sum))
	}
	return fmt.Appendf(nil, "%020d%020d", names.Sum64(), data.Sum64())
}

// Seal returns the pieces that depend on the data: the local headers, the
// serialization id and the central directory. sums holds the CRC-32 (IEEE) of
// each tensor's data, in the order of the tensors. Seal may be called more than
// once.
func (p *Plan) Seal(sums []uint32) []tensor.Piece {
	pieces := make([]tensor.Piece, 0, len(sums)+2)
	for i, k := range p.tensors {
		m := &p.parts[k]
		m.crc = sums[i]
		pieces = append(pieces, tensor.Piece{Offset: m.start, Bytes: m.appendLocal(nil)})
	}
	id := p.serialID(sums)
	m := &p.parts[p.id]
	m.crc = checksum(id)
	return append(pieces,
		tensor.Piece{Offset: m.start, Bytes: append(m.appendLocal(nil), id...)},
		tensor.Piece{Offset: p.dir, Bytes: p.appendDirectory(nil)})
}

// short returns n for a field of 32 bits. All bits set refer to the zip64
// field.
func short(n int64) uint32 { return uint32(min(n, math.MaxUint32)) }

// needed returns the version of the zip format that a member requires.
func needed(zip64 bool) uint16 {
	if zip64 {
		return 45
	}
	return 20
}

// day is 1980-01-01 in MS-DOS format, the earliest date of a zip archive. A
// constant makes files independent of the time they were written.
const day = 1<<5 | 1

// appendCommon appends the fields that local headers and entries share.
func (m *part) appendCommon(dst []byte, zip64 bool) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint16(dst, needed(zip64))
	dst = le.AppendUint16(dst, flagUTF8)
	dst = le.AppendUint16(dst, methodStored)
	dst = le.AppendUint16(dst, 0) // time
	dst = le.AppendUint16(dst, day)
	dst = le.AppendUint32(dst, m.crc)
	dst = le.AppendUint32(dst, short(m.size))
	dst = le.AppendUint32(dst, short(m.size))
	return le.AppendUint16(dst, uint16(len(m.name)))
}

// paddingID is the id of the extra field that pads a local header, as in torch.
const paddingID = 'F' | 'B'<<8

// appendLocal appends a local header, padded so that the member's data is
// aligned.
func (m *part) appendLocal(dst []byte) []byte {
	le := binary.LittleEndian
	var extra []byte
	if m.size >= math.MaxUint32 {
		extra = m.appendLong(nil, m.size, m.size)
	}
	fixed := m.start + localSize + int64(len(m.name)+len(extra)) + 4
	padding := -fixed & (alignment - 1)
	begin := len(dst)
	dst = le.AppendUint32(dst, localSignature)
	dst = m.appendCommon(dst, extra != nil)
	dst = le.AppendUint16(dst, uint16(len(extra)+4+int(padding)))
	dst = append(append(dst, m.name...), extra...)
	dst = le.AppendUint16(dst, paddingID)
	dst = le.AppendUint16(dst, uint16(padding))
	return append(dst, make([]byte, fixed+padding-m.start-int64(len(dst)-begin))...)
}

// appendLong appends a zip64 field with the given values.
func (m *part) appendLong(dst []byte, values ...int64) []byte {
	if len(values) == 0 {
		return dst
	}
	dst = binary.LittleEndian.AppendUint16(dst, zip64ID)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(8*len(values)))
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
	}
	return dst
}

// appendEntry appends the entry of the central directory.
func (m *part) appendEntry(dst []byte) []byte {
	le := binary.LittleEndian
	var long []int64
	if m.size >= math.MaxUint32 {
		long = append(long, m.size, m.size)
	}
	if m.start >= math.MaxUint32 {
		long = append(long, m.start)
	}
	extra := m.appendLong(nil, long...)
	dst = le.AppendUint32(dst, entrySignature)
	dst = le.AppendUint16(dst, needed(true)) // version made by
	dst = m.appendCommon(dst, extra != nil)
	dst = le.AppendUint16(dst, uint16(len(extra)))
	dst = append(dst, make([]byte, 10)...) // comment, disk, attributes
	dst = le.AppendUint32(dst, short(m.start))
	return append(append(dst, m.name...), extra...)
}

// appendDirectory appends the central directory and the end records. Like torch
// it always writes the zip64 end record and its locator.
func (p *Plan) appendDirectory(dst []byte) []byte {
	le := binary.LittleEndian
	for i := range p.parts {
		dst = p.parts[i].appendEntry(dst)
	}
	size := int64(len(dst))
	dst = le.AppendUint32(dst, end64Signature)
	dst = le.AppendUint64(dst, end64Size-12)
	dst = le.AppendUint16(dst, needed(true))
	dst = le.AppendUint16(dst, needed(true))
	dst = le.AppendUint64(dst, 0) // disks
	for _, n := range []int64{int64(len(p.parts)), int64(len(p.parts)), size, p.dir} {
		dst = le.AppendUint64(dst, uint64(n))
	}
	dst = le.AppendUint32(dst, locatorSignature)
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint64(dst, uint64(p.dir+size))
	dst = le.AppendUint32(dst, 1)
	dst = le.AppendUint32(dst, endSignature)
	dst = le.AppendUint32(dst, 0)
	count := uint16(min(len(p.parts), math.MaxUint16))
	dst = le.AppendUint16(dst, count)
	dst = le.AppendUint16(dst, count)
	dst = le.AppendUint32(dst, short(size))
	dst = le.AppendUint32(dst, short(p.dir))
	return le.AppendUint16(dst, 0)
}
