package partition

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRows checks what Rows promises, for all small arguments.
func TestRows(t *testing.T) {
	for rows := int64(1); rows < 40; rows++ {
		for step := int64(1); step < 6; step++ {
			for most := int64(0); most < 45; most++ {
				for multiple := int64(1); multiple < 4; multiple++ {
					n := Rows(rows, step, most, multiple)
					require.Positive(t, n)
					require.Zero(t, n%step)
					require.LessOrEqual(t, n, max(most, step))
				}
			}
		}
	}
	require.Equal(t, int64(34), Rows(100, 1, 40, 1), "equal panels, not 40, 40 and 20")
	require.Equal(t, int64(25), Rows(100, 1, 40, 2), "4 panels for 2 workers")
	require.Equal(t, int64(48), Rows(96, 16, 50, 1))
}

func TestFit(t *testing.T) {
	var tried []int
	plan := func(workers int) (int64, error) {
		tried = append(tried, workers)
		return 10, nil
	}
	workers, need, ok, err := Fit(9, false, 35, plan)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []int{9, 5, 3}, tried)
	require.Equal(t, 3, workers)
	require.Equal(t, int64(30), need)

	for _, fixed := range []bool{true, false} {
		workers, need, ok, err = Fit(1, fixed, 5, plan)
		require.NoError(t, err)
		require.False(t, ok)
		require.Equal(t, 1, workers)
		require.Equal(t, int64(10), need)
	}
	_, need, ok, err = Fit(4, true, 35, plan)
	require.NoError(t, err)
	require.False(t, ok)
	require.Equal(t, int64(40), need)

	broken := errors.New("no such tensor")
	_, _, _, err = Fit(4, false, 35, func(int) (int64, error) { return 0, broken })
	require.ErrorIs(t, err, broken)
}
