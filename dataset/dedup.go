package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"
)

// DedupOptions are the choices of Dedup; nil means the zero value.
type DedupOptions struct {
	// Memory is how many queries are remembered in memory, at about 40 bytes
	// each (default 2,000,000). Older ones go to a file in Dir.
	Memory int
	Dir    string // for files that no name leads to after the run (default: the system's)
	Report *Report
}

// Dedup leaves out records whose query was there before, to the byte: what the
// person says in all turns. A helpful and an unhelpful reply to one query are
// two records. Queries are remembered by the first 16 bytes of their SHA-256.
func Dedup(records iter.Seq2[Record, error], opts *DedupOptions) iter.Seq2[Record, error] {
	o := DedupOptions{}
	if opts != nil {
		o = *opts
	}
	return func(yield func(Record, error) bool) {
		s := newHashSet(o)
		defer s.close()
		for r, err := range records {
			old := false
			if err == nil {
				old, err = s.add(queryHash(&r))
			}
			if old {
				o.Report.drop("duplicate")
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// hash128 stands for a query.
type hash128 [16]byte

func queryHash(r *Record) hash128 {
	h := sha256.New()
	h.Write([]byte(r.Query()))
	for i := range r.Fields {
		if strings.HasPrefix(r.Fields[i].Key, "gpt_bad") {
			h.Write([]byte{0, 1})
			break
		}
	}
	return hash128(h.Sum(nil)[:16])
}

// hashSet is a set of hashes: the newest in memory, the older ones in sorted
// runs in a file, each as long as what is kept in memory.
type hashSet struct {
	o      DedupOptions
	recent map[hash128]struct{}
	file   *os.File
	runs   []int64 // hashes in each
	page   [256 * 16]byte
}

func newHashSet(o DedupOptions) *hashSet {
	if o.Memory <= 0 {
		o.Memory = 2_000_000
	}
	return &hashSet{recent: make(map[hash128]struct{}), o: o}
}

// add says whether a hash was there before, and remembers it.
func (s *hashSet) add(h hash128) (bool, error) {
	if _, ok := s.recent[h]; ok {
		return true, nil
	}
	first := int64(0)
	for _, n := range s.runs {
		old, err := s.search(first, n, h)
		if old || err != nil {
			return old, err
		}
		first += n
	}
	s.recent[h] = struct{}{}
	if len(s.recent) < s.o.Memory {
		return false, nil
	}
	return false, s.spill()
}

// spill writes what is in memory to the file, sorted.
func (s *hashSet) spill() (err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp(s.o.Dir, "koala-dedup-*"); err != nil {
			return err
		}
	}
	list := make([]hash128, 0, len(s.recent))
	for h := range s.recent {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b hash128) int { return bytes.Compare(a[:], b[:]) })
	data := make([]byte, 0, 16*len(list))
	for i := range list {
		data = append(data, list[i][:]...)
	}
	if _, err = s.file.Write(data); err == nil {
		s.runs = append(s.runs, int64(len(list)))
		clear(s.recent)
	}
	return err
}

// search looks for a hash in the run of n that begins at first. Hashes are
// evenly spread, so that a place is guessed well; then it is halved on.
func (s *hashSet) search(first, n int64, h hash128) (bool, error) {
	low, high := int64(0), n
	guess := int64(float64(binary.BigEndian.Uint64(h[:])) / (1 << 64) * float64(n))
	const width = int64(len(s.page) / 16)
	for low < high {
		at := min(max(guess-width/2, low), max(low, high-width))
		page := s.page[:16*min(width, high-at)]
		if _, err := s.file.ReadAt(page, 16*(first+at)); err != nil {
			return false, err
		}
		last := page[len(page)-16:]
		switch {
		case bytes.Compare(h[:], page[:16]) < 0:
			high = at
		case bytes.Compare(h[:], last) > 0:
			low = at + int64(len(page)/16)
		default:
			return inPage(page, h), nil
		}
		guess = (low + high) / 2
	}
	return false, nil
}

func inPage(page []byte, h hash128) bool {
	low, high := 0, len(page)/16
	for low < high {
		mid := (low + high) / 2
		if c := bytes.Compare(page[16*mid:16*mid+16], h[:]); c == 0 {
			return true
		} else if c < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return false
}

func (s *hashSet) close() {
	if s.file != nil {
		_ = errors.Join(s.file.Close(), os.Remove(s.file.Name())) // nothing of it is needed
	}
}
