package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls do for each number from 0 to n-1 on at most workers goroutines and
// waits for all calls. Goroutines are numbered from 0; do gets the number of
// the one that calls it, so that it can use scratch space of its own. Unlike
// For, Each makes every call: nothing ends it early.
func Each(workers, n int, do func(worker, i int)) {
	r := newRound(n, do)
	var group sync.WaitGroup
	for worker := range min(Workers(workers), n) {
		group.Go(func() { r.work(worker) })
	}
	group.Wait()
}

// Team is Each for many short rounds of calls in a row, with goroutines that
// are kept between the rounds. A round of some hundred microseconds would lose
// a tenth of its time to waking a thread for each goroutine, so the helpers of
// a Team never sleep: they poll for the next round and keep their processors
// busy until Stop. Begin a Team for a job and stop it at the end of the job.
//
// The zero Team has no helpers and runs all calls on the caller's goroutine.
type Team struct {
	current atomic.Pointer[round] // the round that helpers work at
	helpers sync.WaitGroup
}

// NewTeam returns a Team of the given number of workers. The goroutine that
// calls Each is one of them.
func NewTeam(workers int) *Team {
	t := new(Team)
	for helper := 1; helper < workers; helper++ {
		t.helpers.Go(func() { t.help(helper) })
	}
	return t
}

// Each calls do for each number from 0 to n-1, on all workers of the team, and
// waits for all calls. The caller's goroutine is worker 0. Each must not be
// called by several goroutines at once.
func (t *Team) Each(n int, do func(worker, i int)) {
	if n == 0 {
		return // a round without calls would stop the helpers
	}
	r := newRound(n, do)
	t.current.Store(r)
	r.work(0)
	for polls := 1; r.left.Load() > 0; polls++ {
		yield(polls)
	}
}

// Stop ends the helpers and waits for them.
func (t *Team) Stop() {
	t.current.Store(new(round))
	t.helpers.Wait()
}

// help works at one round after the other until a round has no calls.
func (t *Team) help(worker int) {
	var last *round
	for polls := 1; ; polls++ {
		if r := t.current.Load(); r != last {
			if r.n == 0 {
				return
			}
			r.work(worker)
			last = r
		}
		yield(polls)
	}
}

// yield lets other goroutines run at every 64th poll. Without it, a team with
// more workers than processors would wait for a helper that cannot run.
func yield(polls int) {
	if polls%64 == 0 {
		runtime.Gosched()
	}
}

// round is a call for each number below n.
type round struct {
	n    int64
	do   func(worker, i int)
	next atomic.Int64 // the number of the call that begins next
	left atomic.Int64 // calls that have not ended
}

func newRound(n int, do func(worker, i int)) *round {
	r := &round{n: int64(n), do: do}
	r.left.Store(r.n)
	return r
}

// work makes calls until none is left to begin.
func (r *round) work(worker int) {
	for i := r.next.Add(1) - 1; i < r.n; i = r.next.Add(1) - 1 {
		r.do(worker, int(i))
		r.left.Add(-1)
	}
}
