package koalago

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/koala-go/sdk/"

// edges lists the imports that each package may have besides those of the
// standard library. Imports of tests are free.
var edges = map[string][]string{
	"internal/wire":        {},
	"internal/cpu":         {"golang.org/x/sys/cpu"},
	"internal/half":        {"internal/cpu"},
	"internal/vfs":         {"golang.org/x/sys/unix"},
	"internal/memory":      {"golang.org/x/sys/unix"},
	"internal/safetensors": {"internal/wire"},
	"internal/flax":        {"internal/wire"},
	"internal/gguf":        {"internal/wire"},
	"internal/bleu":        {},
	"internal/torchfile":   {"internal/wire"},
	"internal/parquet":     {"internal/wire", "github.com/klauspost/compress/snappy", "github.com/klauspost/compress/zstd"},
	"tokenizer":            {"internal/wire", "internal/vfs", "internal/gguf", "google.golang.org/protobuf/encoding/protowire"},
	"weights":              {"internal/wire", "internal/half", "internal/vfs", "internal/safetensors", "internal/torchfile", "internal/flax", "internal/gguf", "github.com/x448/float16"},
	"diff":                 {"weights", "tokenizer", "prompt", "internal/wire", "internal/half", "internal/vfs", "internal/memory"},
	"prompt":               {},
	"forward":              {"weights", "tokenizer", "prompt", "internal/half", "internal/vfs", "internal/memory"},
	"backend":              {"prompt", "tokenizer"},
	"backend/local":        {"backend", "forward", "tokenizer", "weights", "internal/half", "internal/memory"},
	"koala":                {"backend", "prompt", "tokenizer", "internal/wire"},
	"dataset":              {"tokenizer", "internal/wire", "internal/vfs", "internal/bleu", "internal/parquet", "internal/safetensors", "github.com/klauspost/compress/zstd"},
	"cmd/koala":            {"koala", "backend", "backend/local", "prompt", "dataset", "diff", "forward", "weights", "tokenizer", "internal/wire", "internal/vfs", "internal/half", "github.com/alecthomas/kong", "github.com/schollz/progressbar/v3", "golang.org/x/term"},
	"examples/prompt":      {"koala", "prompt"},
	"examples/bot":         {"koala", "prompt", "backend/local", "modeltest"},
	"examples/applydiff":   {"diff", "weights", "modeltest", "github.com/x448/float16"},
	"examples/dataset":     {"dataset", "tokenizer"},

	"tokenizer/internal/gen": {},
	"tokenizer/sugarme":      {"tokenizer", "github.com/sugarme/tokenizer"},

	// For tests, examples and benchmarks.
	"modeltest":              {"tokenizer", "weights", "internal/half", "internal/vfs"},
	"interop/scripted":       {"modeltest", "forward", "weights"},
	"interop/ggufprobe":      {"internal/wire", "internal/half", "internal/gguf"},
	"internal/fixture":       {},
	"internal/wire/wiretest": {"internal/wire", "internal/fixture", "github.com/stretchr/testify/require"},
}

// TestLayers compares the imports of every file, for all systems and build tags,
// with the table.
func TestLayers(t *testing.T) {
	seen := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != "." || strings.HasPrefix(e.Name(), ".") && path != "." {
				return filepath.SkipDir // another module, or a folder that the go command ignores
			}
			return nil
		}
		name := filepath.ToSlash(filepath.Dir(path))
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || name == "." {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		require.NoError(t, err)
		allowed, known := edges[name]
		require.True(t, known, "package %s has no row in the table of layers", name)
		seen[name] = true
		for _, i := range file.Imports {
			imported := strings.TrimPrefix(strings.Trim(i.Path.Value, `"`), module)
			if first, _, _ := strings.Cut(imported, "/"); slices.Contains(topLevel, first) || strings.Contains(first, ".") {
				require.Contains(t, allowed, imported, "%s imports %s", path, imported)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Len(t, seen, len(edges), "the table of layers has rows for packages that do not exist")
}

// topLevel lists the module's own folders. Any other import path without a dot is
// part of the standard library.
var topLevel = []string{"internal", "prompt", "tokenizer", "weights", "diff", "dataset", "forward", "backend", "koala", "cmd", "examples", "modeltest"}

// TestLightPackagesStayLight checks that a program which imports a package of the
// SDK does not link the types of sugarme/tokenizer, unless it asks for them.
func TestLightPackagesStayLight(t *testing.T) {
	for _, name := range []string{"koala", "prompt", "tokenizer", "weights", "diff", "cmd/koala"} {
		for _, d := range dependencies(t, name) {
			require.NotContains(t, d, "sugarme", "%s links %s", name, d)
		}
	}
}

// dependencies returns the import paths of all packages that a package links,
// its own included.
func dependencies(t *testing.T, name string) []string {
	out, err := exec.Command("go", "list", "-deps", "./"+name).Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}
