package forward

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// panel is a block of rows of a matrix, the unit of reading and multiplying.
type panel struct {
	*matrix
	first, count int
	step         int       // of the pass, see steps
	ahead        []*matrix // that the system should fetch meanwhile
}

// Panels of matrices that are read as they lie, or are in memory, are small
// enough to stay in a core's cache between reading and multiplying. Those that
// are gathered from columns are as large as the memory allows, up to a bound,
// because each of their rows costs a piece of every row of the file; they are
// turned and multiplied in parts of the other size.
const (
	plainPanel  = 512 << 10
	turnedPanel = 64 << 20
)

// fetchAhead is the number of matrices that the system is told of before their
// turn comes.
const fetchAhead = 3

// rowsOf is the number of rows of a panel that needs at most a budget of
// buffer, and at least one step of the view.
func (x *matrix) rowsOf(budget int64, workers int) int {
	row := x.view.RowBytes()
	switch {
	case x.data != nil:
		return x.rowsIn(plainPanel / 2) // enough for all workers to end at the same time
	case x.gathered():
		most := max((min(turnedPanel, budget)-x.partBytes())/row, 1)
		panels := (int64(x.rows) + most - 1) / most
		panels = (panels + int64(workers) - 1) / int64(workers) * int64(workers) // as much for each
		return int((int64(x.rows) + panels - 1) / panels)
	}
	step := x.view.Step()
	return int(max(min(plainPanel, budget*row/x.need(1))/row/step*step, step))
}

// gathered says whether panels are kept as the file has them, column by column,
// and turned in parts.
func (x *matrix) gathered() bool { return x.data == nil && x.view.Transposed() && x.view.Step() == 1 }

// partRows is the number of rows that stay in a core's cache: whole panels of
// the kernels.
func (x *matrix) partRows() int { return x.rowsIn(plainPanel) }

// rowsIn is the number of rows of some bytes, whole panels of the kernels.
func (x *matrix) rowsIn(bytes int64) int {
	step := min(half.PanelRows, x.rows)
	return max(int(bytes/x.view.RowBytes())/step*step, step)
}

func (x *matrix) partBytes() int64 { return int64(x.partRows()) * x.view.RowBytes() }

// bufferFor is what a panel of n rows needs.
func (x *matrix) bufferFor(n int) int64 {
	if x.gathered() {
		return int64(n)*x.view.RowBytes() + x.partBytes()
	}
	return x.need(n)
}

// fetch reads the panel into the buffer, where it is not in memory.
func (x panel) fetch(buffer []byte) ([]byte, error) {
	if !x.gathered() {
		return x.read(buffer, x.first, x.count)
	}
	block := buffer[:int64(x.count)*x.view.RowBytes()]
	_, err := x.view.ReadColumns(block, int64(x.first), int64(x.count))
	return block, err
}

// parts gives the rows of a panel that was fetched to do: all of them, or part
// by part, turned behind it in the buffer.
func (x panel) parts(block, buffer []byte, do func(first, count int, rows []byte) error) error {
	if !x.gathered() {
		return do(x.first, x.count, block)
	}
	space, size := buffer[len(block):], int(x.dtype.Size())
	for done := 0; done < x.count; done += x.partRows() {
		n := min(x.partRows(), x.count-done)
		rows := space[:n*x.cols*size]
		half.TransposeColumns(rows, block[done*size:], x.cols, x.count, size, nil)
		if err := do(x.first+done, n, rows); err != nil {
			return err
		}
	}
	return nil
}

// tell tells the system what to fetch.
func (x panel) tell() {
	for _, next := range x.ahead {
		if next.data == nil {
			next.view.Prefetch()
		}
	}
}

// roles are the matrices of each step of a layer: those that multiply the same
// vectors.
var roles = [...][]weights.Role{{weights.Q, weights.K, weights.V}, {weights.O}, {weights.Gate, weights.Up}, {weights.Down}}

// cut divides the matrices into panels, in the order in which a pass uses
// them. buffer is what the largest needs.
func (m *Model) cut(budget int64) (panels []panel, buffer int64) {
	step := 0
	var begin []int // the first panel of each matrix
	add := func(layer int, roles ...weights.Role) {
		for _, r := range roles {
			x := m.matrices[weights.Param{Layer: layer, Role: r}]
			rows := x.rowsOf(budget, m.options.Workers)
			buffer = max(buffer, x.bufferFor(min(rows, x.rows)))
			begin = append(begin, len(panels))
			for first := 0; first < x.rows; first += rows {
				panels = append(panels, panel{matrix: x, first: first, count: min(rows, x.rows-first), step: step})
			}
		}
		step++
	}
	for l := range m.Config.Layers {
		for _, r := range roles {
			add(l, r...)
		}
	}
	add(0, weights.Output)
	for i, at := range begin {
		teller := &panels[begin[max(i-fetchAhead, 0)]]
		teller.ahead = append(teller.ahead, panels[at].matrix)
	}
	return panels, buffer
}

