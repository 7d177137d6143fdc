//go:build unix

package weights_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/weights"
)

// TestBusy writes one output twice at the same time.
func TestBusy(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	p := plan(t, "shards")
	first, err := p.Create(t.Context(), out, nil)
	require.NoError(t, err)
	_, err = p.Create(t.Context(), out, &weights.CreateOptions{Replace: true})
	require.ErrorIs(t, err, weights.ErrBusy)
	fill(t, first, p)
	require.NoError(t, first.Commit())
	requireFilled(t, out, p)
}
