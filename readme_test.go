package koalago

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeExampleCompiles finds the README's Go code in ExampleRecover,
// which is compiled and run.
func TestReadmeExampleCompiles(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	code := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	require.Len(t, code, 1)
	example, err := os.ReadFile("diff/example_test.go")
	require.NoError(t, err)
	indented := "\t" + strings.ReplaceAll(strings.TrimSpace(string(code[0][1])), "\n", "\n\t")
	require.Contains(t, string(example), indented)
}
