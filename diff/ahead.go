package diff

import "sync"

const (
	// readAhead is how many bytes of the inputs the system is told to read
	// before they are due.
	readAhead = 64 << 20
	// startSyncEvery is after how many bytes of output the system is told to
	// begin with writing them, so that reading, computing and writing overlap.
	startSyncEvery = 32 << 20
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
			v.Expect()
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
