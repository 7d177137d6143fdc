package forward

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// team are the workers of a pass over weights in memory: the goroutine of the
// pass and helpers. For one token the jobs of a layer take some hundred
// microseconds or less, and waking a thread for each would cost a tenth of it:
// helpers look for the next job again and again.
type team struct {
	model   *Model
	ctx     context.Context
	panels  []panel // that were not yet multiplied
	current atomic.Pointer[job]
	helpers sync.WaitGroup
}

// job is a call for each number below n. One without numbers ends the helpers.
type job struct {
	n          int64
	do         func(worker, i int)
	next, left atomic.Int64
}

func newJob(n int, do func(worker, i int)) *job {
	j := &job{n: int64(n), do: do}
	j.left.Store(j.n)
	return j
}

func (m *Model) newTeam(ctx context.Context) *team {
	t := &team{model: m, ctx: ctx, panels: m.panels}
	for helper := 1; helper < m.options.Workers; helper++ {
		t.helpers.Go(func() { t.help(helper) })
	}
	return t
}

func (t *team) stop(error) {
	t.current.Store(&job{})
	t.helpers.Wait()
}

// help works at one job after the other.
func (t *team) help(worker int) {
	var last *job
	for looks := 1; ; looks++ {
		if j := t.current.Load(); j != last {
			if j.n == 0 {
				return
			}
			j.work(worker)
			last = j
		}
		pause(looks)
	}
}

// pause lets others run now and then while something is waited for.
func pause(looks int) {
	if looks%64 == 0 {
		runtime.Gosched()
	}
}

// work makes calls until none is left to be begun.
func (j *job) work(worker int) {
	for i := j.next.Add(1) - 1; i < j.n; i = j.next.Add(1) - 1 {
		j.do(worker, int(i))
		j.left.Add(-1)
	}
}

func (t *team) each(n int, do func(worker, i int)) {
	if n == 0 {
		return
	}
	j := newJob(n, do)
	t.current.Store(j)
	j.work(0)
	for looks := 1; j.left.Load() > 0; looks++ {
		pause(looks)
	}
}

func (t *team) multiply(in []float32, out ...product) error {
	if err := context.Cause(t.ctx); err != nil {
		return err
	}
	n := 1
	for n < len(t.panels) && t.panels[n].step == t.panels[0].step {
		n++
	}
	panels := t.panels[:n]
	t.panels = t.panels[n:]
	var failed atomic.Pointer[error]
	t.each(n, func(_, i int) {
		x := panels[i]
		for _, p := range out {
			if p.role != x.param.Role {
				continue
			}
			rows, err := x.read(nil, x.first, x.count)
			if err == nil {
				err = t.model.apply(x.matrix, x.first, x.count, rows, in, p.out)
			}
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		}
	})
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
