// Package parallel runs functions on several goroutines.
//
// For and ForState call a function for each number below n and stop at the
// first error. Ordered maps a sequence and keeps its order. Each and Team are
// for calls that cannot fail: Team keeps its goroutines between many short
// rounds.
package parallel

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Workers returns n if it is positive, and GOMAXPROCS otherwise.
func Workers(n int) int {
	if n <= 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// For calls do for each number from 0 to n-1, starting them in ascending order,
// on at most workers goroutines. After the first error, or once ctx is
// cancelled, it starts no further call. It waits for the calls in progress and
// returns the first error, or the context's cause.
func For(ctx context.Context, workers, n int, do func(ctx context.Context, i int) error) error {
	return ForState(ctx, workers, n,
		func(int) struct{} { return struct{}{} },
		func(ctx context.Context, _ struct{}, i int) error { return do(ctx, i) })
}

// ForState is like For, with a state for each goroutine, such as a buffer.
// newState makes the state when its goroutine starts. Goroutines are numbered
// from 0.
func ForState[S any](ctx context.Context, workers, n int, newState func(worker int) S, do func(ctx context.Context, state S, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for worker := range min(Workers(workers), n) {
		group.Go(func() error {
			state := newState(worker)
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= n {
					return nil
				}
				if err := do(ctx, state, i); err != nil {
					return err
				}
			}
			return context.Cause(ctx)
		})
	}
	return group.Wait()
}
