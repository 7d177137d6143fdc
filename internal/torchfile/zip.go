package torchfile

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
)

// The signatures of the records of a zip archive, and the sizes of their fixed
// parts in bytes.
const (
	localSignature      = 0x04034b50
	descriptorSignature = 0x08074b50
	entrySignature      = 0x02014b50
	end64Signature      = 0x06064b50
	locatorSignature    = 0x07064b50
	endSignature        = 0x06054b50

	localSize   = 30
	entrySize   = 46
	end64Size   = 56
	locatorSize = 20
	endSize     = 22
)

// The flags of a member. flagDescriptor means that a record with the checksum
// and the sizes follows the data. flagUTF8 means that the name is UTF-8.
// Members with one of flagsEncrypted are encrypted.
const (
	flagDescriptor = 1 << 3
	flagUTF8       = 1 << 11
	flagsEncrypted = 1<<0 | 1<<6 | 1<<13
)

const (
	methodStored  = 0
	methodDeflate = 8
)

// zip64ID is the id of the extra field with the values that do not fit in 32
// bits.
const zip64ID = 1

// member is one member of the archive.
type member struct {
	name  string
	at    int64 // the file offset of its entry in the central directory
	start int64 // the file offset of its local header
	data  int64 // the file offset of its data
	size  int64
	crc   uint32
	flags uint16
}

// archive is a zip archive whose members cover the file.
type archive struct {
	r         io.ReaderAt
	size      int64
	dir, ends int64 // the file offsets of the start and the end of the central directory
	count     int64
	members   []member           // in the order of their data
	byName    map[string]*member // keyed by the name in lower case
	root      string             // the folder of all members, without a slash
	pickle    *member
	unchecked bool
}

func (z *archive) open() error {
	if err := z.readEnd(); err != nil {
		return err
	}
	if err := z.readDirectory(); err != nil {
		return err
	}
	if err := z.readLocals(); err != nil {
		return err
	}
	if z.pickle = z.member("data.pkl"); z.pickle == nil {
		return refusal.Malformed(z.dir, "", "member %q is not in the zip archive", z.root+"/data.pkl")
	}
	return z.checkSums()
}

// readDirectory reads all entries of the central directory.
func (z *archive) readDirectory() error {
	if z.count == 0 {
		return refusal.Malformed(z.dir, "", "the zip archive has no members")
	}
	z.members = make([]member, 0, z.count)
	z.byName = make(map[string]*member, z.count)
	c := bounded.NewCursor(z.r, z.dir, z.ends)
	for range z.count {
		m, err := z.readEntry(c)
		if err != nil {
			return err
		}
		if err := z.checkName(&m); err != nil {
			return err
		}
		z.members = append(z.members, m)
		// Reserve the name so that checkName finds duplicates. The pointer is
		// set below, once sorting has fixed the position of the member.
		z.byName[strings.ToLower(m.name)] = nil
	}
	if c.Left() > 0 {
		return refusal.Malformed(c.Offset(), "", "%d unexpected bytes follow the last entry of the central directory", c.Left())
	}
	slices.SortFunc(z.members, func(a, b member) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.at, b.at)) })
	for i := range z.members {
		z.byName[strings.ToLower(z.members[i].name)] = &z.members[i]
	}
	return nil
}

func (z *archive) readEntry(c *bounded.Cursor) (member, error) {
	m := member{at: c.Offset()}
	h, err := c.Bytes(entrySize)
	if err != nil {
		return m, err
	}
	// The cursor's window is valid only until the next read.
	h = append(make([]byte, 0, entrySize), h...)
	if got := u32(h, 0); got != entrySignature {
		return m, refusal.Malformed(m.at, "", "an entry of the central directory has signature %#08x, want %#08x", got, entrySignature)
	}
	name, err := c.Bytes(int64(u16(h, 28)))
	if err != nil {
		return m, err
	}
	m.name = string(name)
	extra, err := c.Bytes(int64(u16(h, 30)))
	if err != nil {
		return m, err
	}
	m.flags, m.crc = u16(h, 8), u32(h, 16)
	if err := m.checkScript(); err != nil {
		return m, err
	}
	if err := m.checkMethod(m.flags, u16(h, 10)); err != nil {
		return m, err
	}
	if u16(h, 32) != 0 || u16(h, 34) != 0 {
		return m, refusal.Malformed(m.at+32, "", "member %.100q has a comment or is on another disk", m.name)
	}
	return m, z.setExtent(&m, h, extra)
}

func (m *member) checkMethod(flags, method uint16) error {
	switch {
	case flags&flagsEncrypted != 0:
		return refusal.Unsupported(m.at+8, "", "member %.100q is encrypted", m.name)
	case method == methodDeflate:
		return refusal.Unsupported(m.at+10, "", "member %.100q is deflated, but torch writes uncompressed members", m.name)
	case method != methodStored:
		return refusal.Unsupported(m.at+10, "", "member %.100q is compressed with method %d", m.name, method)
	case flags&^(flagDescriptor|flagUTF8) != 0:
		return refusal.Unsupported(m.at+8, "", "member %.100q has the unknown flags %#x", m.name, flags)
	}
	return nil
}

