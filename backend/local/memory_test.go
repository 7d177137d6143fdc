package local

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/weights"
)

// TestSlowErrorIsMemoryError finds the memory error in the refusal of a model that
// does not fit into memory, and in no other.
func TestSlowErrorIsMemoryError(t *testing.T) {
	var low *weights.MemoryError
	require.ErrorAs(t, &SlowError{Path: "m", Bytes: 4 << 20, Memory: 2 << 20}, &low)
	require.Equal(t, int64(4<<20), low.Need)
	require.Equal(t, int64(2<<20), low.Limit)
	low = nil
	require.NotErrorAs(t, &SlowError{Path: "m", Bytes: 1, Memory: 2, Rate: 0.5}, &low)
	require.NotErrorAs(t, &SlowError{Path: "m", Bytes: 1, Rate: 0.5}, &low)
}
