package diff

import (
	"sync"

	"github.com/koala-go/sdk/internal/memory"
)

const (
	// prefetchBytes is the number of bytes of the inputs that the system is told
	// to read ahead of the workers.
	prefetchBytes = 64 << 20
	// startSyncEvery is the number of bytes of output after which the system is
	// told to write them to the disk, so that reading, computing and writing
	// overlap.
	startSyncEvery = 64 << 20
)

// prefetcher tells the system what will be read, a tensor at a time.
type prefetcher struct {
	mu    sync.Mutex
	next  int   // the first panel that the system was not told of
	told  int64 // the size of the inputs' panels before next
	begun int64 // the size of the panels that workers began
}

// begin is called when a worker begins panel i.
func (f *prefetcher) begin(panels []panel, i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun += panels[i].inputBytes()
	for ; f.next < len(panels) && f.told < f.begun+prefetchBytes; f.next++ {
		x := panels[f.next]
		f.told += x.inputBytes()
		if x.first > 0 {
			continue // the first panel prefetched the whole tensor
		}
		for _, v := range x.work.views {
			v.Prefetch()
		}
	}
}

// inputBytes returns the number of bytes that are read for a panel.
func (x panel) inputBytes() (n int64) {
	for _, v := range x.work.views {
		n += x.rows * v.RowBytes()
	}
	return n
}

// releases reports whether the system is told to remove parts of the output and of
// the inputs from the page cache once they were used. This is better if they are
// large: the system itself would remove what was used longest ago, whatever it is,
// and only when no memory is left, after a search that can cost more than the work.
// And in a virtual machine, each page that was not used lately must be fetched from
// the host first. Inputs that are read a second time for their digests are kept as
// long as they fit.
func (p *Plan) releases() (output, inputs bool) {
	read := int64(0)
	for _, c := range p.sources {
		for _, f := range c.Files() {
			read += f.Size
		}
	}
	free := p.options.freeMemory
	if free == 0 {
		free = memory.Free()
	}
	output = fillsMemory(read+p.layout.Bytes(), free)
	return output, output && (p.options.Digests != DigestAll || read > free)
}

// fillsMemory reports whether n bytes of files are too many to keep in memory. The
// free memory is zero if it is unknown.
func fillsMemory(n, free int64) bool { return free > 0 && n > free/4 }

// releaseInputs is called when panel i was delivered. After the last panel of a
// tensor, the tensor's inputs are not needed any more.
func (p *Plan) releaseInputs(i int) {
	if i+1 < len(p.panels) && p.panels[i+1].first > 0 {
		return
	}
	for _, v := range p.panels[i].work.views {
		v.Release()
	}
}
