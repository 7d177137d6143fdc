package dataset

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/koala-go/sdk/internal/vfs"
)

// hashSize is the length of a hash in a file.
const hashSize = len(hash128{})

// pageHashes is the number of hashes that are read from the file at a time.
const pageHashes = 256

// hashSet is a set of hashes. The newest are in memory, the older ones in a
// file of sorted runs, each as long as the memory allows.
type hashSet struct {
	fs     vfs.FS
	memory int
	dir    string
	recent map[hash128]struct{}
	file   *vfs.TempFile
	runs   []int64 // number of hashes in each run
	page   [pageHashes * hashSize]byte
}

// newHashSet returns an empty set that keeps up to memory hashes in memory.
func newHashSet(fsys vfs.FS, memory int, dir string) *hashSet {
	if memory <= 0 {
		memory = 2_000_000
	}
	return &hashSet{fs: fsys, memory: memory, dir: dir, recent: make(map[hash128]struct{})}
}

// add adds a hash and reports whether the set had it before.
func (s *hashSet) add(h hash128) (bool, error) {
	if _, ok := s.recent[h]; ok {
		return true, nil
	}
	first := int64(0)
	for _, n := range s.runs {
		found, err := s.search(first, n, h)
		if found || err != nil {
			return found, err
		}
		first += n
	}
	s.recent[h] = struct{}{}
	if len(s.recent) < s.memory {
		return false, nil
	}
	return false, s.spill()
}

// spill moves the hashes in memory to a new run of the file.
func (s *hashSet) spill() (err error) {
	if s.file == nil {
		if s.file, err = vfs.CreateTemp(s.fs, s.dir, "koala-dedup-*"); err != nil {
			return err
		}
	}
	list := make([]hash128, 0, len(s.recent))
	for h := range s.recent {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b hash128) int { return bytes.Compare(a[:], b[:]) })
	data := make([]byte, 0, hashSize*len(list))
	for i := range list {
		data = append(data, list[i][:]...)
	}
	if _, err = s.file.Write(data); err == nil {
		s.runs = append(s.runs, int64(len(list)))
		clear(s.recent)
	}
	return err
}

// search reports whether a hash is in the run of n hashes that begins at hash
// number first. Hashes are evenly distributed, so the first guess of the place
// is usually within a page. After that the search is binary.
func (s *hashSet) search(first, n int64, h hash128) (bool, error) {
	low, high := int64(0), n
	guess := int64(float64(binary.BigEndian.Uint64(h[:])) / (1 << 64) * float64(n))
	for low < high {
		at := min(max(guess-pageHashes/2, low), max(low, high-pageHashes))
		page := s.page[:int64(hashSize)*min(pageHashes, high-at)]
		if _, err := s.file.ReadAt(page, int64(hashSize)*(first+at)); err != nil {
			return false, err
		}
		last := page[len(page)-hashSize:]
		switch {
		case bytes.Compare(h[:], page[:hashSize]) < 0:
			high = at
		case bytes.Compare(h[:], last) > 0:
			low = at + int64(len(page)/hashSize)
		default:
			return pageHas(page, h), nil
		}
		guess = (low + high) / 2
	}
	return false, nil
}

// pageHas reports whether a hash is among sorted ones.
func pageHas(page []byte, h hash128) bool {
	low, high := 0, len(page)/hashSize
	for low < high {
		mid := (low + high) / 2
		if c := bytes.Compare(page[hashSize*mid:hashSize*(mid+1)], h[:]); c == 0 {
			return true
		} else if c < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return false
}

func (s *hashSet) close() { _ = s.file.Close() } // the file is not needed any more
