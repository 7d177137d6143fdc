package torchfile_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

// change returns a row for a valid archive that f modifies. f returns the
// offset of the expected error.
func change(name string, kind error, f func(z *zipped) int) refusaltest.Bad {
	items := model(dictOf("w", plainHalf))
	items[3].plain, items[4].wide = true, true // data/1, version
	z := build(items...)
	at := f(z)
	return refusaltest.Bad{Name: name, Bytes: z.b, Kind: kind, Offset: int64(at)}
}

// with returns a row for an archive of the given members. at returns the offset
// of the expected error.
func with(name string, kind error, items []item, at func(z *zipped) int) refusaltest.Bad {
	z := build(items...)
	return refusaltest.Bad{Name: name, Bytes: z.b, Kind: kind, Offset: int64(at(z))}
}

// entryOf returns the offset of the name in the entry of a member.
func entryOf(name string) func(z *zipped) int {
	return func(z *zipped) int { return z.dir[name] + 46 }
}

func TestBadEnds(t *testing.T) {
	bad := func(name string, f func(z *zipped) int) refusaltest.Bad { return change(name, refusal.ErrMalformed, f) }
	refusaltest.Run(t, []refusaltest.Bad{
		{Name: "empty", Kind: io.ErrUnexpectedEOF},
		{Name: "one byte of a zip", Bytes: []byte("P"), Kind: io.ErrUnexpectedEOF, Offset: 1},
		{Name: "no zip", Bytes: []byte("{}"), Kind: refusal.ErrMalformed},
		{Name: "no zip, long", Bytes: bytes.Repeat([]byte("safetensors"), 100), Kind: refusal.ErrMalformed},
		{Name: "a safetensors file", Bytes: []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}" + strings.Repeat(" ", 30)), Kind: refusal.ErrMalformed},
		{Name: "no files", Bytes: append([]byte("PK\x05\x06"), make([]byte, 18)...), Kind: refusal.ErrMalformed},
		{Name: "torch's legacy format", Bytes: []byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."), Kind: refusal.ErrUnsupported},
		{Name: "torch's legacy format, protocol 4", Bytes: []byte("\x80\x04\x95\x0d\x00\x00\x00\x00\x00\x00\x00\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x04M\xe9\x03."), Kind: refusal.ErrUnsupported},
		{Name: "torch's legacy tar", Bytes: []byte("sys_info" + strings.Repeat("\x00", 249) + "ustar\x0000" + strings.Repeat("\x00", 600)), Kind: refusal.ErrUnsupported},
		{Name: "a bare pickle", Bytes: []byte(dictOf("w", "N")), Kind: refusal.ErrMalformed},
		bad("a byte before", func(z *zipped) int { z.b = append([]byte("#"), z.b...); return z.end64 + 1 + 76 - 20 + 8 }),
		bad("a byte after", func(z *zipped) int { z.b = append(z.b, 0); return len(z.b) - 1 }),
		bad("a thousand bytes after", func(z *zipped) int { z.b = append(z.b, make([]byte, 1000)...); return len(z.b) - 1000 }),
		bad("a second zip after", func(z *zipped) int { z.b = append(z.b, z.b...); return len(z.b)/2 + z.locator + 8 }),
		bad("a comment", func(z *zipped) int { z.put16(z.end+20, 3); z.b = append(z.b, "abc"...); return len(z.b) - 3 }),
		bad("a comment that is not there", func(z *zipped) int { z.put16(z.end+20, 3); return z.end + 20 }),
		bad("this disk is 1", func(z *zipped) int { z.put16(z.end+4, 1); return z.end + 4 }),
		bad("the directory's disk is 1", func(z *zipped) int { z.put16(z.end+6, 1); return z.end + 4 }),
		bad("entries on other disks", func(z *zipped) int { z.put16(z.end+8, 5); return z.end + 4 }),
		bad("count differs from zip64's", func(z *zipped) int { z.put16(z.end+8, 5); z.put16(z.end+10, 5); return z.end64 + 32 }),
		bad("size differs from zip64's", func(z *zipped) int { z.put32(z.end+12, 7); return z.end64 + 40 }),
		bad("place differs from zip64's", func(z *zipped) int { z.put32(z.end+16, 7); return z.end64 + 48 }),
		bad("zip64 record elsewhere", func(z *zipped) int { z.put64(z.locator+8, 0); return z.locator + 8 }),
		bad("zip64 record at 2^64-1", func(z *zipped) int { z.put64(z.locator+8, 1<<64-1); return z.locator + 8 }),
		bad("zip64 record with another signature", func(z *zipped) int { z.b[z.end64]++; return z.locator + 8 }),
		bad("zip64 record is longer", func(z *zipped) int { z.put64(z.end64+4, 45); return z.end64 + 4 }),
		bad("zip64 record of 2^64-1", func(z *zipped) int { z.put64(z.end64+4, 1<<64-1); return z.end64 + 4 }),
		bad("zip64 record on disk 1", func(z *zipped) int { z.put32(z.end64+16, 1); return z.end64 + 16 }),
		bad("zip64 directory on disk 1", func(z *zipped) int { z.put32(z.end64+20, 1); return z.end64 + 16 }),
		bad("zip64 counts differ", func(z *zipped) int { z.put64(z.end64+24, 5); return z.end64 + 16 }),
		bad("locator on disk 1", func(z *zipped) int { z.put32(z.locator+4, 1); return z.locator + 4 }),
		bad("two disks", func(z *zipped) int { z.put32(z.locator+16, 2); return z.locator + 4 }),
		bad("no locator", func(z *zipped) int { z.b[z.locator]++; return z.end }),
		bad("zip64 says 2^64-1 entries", func(z *zipped) int { return setEnd64(z, 32, 1<<64-1) }),
		bad("zip64 says 2^63 entries", func(z *zipped) int { return setEnd64(z, 32, 1<<63) }),
		bad("zip64 says a directory of 2^64-1 bytes", func(z *zipped) int { return setEnd64(z, 40, 1<<64-1) }),
		bad("zip64 says a directory at 2^64-1", func(z *zipped) int { return setEnd64(z, 48, 1<<64-1) }),
		bad("zip64 says a directory at 0", func(z *zipped) int { return setEnd64(z, 48, 0) }),
		bad("one entry fewer", func(z *zipped) int { z.setCount(5); return z.dir[".data/serialization_id"] }),
		change("one entry more", io.ErrUnexpectedEOF, func(z *zipped) int { z.setCount(7); return z.end64 }),
		bad("an entry's signature", func(z *zipped) int { z.b[z.dir["version"]]++; return z.dir["version"] }),
	}, read)
}

// setEnd64 changes a 64-bit value of the zip64 end record and makes the end
// record refer to it.
func setEnd64(z *zipped, field int, v uint64) int {
	z.put64(z.end64+field, v)
	if field == 32 {
		z.put64(z.end64+24, v)
	}
	copy(z.b[z.end+8:], bytes.Repeat([]byte{0xff}, 12))
	return z.end64
}

// setCount changes the number of entries in both end records.
func (z *zipped) setCount(n uint16) {
	z.put16(z.end+8, n)
	z.put16(z.end+10, n)
	z.put64(z.end64+24, uint64(n))
	z.put64(z.end64+32, uint64(n))
}

func TestBadEntries(t *testing.T) {
	m, u := refusal.ErrMalformed, refusal.ErrUnsupported
	// at returns a row that changes a field of the entry of data/0. The error
	// has the offset noticed from the start of the entry.
	at := func(name string, kind error, field, noticed int, v uint32, wide bool) refusaltest.Bad {
		return change(name, kind, func(z *zipped) int {
			if e := z.dir["data/0"] + field; wide {
				z.put32(e, v)
			} else {
				z.put16(e, uint16(v))
			}
			return z.dir["data/0"] + noticed
		})
	}
	refusaltest.Run(t, []refusaltest.Bad{
		at("encrypted", u, 8, 8, 0x809, false),
		at("strongly encrypted", u, 8, 8, 0x849, false),
		at("masked", u, 8, 8, 0x2808, false),
		at("patched", u, 8, 8, 0x828, false),
		at("deflated", u, 10, 10, 8, false),
		at("deflated by method 9", u, 10, 10, 9, false),
		at("zstd", u, 10, 10, 93, false),
		at("two sizes", m, 20, 20, 25, true),
		at("a size with all bits set without zip64", m, 24, 20, 1<<32-1, true),
		at("offset with all bits set without zip64", m, 42, 42, 1<<32-1, true),
		at("offset beyond the directory", m, 42, 42, 1<<20, true),
		at("comment", m, 32, 32, 1, false),
		at("another disk", m, 34, 32, 1, false),
		at("name over the directory", io.ErrUnexpectedEOF, 28, 46, 65535, false),
		at("extra field over the directory", io.ErrUnexpectedEOF, 30, 46+len(folder)+6, 65535, false),
	}, read)
}

func TestBadEntrySizes(t *testing.T) {
	m := refusal.ErrMalformed
	refusaltest.Run(t, []refusaltest.Bad{
		change("two sizes refer to zip64, which has one", m, func(z *zipped) int {
			e := z.dir["version"]
			z.put32(e+42, 1<<32-1)
			return e + 42
		}),
		change("zip64 field without a reference to it", m, func(z *zipped) int {
			e := z.dir["version"]
			z.put32(e+20, 2)
			z.put32(e+24, 2)
			return e
		}),
		change("zip64 size of 2^64-1", m, func(z *zipped) int {
			e := z.dir["version"] + 46 + len(folder+"version") + 4
			z.put64(e, 1<<64-1)
			z.put64(e+8, 1<<64-1)
			return z.dir["version"] + 24
		}),
		change("zip64 sizes that differ", m, func(z *zipped) int {
			z.put64(z.dir["version"]+46+len(folder+"version")+4, 3)
			return z.dir["version"] + 20
		}),
		change("zip64 field of 15 bytes", m, func(z *zipped) int {
			e := z.dir["version"] + 46 + len(folder+"version")
			z.put16(e+2, 15)
			return e
		}),
		change("extra field that ends in a record", m, func(z *zipped) int {
			e := z.dir["version"] + 46 + len(folder+"version")
			z.put16(e, 0x7777)
			z.put16(e+2, 17)
			return e
		}),
		change("size over the file", m, func(z *zipped) int {
			z.put32(z.dir["data/0"]+20, 1<<30)
			z.put32(z.dir["data/0"]+24, 1<<30)
			return z.dir["data/0"] + 24
		}),
	}, read)
}

func TestBadEntryChecksums(t *testing.T) {
	m := refusal.ErrMalformed
	refusaltest.Run(t, []refusaltest.Bad{
		change("no checksum, although others have one", m, func(z *zipped) int {
			z.put32(z.dir["data/0"]+16, 0)
			z.put32(z.after["data/0"]+4, 0)
			return z.dir["data/0"] + 16
		}),
		with("an empty member with a checksum", m, append(model(dictOf("w", plainHalf)), item{name: "data/2", plain: true}), func(z *zipped) int {
			z.put32(z.dir["data/2"]+16, 7)
			z.put32(z.local["data/2"]+14, 7)
			return z.dir["data/2"] + 16
		}),
		with("no checksum of data.pkl", m, func() []item {
			items := model(dictOf("w", plainHalf))
			items[0].crc0 = true
			return items
		}(), func(z *zipped) int { return z.dir["data.pkl"] + 16 }),
	}, read)
}

func TestBadOffsets(t *testing.T) {
	m := refusal.ErrMalformed
	// again gives one member the offset of another.
	again := func(z *zipped, who, where string) { z.put32(z.dir[who]+42, uint32(z.local[where])) }
	refusaltest.Run(t, []refusaltest.Bad{
		change("two members at the same offset", m, func(z *zipped) int {
			again(z, "data/1", "data/0")
			return z.dir["data/1"] + 42
		}),
		change("a member within another", m, func(z *zipped) int {
			z.put32(z.dir["data/1"]+42, uint32(z.data["data/0"]))
			return z.dir["data/1"] + 42
		}),
		change("a local header that is not there", m, func(z *zipped) int { z.b[z.local["data/1"]]++; return z.local["data/1"] }),
		change("a gap", m, func(z *zipped) int {
			z.put32(z.dir["byteorder"]+42, uint32(z.local["byteorder"]+1))
			return z.local["byteorder"]
		}),
		change("the first member is not at 0", m, func(z *zipped) int { z.put32(z.dir["data.pkl"]+42, 1); return 0 }),
		change("bytes before the directory", m, func(z *zipped) int {
			at := z.first
			z.b = append(z.b[:at:at], append([]byte("gap"), z.b[at:]...)...)
			z.put64(z.end64+3+48, uint64(at+3))
			z.put64(z.locator+3+8, uint64(z.end64+3))
			z.put32(z.end+3+16, uint32(at+3))
			return at
		}),
		change("a shorter member", m, func(z *zipped) int {
			z.put32(z.dir["data/0"]+20, 23)
			z.put32(z.dir["data/0"]+24, 23)
			return z.after["data/0"] - 1
		}),
		change("a longer member", m, func(z *zipped) int {
			z.put32(z.dir["data/0"]+20, 25)
			z.put32(z.dir["data/0"]+24, 25)
			return z.after["data/0"] + 1
		}),
		change("a longer member without a descriptor", m, func(z *zipped) int {
			for _, at := range []int{z.dir["data/1"] + 20, z.dir["data/1"] + 24, z.local["data/1"] + 18, z.local["data/1"] + 22} {
				z.put32(at, 65)
			}
			return z.dir["version"] + 42
		}),
	}, read)
}

func TestBadLocals(t *testing.T) {
	m := refusal.ErrMalformed
	// at returns a row that changes a field of a local header. The error has
	// the offset noticed from the start of the header.
	at := func(name, member string, field, noticed int, v uint32, wide bool) refusaltest.Bad {
		return change(name, m, func(z *zipped) int {
			if h := z.local[member] + field; wide {
				z.put32(h, v)
			} else {
				z.put16(h, uint16(v))
			}
			return z.local[member] + noticed
		})
	}
	refusaltest.Run(t, []refusaltest.Bad{
		at("other flags", "data/0", 6, 6, 0x800, false),
		at("another method", "data/0", 8, 6, 8, false),
		at("another checksum", "data/1", 14, 14, 7, true),
		at("no checksum without a descriptor", "data/1", 14, 14, 0, true),
		at("another checksum before a descriptor", "data/0", 14, 14, 7, true),
		at("another size", "data/1", 18, 14, 7, true),
		at("another size, uncompressed", "data/1", 22, 14, 7, true),
		at("no size without a descriptor", "data/1", 22, 14, 0, true),
		at("another size before a descriptor", "data/0", 22, 14, 7, true),
		at("one size of all ones", "data/0", 22, 14, 1<<32-1, true),
		change("sizes of all ones without zip64", m, func(z *zipped) int {
			z.put64(z.local["data/0"]+18, 1<<64-1)
			return z.local["data/0"] + 14
		}),
		at("another name", "data/0", 30, 30, 'M'|'o'<<8, false),
		at("another length of the name", "data/0", 26, 30, 3, false),
		at("an extra field that ends in a record", "data/0", 28, 30+len(folder)+6, 3, false),
		change("another long size", m, func(z *zipped) int {
			z.put64(z.local["version"]+30+len(folder+"version")+4, 3)
			return z.local["version"] + 14
		}),
		change("a second zip64 field", m, func(z *zipped) int {
			at := z.local["version"] + 30 + len(folder+"version") + 20
			z.put16(at, 1)
			return at
		}),
		change("descriptor's signature", m, func(z *zipped) int { z.b[z.after["data/0"]]++; return z.after["data/0"] }),
		change("descriptor's checksum", m, func(z *zipped) int { z.b[z.after["data/0"]+4]++; return z.after["data/0"] }),
		change("descriptor's stored size", m, func(z *zipped) int { z.b[z.after["data/0"]+8]++; return z.after["data/0"] }),
		change("descriptor's size", m, func(z *zipped) int { z.b[z.after["data/0"]+12]++; return z.after["data/0"] }),
		change("long descriptor's size", m, func(z *zipped) int { z.b[z.after["version"]+23]++; return z.after["version"] }),
		change("data.pkl's checksum is wrong", m, func(z *zipped) int { z.b[z.data["data.pkl"]+20]++; return z.data["data.pkl"] }),
		change("version's checksum is wrong", m, func(z *zipped) int { z.b[z.data["version"]]++; return z.data["version"] }),
		change("the serialization id's checksum is wrong", m, func(z *zipped) int {
			z.b[z.data[".data/serialization_id"]]++
			return z.data[".data/serialization_id"]
		}),
	}, read)
}

func TestBadMembers(t *testing.T) {
	m, u := refusal.ErrMalformed, refusal.ErrUnsupported
	base := func(more ...item) []item { return append(model(dictOf("w", plainHalf)), more...) }
	without := func(name string) []item {
		var kept []item
		for _, x := range base() {
			if x.name != name {
				kept = append(kept, x)
			}
		}
		return kept
	}
	instead := func(name, data string) []item { return append(without(name), item{name: name, data: data}) }
	directory := func(z *zipped) int { return z.first }
	var rows []refusaltest.Bad
	for _, name := range []string{
		"", "../evil", "data/../../evil", "./data/9", "data//9", "data/", "/etc/passwd", "data/.", "data\\9", "data/\x009", "data/9\n", "data/\x7f", "data/\xff", "..",
	} {
		rows = append(rows, with("name "+name, m, base(item{name: name, data: "x"}), entryOf(name)))
	}
	refusaltest.Run(t, append(rows,
		with("a name twice", m, base(item{name: "data/5", data: "x"}, item{name: "data/5", data: "x"}), entryOf("data/5")),
		with("data.pkl twice", m, base(item{name: "data.pkl", data: proto + "}."}), entryOf("data.pkl")),
		with("names that differ in letter case", m, base(item{name: "DATA/0", data: "x"}), entryOf("DATA/0")),
		with("data.pkl in other letter case", m, base(item{name: "Data.PKL", data: "x"}), entryOf("Data.PKL")),
		with("no data.pkl", m, without("data.pkl"), directory),
		with("data.pkl only in other letter case", m, append(without("data.pkl"), item{name: "DATA.pkl", data: proto + "}."}), directory),
		with("no version", m, without("version"), directory),
		with("version is not a number", m, instead("version", "three"), func(z *zipped) int { return z.data["version"] }),
		with("version is empty", m, instead("version", ""), func(z *zipped) int { return z.data["version"] }),
		with("version 0", u, instead("version", "0"), func(z *zipped) int { return z.data["version"] }),
		with("version 11", u, instead("version", "11\n"), func(z *zipped) int { return z.data["version"] }),
		with("version of 2 KiB", u, instead("version", strings.Repeat("1", 2048)), func(z *zipped) int { return z.dir["version"] + 24 }),
		with("big-endian", u, instead("byteorder", "big"), func(z *zipped) int { return z.data["byteorder"] }),
		with("no byte order", m, instead("byteorder", "middle"), func(z *zipped) int { return z.data["byteorder"] }),
		with("TorchScript's code", u, base(item{name: "code/__torch__.py", data: "x"}), func(z *zipped) int { return z.dir["code/__torch__.py"] }),
		with("TorchScript's code, which is deflated", u, base(item{name: "code/__torch__.py", data: "x"}), func(z *zipped) int {
			z.put16(z.dir["code/__torch__.py"]+10, 8)
			return z.dir["code/__torch__.py"]
		}),
		with("TorchScript's constants", u, base(item{name: "constants.pkl", data: "x"}), func(z *zipped) int { return z.dir["constants.pkl"] }),
		refusaltest.Bad{Name: "another folder", Bytes: otherFolder(), Kind: m, Offset: int64(bytes.LastIndex(otherFolder(), []byte("mOdel/version")))},
		refusaltest.Bad{Name: "no folder", Bytes: bytes.ReplaceAll(build(base()...).b, []byte(folder), []byte("model_")), Kind: m,
			Offset: int64(build(base()...).dir["data.pkl"] + 46)},
	), read)
}

// otherFolder returns an archive with one member in another folder.
func otherFolder() []byte {
	return bytes.ReplaceAll(build(model(dictOf("w", plainHalf))...).b, []byte(folder+"version"), []byte("mOdel/version"))
}
