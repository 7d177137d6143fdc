package koalago

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
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

	// for tests, examples and benchmarks
	"modeltest":              {"tokenizer", "weights", "internal/half", "internal/vfs"},
	"interop/scripted":       {"modeltest", "forward", "weights"},
	"interop/ggufprobe":      {"internal/wire", "internal/half", "internal/gguf"},
	"internal/fixture":       {},
	"internal/wire/wiretest": {"internal/wire", "internal/fixture", "github.com/stretchr/testify/require"},
}

// TestLayers reads the imports of every file, for any system and build tag.
func TestLayers(t *testing.T) {
	seen := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != "." || strings.HasPrefix(e.Name(), ".") && path != "." {
				return filepath.SkipDir // a module of its own, or none of ours
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
	require.Len(t, seen, len(edges), "the table of layers has rows for packages that are gone")
}

// topLevel are the module's own directories; other undotted paths are the
// standard library's.
var topLevel = []string{"internal", "prompt", "tokenizer", "weights", "diff", "dataset", "forward", "backend", "koala", "cmd", "examples", "modeltest"}