// setExtent takes the size and the start of a member from its entry, or from
// the extra field of the entry for values that do not fit in 32 bits.
func (z *archive) setExtent(m *member, h, extra []byte) error {
	long, err := zip64Field(extra, m.at+entrySize+int64(len(m.name)))
	if err != nil {
		return err
	}
	var values [3]uint64 // size, compressed size, start
	for i, at := range []int{24, 20, 42} {
		values[i] = uint64(u32(h, at))
		if values[i] == math.MaxUint32 && len(long) >= 8 {
			values[i], long = binary.LittleEndian.Uint64(long), long[8:]
		}
	}
	switch {
	case len(long) > 0:
		return refusal.Malformed(m.at, "", "member %.100q has a zip64 field with more values than its entry refers to", m.name)
	case values[0] != values[1]:
		return refusal.Malformed(m.at+20, "", "member %.100q is uncompressed, but has two sizes, %d and %d", m.name, values[1], values[0])
	case values[0] > uint64(z.dir):
		return refusal.Malformed(m.at+24, "", "member %.100q of %d bytes does not fit in the file", m.name, values[0])
	case values[2] > uint64(z.dir):
		return refusal.Malformed(m.at+42, "", "member %.100q begins at %d, after the start of the central directory", m.name, values[2])
	}
	m.size, m.start = int64(values[0]), int64(values[2])
	return nil
}

// zip64Field returns the body of the zip64 extra field, or nil if there is
// none. extra consists of records, which must fill it exactly. It begins at
// file offset off.
func zip64Field(extra []byte, off int64) (long []byte, err error) {
	for i := 0; i < len(extra); {
		if len(extra)-i < 4 || int(u16(extra, i+2)) > len(extra)-i-4 {
			return nil, refusal.Malformed(off+int64(i), "", "the extra field ends in the middle of a record")
		}
		body := extra[i+4:][:u16(extra, i+2)]
		if u16(extra, i) == zip64ID {
			if long != nil || len(body)%8 != 0 || len(body) == 0 || len(body) > 24 {
				return nil, refusal.Malformed(off+int64(i), "", "the zip64 field of %d bytes is of the wrong size or the second one", len(body))
			}
			long = body
		}
		i += 4 + len(body)
	}
	return long, nil
}

// checkName checks that a member is in the same folder as all others, and that
// its name is unique on every file system.
func (z *archive) checkName(m *member) error {
	at := m.at + entrySize
	if !validName(m.name) {
		return refusal.Malformed(at, "", "the member name %.100q is not a valid path", m.name)
	}
	root, _, ok := strings.Cut(m.name, "/")
	if !ok {
		return refusal.Malformed(at, "", "member %.100q is not in a folder", m.name)
	}
	if z.root == "" {
		z.root = root
	}
	if root != z.root {
		return refusal.Malformed(at, "", "member %.100q is outside the folder %.100q", m.name, z.root)
	}
	if _, dup := z.byName[strings.ToLower(m.name)]; dup {
		return refusal.Malformed(at, "", "two members have the name %.100q, ignoring letter case", m.name)
	}
	return nil
}

// validName reports whether a path is UTF-8 without control characters and
// backslashes, and without empty elements, "." and "..".
func validName(name string) bool {
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
		return false
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == "" || element == "." || element == ".." {
			return false
		}
	}
	return true
}

// member returns the member with the given name in the folder, or nil if there
// is none.
func (z *archive) member(name string) *member {
	name = z.root + "/" + name
	if m := z.byName[strings.ToLower(name)]; m != nil && m.name == name {
		return m
	}
	return nil
}

// checkScript refuses TorchScript archives, which contain a folder of code, and
// constants.
func (m *member) checkScript() error {
	_, rest, _ := strings.Cut(m.name, "/")
	if rest == "constants.pkl" || strings.HasPrefix(rest, "code/") {
		return refusal.Unsupported(m.at, "", "the file is a TorchScript archive with the member %.100q: save the model's state_dict() instead", m.name)
	}
	return nil
}

// checkSums finds out whether the whole archive was written without checksums,
// and refuses one that lacks only some of them.
func (z *archive) checkSums() error {
	z.unchecked = !slices.ContainsFunc(z.members, func(m member) bool { return m.crc != 0 })
	for i := range z.members {
		m := &z.members[i]
		if m.size == 0 && m.crc != 0 {
			return refusal.Malformed(m.at+16, "", "member %.100q is empty, but its checksum is %08x", m.name, m.crc)
		}
		if m.size > 0 && m.crc == 0 && !z.unchecked {
			return refusal.Malformed(m.at+16, "", "member %.100q has no checksum, but other members have one", m.name)
		}
	}
	return nil
}

// read reads and checks a member of at most limit bytes.
func (z *archive) read(m *member, limit int64) ([]byte, error) {
	if m.size > limit {
		return nil, refusal.Unsupported(m.at+24, "", "member %.100q has %d bytes, which exceeds the limit of %d", m.name, m.size, limit)
	}
	b := make([]byte, m.size)
	if err := bounded.ReadFull(z.r, b, m.data); err != nil {
		return nil, &refusal.Error{Offset: m.data, Err: err}
	}
	if sum := crc32.ChecksumIEEE(b); sum != m.crc && !z.unchecked {
		return nil, refusal.Malformed(m.data, "", "member %.100q has checksum %08x, but its entry says %08x", m.name, sum, m.crc)
	}
	return b, nil
}

func u16(b []byte, at int) uint16 { return binary.LittleEndian.Uint16(b[at:]) }
func u32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func u64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
