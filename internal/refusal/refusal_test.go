package refusal_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal"
)

func TestErrorText(t *testing.T) {
	err := refusal.Malformed(12, "a\nb", "thing %d is off", 7)
	require.EqualError(t, err, `thing 7 is off: byte 12, tensor "a\nb"`)
	require.EqualError(t, refusal.Truncated(3, "", "short"), "short: byte 3")
	require.ErrorIs(t, refusal.Unsupported(0, "", "x"), refusal.ErrUnsupported)
	require.ErrorIs(t, fmt.Errorf("file: %w", err), refusal.ErrMalformed)
}
