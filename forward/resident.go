package forward

import (
	"context"
	"sync/atomic"

	"github.com/koala-go/sdk/internal/parallel"
)

// resident is the runner for weights in memory. For a single token the products
// of a step take some hundred microseconds or less, so that it uses a
// parallel.Team, whose workers do not sleep between the steps.
type resident struct {
	ctx    context.Context
	model  *Model
	team   *parallel.Team
	panels []panel // the panels of the steps to come
}

func newResident(ctx context.Context, m *Model) *resident {
	return &resident{ctx: ctx, model: m, team: parallel.NewTeam(m.options.Workers), panels: m.panels}
}

func (r *resident) stop(error) { r.team.Stop() }

func (r *resident) each(n int, do func(worker, i int)) { r.team.Each(n, do) }

func (r *resident) multiply(in []float32, out ...product) error {
	if err := context.Cause(r.ctx); err != nil {
		return err
	}
	n := 1
	for n < len(r.panels) && r.panels[n].step == r.panels[0].step {
		n++
	}
	panels := r.panels[:n]
	r.panels = r.panels[n:]
	var failed atomic.Pointer[error]
	r.team.Each(n, func(_, i int) {
		x := panels[i]
		for _, p := range out {
			if p.role != x.param.Role {
				continue
			}
			rows, err := x.read(nil, x.first, x.count)
			if err == nil {
				err = r.model.apply(x.matrix, x.first, x.count, rows, in, p.out)
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
