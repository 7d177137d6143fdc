// Package torchfile reads and writes PyTorch checkpoints (.pth, .pt, .bin). A
// checkpoint is a zip archive of uncompressed members: data.pkl is a pickled
// dictionary of tensors, and data/0, data/1, … hold their elements.
//
// Read returns the tensors of a checkpoint, and NewPlan lays out a new one.
//
// The package has its own zip reader, because torch's reader and archive/zip
// accept files that different programs read differently. Here the members must
// cover the file without gaps or overlaps, share one folder, have names that
// differ in more than letter case, be uncompressed, and have the same values in
// their local header as in the central directory.
//
// The pickle is not executed. A stack machine without any means of calling code
// interprets it. It knows only the few globals that a dictionary of tensors
// needs.
//
// The format of torch before version 1.6, TorchScript archives and big-endian
// files are unsupported.
//
// Sources: APPNOTE.TXT 6.3 of PKWARE, pickletools.py of Python 3, and files
// that torch 2.15 writes.
package torchfile

import (
	"io"
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// File is the contents of a checkpoint.
type File struct {
	// Tensors holds the tensors of the dictionary and of the dictionaries
	// nested in it, in the order of the pickle. The name of a nested tensor
	// joins its keys with ".". Tensors in lists have no name and are left out,
	// and so is everything that is not a tensor.
	Tensors []tensor.Tensor

	// Storages holds the members with elements, in the order of the file.
	Storages []Storage

	// Unchecked reports whether every checksum in the archive is 0, as when
	// torch writes with checksums off.
	Unchecked bool
}

// Storage is a member that holds elements. Read does not read the elements. A
// caller that reads all of a storage should compare its checksum, unless the
// file is Unchecked.
type Storage struct {
	Name         string // the member's name, including the folder
	Offset, Size int64  // of its data in the file, in bytes
	CRC32        uint32 // the checksum of the data (IEEE) according to the archive
}

// maxPickle is the greatest size of data.pkl. The pickle of a million tensors
// takes half of it.
const maxPickle = 256 << 20

// maxSmall is the greatest size of the members that hold a few characters.
const maxSmall = 1 << 10

// The cost of the values that a pickle builds must not exceed budgetBase plus
// budgetFactor times the size of the file. Together with the tables of the
// archive this keeps memory below 1 MiB plus 32 bytes per byte of the file.
const (
	budgetBase   = 256 << 10
	budgetFactor = 24
)

// Read reads and checks the structure of a file of size bytes. It does not read
// elements. The readers of the tensors use r.
//
// Tensors may share storages. Data reads the elements row by row, whatever the
// strides are. For matrices stored in column-major order, Transposed is set too.
// Errors are *refusal.Error values.
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

// checkSmall reads and checks the members that describe the archive itself.
func (z *archive) checkSmall() error {
	for _, name := range []string{"version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"} {
		m := z.member(name)
		if m == nil {
			if name == "version" {
				return refusal.Malformed(z.dir, "", "member %q is not in the zip archive", z.root+"/"+name)
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

// maxVersion is the newest version of the archive layout that torch reads.
const maxVersion = 10

func (m *member) checkText(name, text string) error {
	switch name {
	case "byteorder":
		if text == "big" {
			return refusal.Unsupported(m.data, "", "the file was written on a big-endian machine: load it and save it again on a little-endian machine")
		}
		if text != "little" {
			return refusal.Malformed(m.data, "", "member byteorder holds %.20q, not \"little\"", text)
		}
	case "version":
		version := strings.TrimSuffix(text, "\n")
		if n, ok := decimal(version); !ok {
			return refusal.Malformed(m.data, "", "member version holds %.20q, not a number", text)
		} else if n == 0 || n > maxVersion {
			return refusal.Unsupported(m.data, "", "unknown version %d of torch's archive layout, want 1 to %d", n, maxVersion)
		}
	}
	return nil
}

// decimal parses a number of one to four digits.
func decimal(s string) (n int, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, 0 < len(s) && len(s) <= 4
}

// storages returns the members that hold elements.
func (z *archive) storages() []Storage {
	var list []Storage
	for i := range z.members {
		if m := &z.members[i]; strings.HasPrefix(m.name[len(z.root):], "/data/") {
			list = append(list, Storage{Name: m.name, Offset: m.data, Size: m.size, CRC32: m.crc})
		}
	}
	return list
}
