// Package partition divides matrices into panels: blocks of whole rows that fit into
// the buffers that a memory limit allows.
//
// Packages diff and forward both work panel by panel. They agree on the two
// decisions in this package: how many workers a limit has room for, and how to
// make the panels of a matrix equally large. They differ in what a row costs,
// which each of them computes itself: diff reads several files and may combine
// in place, forward multiplies in parts that stay in a core's cache.
package partition

// Rows returns the number of rows of each panel of a matrix: a multiple of step
// of at most most rows, or step if most is smaller. The panels are of equal size
// but for the last, and their number is a multiple of multiple where the rows
// suffice.
//
// Equal panels are better than full ones with a small rest, because a panel that
// is gathered from columns costs a read for each column, however few its rows
// are. A multiple of the number of workers gives all of them the same work.
func Rows(rows, step, most, multiple int64) int64 {
	steps := ceil(rows, step)
	panels := ceil(steps, max(most/step, 1))
	panels = ceil(panels, multiple) * multiple
	return ceil(steps, panels) * step
}

// ceil returns a/b, rounded up.
func ceil(a, b int64) int64 { return (a + b - 1) / b }

// Fit returns how many workers have room for their buffers, and what all of the
// buffers need. It begins with the given number of workers and halves it until
// plan, which divides the work for a number of workers and returns the size of
// the buffer of one, needs no more than limit. If the number is fixed, or a
// single worker needs too much, ok is false.
func Fit(workers int, fixed bool, limit int64, plan func(workers int) (buffer int64, err error)) (fit int, need int64, ok bool, err error) {
	for ; ; workers = (workers + 1) / 2 {
		buffer, err := plan(workers)
		if err != nil {
			return 0, 0, false, err
		}
		need := buffer * int64(workers)
		if need <= limit {
			return workers, need, true, nil
		}
		if fixed || workers == 1 {
			return workers, need, false, nil
		}
	}
}
