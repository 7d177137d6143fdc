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

// alignment is that of the members' bytes in the file, as torch's.
const alignment = 64

// maxSize keeps sums of sizes far from overflow.
const maxSize = math.MaxInt64 / 4

// Plan is a zip laid out before its elements are known: a dictionary of
// contiguous tensors, each with a storage of its own, as torch.save writes it.
type Plan struct {
	Pieces  []tensor.Piece // what does not depend on the elements
	Offsets []int64        // of each tensor's data in the file, in the order given
	Size    int64          // of the file

	parts   []part
	tensors []int // the part of each tensor
	id      int   // the part of the serialization id
	dir     int64
}

// part is a member that is to be written.
type part struct {
	name              string
	start, data, size int64
	crc               uint32
}

// NewPlan lays out a file for tensors, of which Name, DType and Shape are
// used, in their order. root is the name of the folder in the zip, which is
// the file's without extension when torch writes it: "consolidated.00",
// "pytorch_model".
//
// The file is whole when Pieces, each tensor's data at its place in Offsets
// (little-endian, row by row), and what Seal returns have been written.
func NewPlan(root string, tensors []tensor.Tensor) (*Plan, error) {
	if !validName(root) || strings.Contains(root, "/") || len(root) > 1000 {
		return nil, refusal.Malformed(0, "", "%.100q is no name for the folder in the zip", root)
	}
	if err := checkTensors(tensors); err != nil {
		return nil, err
	}
	pickle := appendPickle(nil, tensors)
	if len(pickle) > maxPickle {
		return nil, refusal.Unsupported(0, "", "data.pkl of %d tensors has %d bytes, more than the %d that are read", len(tensors), len(pickle), maxPickle)
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
	p.dir = p.Size
	p.Size += int64(len(p.appendDirectory(nil)))
	return p, nil
}

// checkTensors refuses what could not be read again under the same names.
func checkTensors(tensors []tensor.Tensor) error {
	seen := make(map[string]struct{}, len(tensors))
	total, letters := int64(0), 0
	for i := range tensors {
		t := &tensors[i]
		if letters += len(t.Name); letters > maxPickle {
			return refusal.Unsupported(0, "", "names of %d tensors are longer than the %d bytes of data.pkl that are read", i+1, maxPickle)
		}
		if _, dup := seen[t.Name]; dup {
			return refusal.Malformed(0, t.Name, "two tensors have this name")
		}
		seen[t.Name] = struct{}{}
		if !utf8.ValidString(t.Name) {
			return refusal.Malformed(0, t.Name, "a tensor cannot have this name")
		}
		if storageClass[t.DType] == "" {
			return refusal.Unsupported(0, t.Name, "torch's zips have no class of storages for %q", t.DType)
		}
		n, ok := t.DType.Bytes(t.Shape)
		if total += n; !ok || total > maxSize || len(t.Shape) > maxRank {
			return refusal.Malformed(0, t.Name, "%s %s has no valid size", t.DType, brief(t.Shape))
		}
	}
	return nil
}

// add places a member and returns its number.
func (p *Plan) add(name string, size int64) int {
	m := part{name: name, start: p.Size, size: size}
	m.data = m.start + int64(len(m.appendLocal(nil)))
	p.Size = m.data + size
	p.parts = append(p.parts, m)
	return len(p.parts) - 1
}

// addBytes places a member of known bytes.
func (p *Plan) addBytes(name string, b []byte) {
	m := &p.parts[p.add(name, int64(len(b)))]
	m.crc = checksum(b)
	p.Pieces = append(p.Pieces, tensor.Piece{Offset: m.start, Bytes: append(m.appendLocal(nil), b...)})
}

// idSize is the length of the serialization id in digits.
const idSize = 40

// serialID tells files apart, as torch's own: 20 digits of the members' names
// and 20 of the tensors' checksums.
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

// Seal returns the bytes that depend on the CRC-32 (IEEE) of each tensor's
// data, which are given in the tensors' order: the local headers, the
// serialization id and the directory. It may be called more than once.
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

// short is a number in a field of 32 bits: all ones ask for the zip64 field.
func short(n int64) uint32 { return uint32(min(n, math.MaxUint32)) }

// needed is the version of the zip format that a member asks for.
func needed(zip64 bool) uint16 {
	if zip64 {
		return 45
	}
	return 20
}

// day is 1980-01-01, the first that zips know: files do not depend on the
// time they were written.
const day = 1<<5 | 1

// appendCommon writes the fields that a local header and an entry share.
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

// paddingID marks the extra field that fills a local header up, as torch's.
const paddingID = 'F' | 'B'<<8

// appendLocal writes a local header, which is padded so that the member's
// bytes begin at a multiple of the alignment.
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

// appendLong writes the zip64 field.
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

// appendEntry writes the directory's entry.
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
	dst = le.AppendUint16(dst, needed(true)) // made by
	dst = m.appendCommon(dst, extra != nil)
	dst = le.AppendUint16(dst, uint16(len(extra)))
	dst = append(dst, make([]byte, 10)...) // comment, disk, attributes
	dst = le.AppendUint32(dst, short(m.start))
	return append(append(dst, m.name...), extra...)
}

// appendDirectory writes the directory and, as torch always does, the end
// records with long numbers before the short one.
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
