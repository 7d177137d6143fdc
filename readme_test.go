package koalago

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeExampleCompiles finds the README's Go code in examples, which are
// compiled and run.
func TestReadmeExampleCompiles(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	code := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	places := []string{"diff/example_test.go", "koala/example_test.go"}
	require.Len(t, code, len(places))
	for i, place := range places {
		example, err := os.ReadFile(place)
		require.NoError(t, err)
		indented := "\t" + strings.ReplaceAll(strings.TrimSpace(string(code[i][1])), "\n", "\n\t")
		require.Contains(t, string(example), indented)
	}
}
