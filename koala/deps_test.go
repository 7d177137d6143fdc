package koala_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDependencies checks that a bot which imports this package links no
// network, archive or compression code unless it imports a backend.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	all := strings.Fields(string(out))
	require.LessOrEqual(t, len(all), 90)
	for _, path := range all {
		first, _, _ := strings.Cut(path, "/")
		require.NotContains(t, []string{"net", "archive", "compress"}, first, path)
		require.NotContains(t, path, "klauspost", path)
	}
}
