package koalago

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/koala-go/sdk/"

// edges lists every import that is allowed outside tests and the standard
// library: whoever adds one says so here.
var edges = map[string][]string{
	"internal/wire":        {},
	"internal/half":        {},
	"internal/vfs":         {"golang.org/x/sys/unix"},
	"internal/safetensors": {"internal/wire"},
	"internal/flax":        {"internal/wire"},
	"weights":              {"internal/wire", "internal/half", "internal/vfs", "internal/safetensors", "internal/flax", "github.com/x448/float16"},
	"diff":                 {"weights", "internal/half", "internal/vfs"},
	"cmd/koala":            {"diff", "weights", "github.com/alecthomas/kong", "github.com/schollz/progressbar/v3", "golang.org/x/term"},
	"examples/applydiff":   {"diff", "weights", "internal/testmodel", "github.com/x448/float16"},

	// for tests, examples and benchmarks
	"internal/testmodel":     {"weights"},
	"internal/fixture":       {},
	"internal/wire/wiretest": {"internal/wire", "internal/fixture", "github.com/stretchr/testify/require"},
}

func TestLayers(t *testing.T) {
	list := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	out, err := list.Output()
	require.NoError(t, err)
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	seen := 0
	for decoder.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		require.NoError(t, decoder.Decode(&p))
		if p.ImportPath+"/" == module {
			continue
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := edges[name]
		require.True(t, known, "package %s has no row in the table of layers", name)
		seen++
		for _, path := range p.Imports {
			path = strings.TrimPrefix(path, module)
			if first, _, _ := strings.Cut(path, "/"); slices.Contains(topLevel, first) || strings.Contains(first, ".") {
				require.Contains(t, allowed, path, "%s imports %s", name, path)
			}
		}
	}
	require.Equal(t, len(edges), seen, "the table of layers has rows for packages that are gone")
}

// topLevel are the module's own directories; other undotted paths are the
// standard library's, whose internal packages cannot be imported anyway.
var topLevel = []string{"internal", "weights", "diff", "cmd", "examples"}
