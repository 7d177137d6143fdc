package torchfile_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

// The tests have an archive builder of their own. Like torch it writes a
// descriptor after each member, sizes of 0 in the local headers, padding to 64
// bytes, and a zip64 end record.

// item is a member of an archive.
type item struct {
	name  string // the name within the folder
	data  string
	plain bool // no descriptor, like the members that Python's zipfile writes
	wide  bool // 64-bit sizes in an extra field, even if short sizes would do
	crc0  bool // a checksum of 0
}

// zipped is an archive with the offsets of its parts.
type zipped struct {
	b                       []byte
	local, data, after, dir map[string]int // offsets by member; after is that of the descriptor
	first                   int            // offset of the central directory
	end64, locator, end     int
}

const folder = "model/"

// build returns an archive of the given members.
func build(items ...item) *zipped {
	z := &zipped{local: map[string]int{}, data: map[string]int{}, after: map[string]int{}, dir: map[string]int{}}
	var directory []byte
	for _, m := range items {
		directory = z.add(m, directory)
	}
	z.first = len(z.b)
	for name := range z.dir {
		z.dir[name] += z.first
	}
	z.b = append(z.b, directory...)
	z.finish(uint64(len(items)), uint64(len(directory)))
	return z
}

// add appends a member to the archive, and its entry to the directory.
func (z *zipped) add(m item, directory []byte) []byte {
	le := binary.LittleEndian
	name, size, crc := folder+m.name, uint32(len(m.data)), crc32.ChecksumIEEE([]byte(m.data))
	if m.crc0 {
		crc = 0
	}
	flags := uint16(0x808)
	if m.plain || size == 0 {
		flags = 0x800
	}
	var long []byte
	if m.wide {
		long = le.AppendUint16(le.AppendUint16(nil, 1), 16)
		long = le.AppendUint64(le.AppendUint64(long, uint64(size)), uint64(size))
	}
	z.local[m.name] = len(z.b)
	head := le.AppendUint16(le.AppendUint16(nil, 0), flags)
	head = append(head, 0, 0, 0, 0, 0, 0) // stored, without a date
	fields := le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, crc), size), size)
	if m.wide {
		fields = le.AppendUint64(le.AppendUint32(nil, crc), 1<<64-1)
	}
	names := le.AppendUint16(nil, uint16(len(name)))

	begin := len(z.b) + 30 + len(name) + len(long) + 4
	padding := -begin & 63
	z.b = append(le.AppendUint32(z.b, 0x04034b50), head...)
	if flags&8 != 0 {
		z.b = append(z.b, make([]byte, 12)...)
	} else {
		z.b = append(z.b, fields...)
	}
	z.b = le.AppendUint16(append(z.b, names...), uint16(len(long)+4+padding))
	z.b = append(append(z.b, name...), long...)
	z.b = le.AppendUint16(append(z.b, "FB"...), uint16(padding))
	z.b = append(z.b, strings.Repeat("Z", padding)...)
	z.data[m.name] = len(z.b)
	z.b = append(z.b, m.data...)
	z.after[m.name] = len(z.b)
	switch {
	case flags&8 != 0 && m.wide:
		z.b = le.AppendUint32(le.AppendUint32(z.b, 0x08074b50), crc)
		z.b = le.AppendUint64(le.AppendUint64(z.b, uint64(size)), uint64(size))
	case flags&8 != 0:
		z.b = le.AppendUint32(le.AppendUint32(z.b, 0x08074b50), crc)
		z.b = le.AppendUint32(le.AppendUint32(z.b, size), size)
	}

	z.dir[m.name] = len(directory)
	directory = le.AppendUint16(le.AppendUint32(directory, 0x02014b50), 0)
	directory = append(append(append(directory, head...), fields...), names...)
	directory = le.AppendUint16(directory, uint16(len(long)))
	directory = append(directory, make([]byte, 10)...)
	directory = le.AppendUint32(directory, uint32(z.local[m.name]))
	return append(append(directory, name...), long...)
}

