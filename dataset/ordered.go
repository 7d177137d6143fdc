package dataset

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// ordered applies f to all of a sequence on some goroutines and gives the
// results in the sequence's order. The sequence runs on a goroutine of its
// own. When ctx ends, so do the results; when the consumer stops, everything
// has stopped before ordered returns.
func ordered[In, Out any](ctx context.Context, workers int, in iter.Seq[In], f func(In) Out) iter.Seq[Out] {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return func(yield func(Out) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wait sync.WaitGroup
		defer wait.Wait()
		defer cancel()
		jobs := make(chan job[In, Out])
		queue := make(chan chan Out, 2*workers)
		wait.Go(func() { feed(ctx, in, jobs, queue) })
		for range workers {
			wait.Go(func() {
				for j := range jobs {
					j.out <- f(j.in)
				}
			})
		}
		for out := range queue {
			select {
			case x := <-out:
				if !yield(x) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// job is one piece of work; out has room for its result.
type job[In, Out any] struct {
	in  In
	out chan Out
}

// feed hands out work, and the places of its results in their order.
func feed[In, Out any](ctx context.Context, in iter.Seq[In], jobs chan<- job[In, Out], queue chan<- chan Out) {
	defer close(jobs)
	defer close(queue)
	for x := range in {
		out := make(chan Out, 1)
		select {
		case queue <- out:
		case <-ctx.Done():
			return
		}
		select {
		case jobs <- job[In, Out]{x, out}:
		case <-ctx.Done():
			return
		}
	}
}