// crew is who carries a pass out: steps where the weights are read, and a team
// where they are in memory.
type crew interface {
	// multiply is the next step: it returns when all products are there.
	multiply(in []float32, out ...product) error
	// each calls do for all numbers below n, from several workers, whose
	// numbers it is given, and returns when all is done.
	each(n int, do func(worker, i int))
	// stop ends the workers, at once when an error is given.
	stop(err error)
}

// steps are the multiplications of a pass, one after the other, and the workers
// that carry them out. Workers take panels in their order, read each, wait until
// its step has its vectors, and multiply. So the weights of later steps are read
// while the others are busy with an earlier one, and while what lies between
// the steps is computed.
type steps struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	group  sync.WaitGroup
	list   []step
	next   int // the step that comes next
	model  *Model
	read   func(n int) // told of bytes that were read
}

// step multiplies matrices with the same vectors.
type step struct {
	ready chan struct{} // closed when the vectors are there
	done  chan struct{} // closed when no panel is left
	left  atomic.Int32  // panels
	in    []float32
	out   [3]product
}

// product says where the products of a layer's matrix with all vectors go:
// an array of a row for each vector.
type product struct {
	role weights.Role
	out  []float32
}

// start lets workers begin with the panels. The pass must end with stop.
func (m *Model) start(ctx context.Context, panels []panel, workers int, buffer int64) *steps {
	s := &steps{list: make([]step, panels[len(panels)-1].step+1), model: m, read: m.reporter(m.Bytes())}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	for i := range s.list {
		s.list[i].ready, s.list[i].done = make(chan struct{}), make(chan struct{})
	}
	for _, x := range panels {
		s.list[x.step].left.Add(1)
	}
	var next atomic.Int64
	for range workers {
		s.group.Go(func() {
			b := make([]byte, buffer)
			for i := int(next.Add(1) - 1); i < len(panels) && s.ctx.Err() == nil; i = int(next.Add(1) - 1) {
				if err := s.work(panels[i], b); err != nil {
					s.cancel(err)
				}
			}
		})
	}
	return s
}

func (s *steps) stop(err error) {
	if err != nil {
		s.cancel(err)
	}
	s.group.Wait()
	s.cancel(nil)
}

// work reads a panel and multiplies it when its step has come.
func (s *steps) work(x panel, buffer []byte) error {
	x.tell()
	block, err := x.fetch(buffer)
	if err != nil {
		return err
	}
	s.read(len(block))
	at := &s.list[x.step]
	if !s.await(at.ready) {
		return nil
	}
	for _, p := range at.out {
		if p.role == x.param.Role {
			err := x.parts(block, buffer, func(first, count int, rows []byte) error {
				return s.model.apply(x.matrix, first, count, rows, at.in, p.out)
			})
			if err != nil {
				return err
			}
		}
	}
	if at.left.Add(-1) == 0 {
		close(at.done)
	}
	return nil
}

// apply multiplies some rows of a matrix with all vectors.
func (m *Model) apply(x *matrix, first, count int, rows []byte, in, out []float32) error {
	multiply := half.MulRows
	if m.options.Fast {
		multiply = half.FastMulRows
	}
	tokens := len(in) / x.cols
	multiply(out[first:], x.rows, rows, x.dtype, count, x.cols, in, x.cols, tokens)
	for t := range tokens {
		if !finite(out[t*x.rows+first:][:count]) {
			if err := x.finite(rows, first); err != nil {
				return err
			}
			return &NonFiniteError{x.name, -1}
		}
	}
	return nil
}

func (s *steps) multiply(in []float32, out ...product) error {
	at := &s.list[s.next]
	s.next++
	at.in = in
	copy(at.out[:], out)
	close(at.ready)
	if !s.await(at.done) {
		return context.Cause(s.ctx)
	}
	return nil
}

// await returns when a channel is closed, or false when the pass has ended.
func (s *steps) await(c chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// each begins goroutines of its own: the workers are busy with reading ahead.
func (s *steps) each(n int, do func(worker, i int)) {
	j := newJob(n, do)
	var group sync.WaitGroup
	for w := range min(s.model.options.Workers, n) {
		group.Go(func() { j.work(w) })
	}
	group.Wait()
}