// finish appends the end records.
func (z *zipped) finish(count, size uint64) {
	le := binary.LittleEndian
	z.end64 = len(z.b)
	z.b = le.AppendUint64(le.AppendUint32(z.b, 0x06064b50), 44)
	z.b = append(z.b, 0x1e, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, n := range []uint64{count, count, size, uint64(z.first)} {
		z.b = le.AppendUint64(z.b, n)
	}
	z.locator = len(z.b)
	z.b = le.AppendUint64(append(z.b, 'P', 'K', 6, 7, 0, 0, 0, 0), uint64(z.end64))
	z.b = le.AppendUint32(z.b, 1)
	z.end = len(z.b)
	z.b = append(z.b, 'P', 'K', 5, 6, 0, 0, 0, 0)
	z.b = le.AppendUint16(le.AppendUint16(z.b, uint16(count)), uint16(count))
	z.b = le.AppendUint32(le.AppendUint32(z.b, uint32(size)), uint32(z.first))
	z.b = append(z.b, 0, 0)
}

func (z *zipped) put16(at int, v uint16) { binary.LittleEndian.PutUint16(z.b[at:], v) }
func (z *zipped) put32(at int, v uint32) { binary.LittleEndian.PutUint32(z.b[at:], v) }
func (z *zipped) put64(at int, v uint64) { binary.LittleEndian.PutUint64(z.b[at:], v) }

// model returns the members of a file with the given pickle, and the storages
// "0" and "1" of 24 and 64 bytes.
func model(pickle string) []item {
	numbered := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i + 1)
		}
		return string(b)
	}
	return []item{
		{name: "data.pkl", data: pickle}, {name: "byteorder", data: "little"}, {name: "data/0", data: numbered(24)},
		{name: "data/1", data: numbered(64)}, {name: "version", data: "3\n"}, {name: ".data/serialization_id", data: strings.Repeat("7", 40)},
	}
}

// withPickle returns such a file.
func withPickle(pickle string) []byte { return build(model(pickle)...).b }

// The functions below return parts of pickles. They store values in the memo
// only where a test needs it.

func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func num(n int64) string {
	switch {
	case 0 <= n && n < 256:
		return "K" + string([]byte{byte(n)})
	case n == int64(int32(n)):
		return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	}
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func tup(n ...int64) string {
	s := "("
	for _, d := range n {
		s += num(d)
	}
	return s + "t"
}

func glob(name string) string {
	at := strings.LastIndexByte(name, '.')
	return "c" + name[:at] + "\n" + name[at+1:] + "\n"
}

const (
	proto    = "\x80\x02"
	noHooks  = "ccollections\nOrderedDict\n)R"
	rebuild  = "ctorch._utils\n_rebuild_tensor_v2\n"
	rebuildP = "ctorch._utils\n_rebuild_parameter\n"
)

// stored returns a reference to a storage.
func stored(class, key string, numel int64) string {
	return "(" + text("storage") + glob("torch."+class) + text(key) + text("cpu") + num(numel) + "tQ"
}

// view returns a tensor. The mark is at the opcode whose offset its errors
// have.
func view(storage string, first int64, shape, strides []int64) string {
	return rebuild + "(" + storage + num(first) + tup(shape...) + tup(strides...) + "\x89" + noHooks + "t" + mark + "R"
}

// half returns a tensor of storage "0", which has 12 elements of two bytes.
func half(first int64, shape, strides []int64) string {
	return view(stored("HalfStorage", "0", 12), first, shape, strides)
}

type dims = []int64

// plainHalf is a tensor of the whole storage "0".
var plainHalf = unmarked(half(0, dims{3, 4}, dims{4, 1}))

// dictOf returns a pickle of a dictionary of alternating names and values.
func dictOf(pairs ...string) string {
	s := proto + "}("
	for i := 0; i < len(pairs); i += 2 {
		s += text(pairs[i]) + pairs[i+1]
	}
	return s + "u."
}

// mark marks the offset of the expected error in a pickle.
const mark = "¦"

func unmarked(s string) string { return strings.ReplaceAll(s, mark, "") }

// bad returns a row for a pickle that contains a mark, in an otherwise valid
// file.
func bad(name, pickle string, kind error, tensor string) refusaltest.Bad {
	at := strings.Index(pickle, mark)
	if at < 0 {
		panic(fmt.Sprintf("%s: no mark in %q", name, pickle))
	}
	z := build(model(strings.Replace(pickle, mark, "", 1))...)
	return refusaltest.Bad{Name: name, Bytes: z.b, Kind: kind, Offset: int64(z.data["data.pkl"] + at), Tensor: tensor}
}
