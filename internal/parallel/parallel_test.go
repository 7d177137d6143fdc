package parallel_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/parallel"
)

func TestForCallsEachNumberOnce(t *testing.T) {
	for _, workers := range []int{0, 1, 3, 100} {
		for _, n := range []int{0, 1, 7, 1000} {
			calls := make([]atomic.Int32, n)
			require.NoError(t, parallel.For(t.Context(), workers, n, func(_ context.Context, i int) error {
				calls[i].Add(1)
				return nil
			}))
			for i := range calls {
				require.EqualValues(t, 1, calls[i].Load())
			}
		}
	}
}

func TestForStopsAtTheFirstError(t *testing.T) {
	failed := errors.New("failed")
	var begun atomic.Int32
	err := parallel.For(t.Context(), 2, 1_000_000, func(_ context.Context, i int) error {
		begun.Add(1)
		if i == 10 {
			return failed
		}
		return nil
	})
	require.ErrorIs(t, err, failed)
	require.Less(t, begun.Load(), int32(1_000_000))
}

func TestForReturnsTheCauseOfTheContext(t *testing.T) {
	cause := errors.New("no more time")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := parallel.For(ctx, 2, 1000, func(_ context.Context, i int) error {
		if i == 5 {
			cancel(cause)
		}
		return nil
	})
	require.ErrorIs(t, err, cause)
}

func TestForStateMakesOneStateAGoroutine(t *testing.T) {
	var made atomic.Int32
	require.NoError(t, parallel.ForState(t.Context(), 3, 100, func(worker int) *int {
		made.Add(1)
		return new(worker)
	}, func(_ context.Context, state *int, _ int) error {
		if *state < 0 || *state > 2 {
			return errors.New("the worker's number is out of range")
		}
		return nil
	}))
	require.LessOrEqual(t, made.Load(), int32(3))
}

func TestOrderedKeepsTheOrder(t *testing.T) {
	in := make([]int, 1000)
	for i := range in {
		in[i] = i
	}
	got := slices.Collect(parallel.Ordered(t.Context(), 4, slices.Values(in), func(i int) int { return 2 * i }))
	require.Len(t, got, len(in))
	for i, x := range got {
		require.Equal(t, 2*i, x)
	}
	for x := range parallel.Ordered(t.Context(), 4, slices.Values(in), func(i int) int { return i }) {
		if x == 10 {
			break // the consumer stops early
		}
	}
}
