package forward

import (
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/internal/partition"
	"github.com/koala-go/sdk/weights"
)

// panel is a block of rows of a matrix, the unit of reading and multiplying.
type panel struct {
	*matrix
	first, count int
	step         int       // the step of the pass that multiplies the panel; see stepRoles
	prefetch     []*matrix // the system is told to fetch these when the panel begins
}

const (
	// rowPanel is the size of panels whose rows are stored as rows, or that are
	// in memory: they stay in a core's cache between reading and multiplying.
	rowPanel = 512 << 10
	// columnPanel is the size of panels whose rows are stored as columns. Each
	// panel costs a read for each column of the matrix, so that they are as large
	// as the memory allows, up to this bound. They are transposed and multiplied
	// in parts of rowPanel bytes.
	columnPanel = 64 << 20
	// prefetchDistance is the number of matrices by which the system is told to
	// fetch ahead.
	prefetchDistance = 3
)

// panelRows returns the number of rows of the panels of a matrix. A panel needs
// at most budget bytes of buffer, or holds a single step of the view.
func (x *matrix) panelRows(budget int64, workers int) int {
	size := x.view.RowBytes()
	switch {
	case x.data != nil:
		return x.rowsWithin(rowPanel / 2) // enough panels for all workers to end at the same time
	case x.storedAsColumns():
		most := (min(columnPanel, budget) - x.partBytes()) / size
		return int(partition.Rows(int64(x.rows), 1, most, int64(workers)))
	}
	// Full panels with a small rest: unlike panels of columns, a small panel
	// costs no more reads per row than a large one.
	step := x.view.Step()
	return int(max(min(rowPanel, budget*size/x.bufferSize(1))/size/step*step, step))
}

// storedAsColumns reports whether the rows of the matrix are columns in its file.
// Panels are then kept as they are stored and transposed in parts. A view whose
// rows are reordered too is left to View.ReadRows.
func (x *matrix) storedAsColumns() bool {
	return x.data == nil && x.view.Transposed() && x.view.Step() == 1
}

// partRows returns the number of rows of a part of a panel.
func (x *matrix) partRows() int { return x.rowsWithin(rowPanel) }

func (x *matrix) partBytes() int64 { return int64(x.partRows()) * x.view.RowBytes() }

// rowsWithin returns the number of rows that take the given number of bytes. It
// is a multiple of what the kernels multiply at once.
func (x *matrix) rowsWithin(bytes int64) int {
	step := min(half.PanelRows, x.rows)
	return max(int(bytes/x.view.RowBytes())/step*step, step)
}

// panelBuffer returns the size of the buffer that a panel of n rows needs.
func (x *matrix) panelBuffer(n int) int64 {
	if x.storedAsColumns() {
		return int64(n)*x.view.RowBytes() + x.partBytes()
	}
	return x.bufferSize(n)
}

// fetch reads the panel into the buffer, unless it is in memory.
func (x panel) fetch(buffer []byte) ([]byte, error) {
	if !x.storedAsColumns() {
		return x.read(buffer, x.first, x.count)
	}
	block := buffer[:int64(x.count)*x.view.RowBytes()]
	_, err := x.view.ReadColumns(block, int64(x.first), int64(x.count))
	return block, err
}

// eachPart calls do with the rows of a panel that fetch returned: with all rows
// at once or, for a panel of columns, with one part after the other. Parts are
// transposed into the buffer behind the block.
func (x panel) eachPart(block, buffer []byte, do func(first, count int, rows []byte) error) error {
	if !x.storedAsColumns() {
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

// startPrefetch tells the system what to fetch.
func (x panel) startPrefetch() {
	for _, next := range x.prefetch {
		if next.data == nil {
			next.view.Prefetch()
		}
	}
}

// stepRoles are the matrices that each step of a layer multiplies by the same
// vectors.
var stepRoles = [...][]weights.Role{{weights.Q, weights.K, weights.V}, {weights.O}, {weights.Gate, weights.Up}, {weights.Down}}

// divide divides the matrices into panels, in the order in which a pass uses
// them. It returns the size of the buffer that the largest panel needs.
func (m *Model) divide(budget int64) (panels []panel, buffer int64) {
	step := 0
	var begin []int // the index of the first panel of each matrix
	add := func(layer int, roles ...weights.Role) {
		for _, r := range roles {
			x := m.matrices[weights.Param{Layer: layer, Role: r}]
			rows := x.panelRows(budget, m.options.Workers)
			buffer = max(buffer, x.panelBuffer(min(rows, x.rows)))
			begin = append(begin, len(panels))
			for first := 0; first < x.rows; first += rows {
				panels = append(panels, panel{matrix: x, first: first, count: min(rows, x.rows-first), step: step})
			}
		}
		step++
	}
	for l := range m.Config.Layers {
		for _, roles := range stepRoles {
			add(l, roles...)
		}
	}
	add(0, weights.Output)
	// The first panel of each matrix fetches the matrix three further on, and
	// the very first panel also all before that.
	for i, at := range begin {
		earlier := &panels[begin[max(i-prefetchDistance, 0)]]
		earlier.prefetch = append(earlier.prefetch, panels[at].matrix)
	}
	return panels, buffer
}

// divideForReaders divides the matrices into panels for workers that read them,
// whose buffers fit into budget bytes together. There are twice as many such
// workers as multiply, so that some read while others multiply.
func (m *Model) divideForReaders(budget int64) (panels []panel, workers int, buffer int64, err error) {
	workers, need, ok, _ := partition.Fit(2*m.options.Workers, m.workersFixed, budget, func(workers int) (int64, error) {
		panels, buffer = m.divide(budget / int64(workers))
		return buffer, nil
	})
	if !ok {
		return nil, 0, 0, tooLittleMemory("reading the weights", need+m.options.Memory-budget, m.options.Memory)
	}
	return panels, workers, buffer, nil
}
