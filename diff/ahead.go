package diff

import (
	"sync"

	"github.com/koala-go/sdk/internal/memory"
)

const (
	// readAhead is how many bytes of the inputs the system is told to read
	// before they are due.
	readAhead = 64 << 20
	// startSyncEvery is after how many bytes of output the system is told to
	// begin with writing them, so that reading, computing and writing overlap.
	startSyncEvery = 64 << 20
)

// ahead tells the system what will be read, a weight at a time.
type ahead struct {
	mu    sync.Mutex
	next  int   // the first panel of which nothing was told
	bytes int64 // of the inputs' panels before it
	begun int64 // of those that were begun
}

// expect is called as panel i begins.
func (a *ahead) expect(panels []panel, i int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun += panels[i].input()
	for ; a.next < len(panels) && a.bytes < a.begun+readAhead; a.next++ {
		x := panels[a.next]
		a.bytes += x.input()
		if x.first > 0 {
			continue
		}
		for _, v := range x.work.views {
			v.Prefetch()
		}
	}
}

// input is the bytes that are read for a panel.
func (x panel) input() (n int64) {
	for _, v := range x.work.views {
		n += x.rows * v.RowBytes()
	}
	return n
}

// forgets says whether output and inputs are to be forgotten when they were
// used, because together they are too large to fill the memory with. The system
// would drop what was used longest ago, whatever else it is, and only when it
// has no memory left, after a search that can cost more than the work; and where
// the memory is that of a virtual machine, each page that was not in use lately
// has to be fetched from the host first. Inputs that are read a second time for
// their digests are kept as long as they fit.
func (p *Plan) forgets() (output, inputs bool) {
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
	output = tooLarge(read+p.layout.Bytes(), free)
	return output, output && (p.options.Digests != DigestAll || read > free)
}

// tooLarge says whether so many bytes of files are not to be kept in memory
// after they were used; 0 bytes free is unknown.
func tooLarge(n, free int64) bool { return free > 0 && n > free/4 }

// forget is called when panel i was handed on: after the last of a weight, its
// inputs are not needed any more.
func (p *Plan) forget(i int) {
	if i+1 < len(p.panels) && p.panels[i+1].first > 0 {
		return
	}
	for _, v := range p.panels[i].work.views {
		v.Release()
	}
}
