package parallel

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEach makes every call once, by workers of the stated numbers, with Each
// and with teams of many rounds.
func TestEach(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8} {
		team := NewTeam(workers)
		for _, n := range []int{0, 1, 2, 7, 1000} {
			for name, each := range map[string]func(n int, do func(worker, i int)){
				"Each": func(n int, do func(worker, i int)) { Each(workers, n, do) },
				"Team": team.Each,
			} {
				calls := make([]atomic.Int32, n)
				each(n, func(worker, i int) {
					if worker < 0 || worker >= workers {
						t.Errorf("%s: worker %d of %d", name, worker, workers)
					}
					calls[i].Add(1)
				})
				for i := range calls {
					require.Equal(t, int32(1), calls[i].Load(), "%s: call %d of %d with %d workers", name, i, n, workers)
				}
			}
		}
		team.Stop()
	}
}

// TestTeamStops leaves no goroutine behind, also without any round.
func TestTeamStops(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10 {
		NewTeam(4).Stop()
	}
	// A helper counts as ended a moment before its goroutine is gone.
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 5*time.Second, time.Millisecond) // Eventually runs one itself
	new(Team).Each(3, func(worker, _ int) { require.Zero(t, worker) })
}
