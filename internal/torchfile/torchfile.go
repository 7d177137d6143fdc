// Package torchfile reads and writes PyTorch's checkpoints (.pth, .pt, .bin):
// a zip of stored members, of which data.pkl is a pickled dictionary of
// tensors and data/0, data/1, … hold their elements.
//
// The zip is read by rules of our own, for torch's reader and archive/zip
// take files that mean one thing to one program and another to the next: the
// members must cover the file without gaps or overlaps, have one folder and
// names that differ in more than letter case, be stored as they are, and say
// the same in their local header as in the directory. The pickle is not
// executed: a machine without any means of calling something follows it, and
// knows the few globals that a dictionary of tensors is made of.
//
// torch's format of before version 1.6, TorchScript archives and big-endian
// files are unsupported. Sources: APPNOTE.TXT 6.3 of PKWARE,
// pickletools.py of Python 3, and what torch 2.15 writes.
package torchfile

import (
	"io"
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// File is what a torch zip holds.
type File struct {
	// Tensors are those in the dictionary and in the dictionaries within it,
	// in their order; the keys of nested ones are joined by ".". Tensors in
	// lists have no name and are left out, as is all that is no tensor.
	Tensors []tensor.Tensor

	// Storages are the members that hold elements, in the file's order.
	Storages []Storage

	// Unchecked tells that every checksum in the zip is 0: it was written
	// with torch's checksums off.
	Unchecked bool
}

// Storage is one member of elements. Read does not touch them: whoever reads
// all of one compares its checksum, unless the file is Unchecked.
type Storage struct {
	Name         string // of the member, with its folder
	Offset, Size int64  // of its bytes in the file
	CRC32        uint32 // as the zip gives it: IEEE, of these bytes
}

// maxPickle bounds data.pkl: one of a million tensors takes half of it.
const maxPickle = 256 << 20

// maxSmall bounds the members of a few letters.
const maxSmall = 1 << 10

// The cost of what a pickle builds is bounded by budgetBase and budgetFactor
// times the file's size; with the zip's own tables it stays below the law of
// 1 MiB and 32 times the size.
const (
	budgetBase   = 256 << 10
	budgetFactor = 24
)

// Read reads the structure of a file of size bytes and checks all of it; no
// element is read. The tensors' readers use r.
//
// Tensors may share storages. Data reads their elements row by row whatever
// their strides are; see tensor.Tensor.Transposed for matrices that are stored column by
// column. Errors are *refusal.Error values.
func Read(r io.ReaderAt, size int64) (*File, error) {
	z := &archive{r: r, size: size}
	if err := z.open(); err != nil {
		return nil, err
	}
	if err := z.checkSmall(); err != nil {
		return nil, err
	}
	text, err := z.read(z.pickle, maxPickle)
	if err != nil {
		return nil, err
	}
	p := newMachine(string(text), z.pickle.data, budgetBase+budgetFactor*size)
	root, err := p.run()
	if err != nil {
		return nil, err
	}
	tensors, err := p.collect(root, z)
	if err != nil {
		return nil, err
	}
	return &File{Tensors: tensors, Storages: z.storages(), Unchecked: z.unchecked}, nil
}

// checkSmall reads the members that tell about the others.
func (z *archive) checkSmall() error {
	for _, name := range []string{"version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"} {
		m := z.member(name)
		if m == nil {
			if name == "version" {
				return refusal.Malformed(z.dir, "", "zip has no member %q", z.root+"/"+name)
			}
			continue
		}
		text, err := z.read(m, maxSmall)
		if err != nil {
			return err
		}
		if err := m.checkText(name, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// maxVersion is the newest version of the zip's layout that torch reads.
const maxVersion = 10

func (m *member) checkText(name, text string) error {
	switch name {
	case "byteorder":
		if text == "big" {
			return refusal.Unsupported(m.data, "", "file was written on a big-endian machine: load and save it again on a little-endian one")
		}
		if text != "little" {
			return refusal.Malformed(m.data, "", "byteorder is %.20q, not \"little\"", text)
		}
	case "version":
		version := strings.TrimSuffix(text, "\n")
		if n, ok := decimal(version); !ok {
			return refusal.Malformed(m.data, "", "version %.20q is no number", text)
		} else if n == 0 || n > maxVersion {
			return refusal.Unsupported(m.data, "", "version %d of torch's zips is not read, 1 to %d are", n, maxVersion)
		}
	}
	return nil
}

// decimal reads a number of one to four digits.
func decimal(s string) (n int, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, 0 < len(s) && len(s) <= 4
}

// storages lists the members that hold elements.
func (z *archive) storages() []Storage {
	var list []Storage
	for i := range z.members {
		if m := &z.members[i]; strings.HasPrefix(m.name[len(z.root):], "/data/") {
			list = append(list, Storage{Name: m.name, Offset: m.data, Size: m.size, CRC32: m.crc})
		}
	}
	return list
}
