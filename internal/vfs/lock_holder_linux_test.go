package vfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLockHolder checks that the error of a second run states which process
// holds the output.
func TestLockHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	first, err := NewStage(OS, path)
	require.NoError(t, err)
	defer func() { require.NoError(t, first.Discard()) }()
	locks, err := os.ReadFile("/proc/locks")
	if err != nil || !strings.Contains(string(locks), fmt.Sprintf(" %d ", os.Getpid())) {
		t.Skipf("this system does not list its locks (%v)", err)
	}
	_, err = NewStage(OS, path)
	require.ErrorIs(t, err, ErrBusy)
	require.ErrorContains(t, err, fmt.Sprintf("in use by another run, process %d", os.Getpid()))
}
