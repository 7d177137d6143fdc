package tokenizer

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// batchStep is how many texts a worker takes at a time.
const batchStep = 32

// EncodeBatch encodes many texts with several goroutines: as many as there are
// cores when workers is 0.
func (t *Tokenizer) EncodeBatch(texts []string, opts *Options, workers int) [][]Token {
	out := make([][]Token, len(texts))
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, (len(texts)+batchStep-1)/batchStep)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for {
				end := int(next.Add(batchStep))
				if end-batchStep >= len(texts) {
					return
				}
				t.encodeSome(out, texts, end-batchStep, min(end, len(texts)), opts)
			}
		})
	}
	wait.Wait()
	return out
}

// encodeSome encodes texts[from:to] into one block of memory.
func (t *Tokenizer) encodeSome(out [][]Token, texts []string, from, to int, opts *Options) {
	sc := t.scratch.Get().(*scratch)
	defer t.scratch.Put(sc)
	sc.ids = sc.ids[:0]
	var ends [batchStep]int
	for i, text := range texts[from:to] {
		sc.ids = t.AppendEncode(sc.ids, text, opts)
		ends[i] = len(sc.ids)
	}
	all, begin := slices.Clone(sc.ids), 0
	for i := range texts[from:to] {
		out[from+i] = all[begin:ends[i]:ends[i]]
		begin = ends[i]
	}
}
