package parallel

import (
	"context"
	"iter"
	"sync"
)

// Ordered applies f to each element of a sequence on at most workers goroutines
// and yields the results in the order of the sequence. It iterates over the
// sequence on a goroutine of its own. When ctx is cancelled, the results end.
// When the consumer stops, Ordered returns after all its goroutines have
// stopped.
func Ordered[In, Out any](ctx context.Context, workers int, in iter.Seq[In], f func(In) Out) iter.Seq[Out] {
	workers = Workers(workers)
	return func(yield func(Out) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wait sync.WaitGroup
		defer wait.Wait()
		defer cancel()
		// queue holds a channel per element, in the order of the elements, so
		// that a slow element delays its successors' results but not their
		// work. Its capacity bounds how far the workers run ahead of the
		// consumer.
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

// job is one element, and the channel that receives its result. The channel has
// a buffer of one, so that a worker never waits for the consumer.
type job[In, Out any] struct {
	in  In
	out chan Out
}

// feed sends the elements to the workers. For each element it first sends the
// channel of its result to queue.
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
