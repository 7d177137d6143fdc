package dataset

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"io"
	"iter"
	"slices"

	"github.com/koala-go/sdk/internal/vfs"
)

// ShuffleOptions are the options of Shuffle. Nil means the zero value.
type ShuffleOptions struct {
	Seed   uint64 // seed of the order
	Memory int64  // bytes of records kept in memory (default: 128 MiB)
	Dir    string // directory of temporary files for the rest (default: the system's)
}

// Shuffle yields records in an order that depends on the seed and their number,
// but not on the memory. It sorts by a hash of the record's place in the
// sequence. If the records exceed the memory, it distributes them to 256
// temporary files by a byte of the hash first, and sorts each file.
func Shuffle(ctx context.Context, records iter.Seq2[Record, error], opts *ShuffleOptions) iter.Seq2[Record, error] {
	s := shuffler{fs: vfs.FromContext(ctx)}
	if opts != nil {
		s.o = *opts
	}
	if s.o.Memory <= 0 {
		s.o.Memory = 128 << 20
	}
	return func(yield func(Record, error) bool) {
		entries := func(yield func(shuffleEntry, error) bool) {
			n := uint64(0)
			for r, err := range records {
				e := shuffleEntry{n: n}
				if err == nil {
					e.key = shuffleKey(s.o.Seed, n)
					e.line = r.AppendJSON(nil)
				}
				if n++; !yield(e, err) || err != nil {
					return
				}
			}
		}
		_, err := s.sort(entries, 0, func(e shuffleEntry) bool {
			fields, err := parseRecord(e.line)
			return yield(Record{At: Position{Index: int64(e.n)}, Fields: fields, Line: e.line}, err) && err == nil
		})
		if err != nil {
			yield(Record{}, err)
		}
	}
}

// shuffleKey returns the sort key of record number n.
func shuffleKey(seed, n uint64) uint64 { return hash64(seed, binary.LittleEndian.AppendUint64(nil, n)) }

// shuffleEntry is a record in the shuffle. Entries are sorted by key, then by n.
type shuffleEntry struct {
	key, n uint64 // n is the number of the record in the sequence
	line   []byte
}

// entryBytes is the memory of an entry without its line.
const entryBytes = 64

// shuffler is one run of Shuffle.
type shuffler struct {
	fs vfs.FS
	o  ShuffleOptions
}

// sort yields entries in order. The first depth bytes of their keys are equal.
// It reports false when the consumer stops.
func (s *shuffler) sort(entries iter.Seq2[shuffleEntry, error], depth int, yield func(shuffleEntry) bool) (bool, error) {
	var held []shuffleEntry
	var size int64
	var parts *partFiles
	defer func() { parts.close() }()
	for e, err := range entries {
		if err != nil {
			return false, err
		}
		if parts == nil {
			held = append(held, e)
			size += int64(len(e.line)) + entryBytes
			if size <= s.o.Memory || depth == 8 { // after 8 bytes the keys are equal
				continue
			}
			if parts, err = s.createParts(); err != nil {
				return false, err
			}
		} else {
			held = append(held[:0], e)
		}
		for _, e := range held {
			if err := parts.write(&e, depth); err != nil {
				return false, err
			}
		}
	}
	if parts == nil {
		slices.SortFunc(held, func(a, b shuffleEntry) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.n, b.n)) })
		for _, e := range held {
			if !yield(e) {
				return false, nil
			}
		}
		return true, nil
	}
	held = nil // frees the memory for the parts
	for i := range parts.files {
		if more, err := s.sort(parts.read(i), depth+1, yield); !more || err != nil {
			return more, err
		}
	}
	return true, nil
}

// partFiles are temporary files, one for each value of a byte of the key.
type partFiles struct {
	files   [256]*vfs.TempFile
	writers [256]*bufio.Writer
}

func (s *shuffler) createParts() (*partFiles, error) {
	p := &partFiles{}
	for i := range p.files {
		f, err := vfs.CreateTemp(s.fs, s.o.Dir, "koala-shuffle-*")
		if err != nil {
			p.close()
			return nil, err
		}
		p.files[i], p.writers[i] = f, bufio.NewWriterSize(f, 16<<10)
	}
	return p, nil
}

func (p *partFiles) close() {
	if p == nil {
		return
	}
	for _, f := range p.files {
		_ = f.Close() // the file is not needed any more
	}
}

// entryHeaderSize is the length of the numbers before a line: key, n and the
// length of the line.
const entryHeaderSize = 24

func (p *partFiles) write(e *shuffleEntry, depth int) error {
	w := p.writers[byte(e.key>>(56-8*depth))]
	var head [entryHeaderSize]byte
	binary.LittleEndian.PutUint64(head[:], e.key)
	binary.LittleEndian.PutUint64(head[8:], e.n)
	binary.LittleEndian.PutUint64(head[16:], uint64(len(e.line)))
	_, err := w.Write(head[:])
	if err == nil {
		_, err = w.Write(e.line)
	}
	return err
}

// read yields the entries of a file.
func (p *partFiles) read(i int) iter.Seq2[shuffleEntry, error] {
	return func(yield func(shuffleEntry, error) bool) {
		if err := p.writers[i].Flush(); err != nil {
			yield(shuffleEntry{}, err)
			return
		}
		r := bufio.NewReaderSize(p.files[i].Reader(), 64<<10)
		for {
			e, err := readEntry(r)
			if err == io.EOF {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func readEntry(r io.Reader) (e shuffleEntry, err error) {
	var head [entryHeaderSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return e, err
	}
	e.key, e.n = binary.LittleEndian.Uint64(head[:]), binary.LittleEndian.Uint64(head[8:])
	e.line = make([]byte, binary.LittleEndian.Uint64(head[16:]))
	_, err = io.ReadFull(r, e.line)
	return e, err
}
