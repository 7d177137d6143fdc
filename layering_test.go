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
	"dtype":                {},
	"progress":             {},
	"source":               {},
	"internal/refusal":     {},
	"internal/bounded":     {"internal/refusal"},
	"internal/strictjson":  {"internal/refusal"},
	"internal/tensor":      {"dtype"},
	"internal/parallel":    {"golang.org/x/sync/errgroup"},
	"internal/cpu":         {"golang.org/x/sys/cpu"},
	"internal/half":        {"internal/cpu", "dtype"},
	"internal/vfs":         {"golang.org/x/sys/unix"},
	"internal/memory":      {"golang.org/x/sys/unix"},
	"internal/safetensors": {"dtype", "internal/bounded", "internal/refusal", "internal/strictjson", "internal/tensor"},
	"internal/flax":        {"dtype", "internal/bounded", "internal/refusal", "internal/tensor"},
	"internal/gguf":        {"dtype", "internal/bounded", "internal/refusal", "internal/tensor"},
	"internal/bleu":        {},
	"internal/torchfile":   {"dtype", "internal/bounded", "internal/refusal", "internal/tensor"},
	"internal/parquet":     {"internal/bounded", "internal/refusal", "github.com/klauspost/compress/snappy", "github.com/klauspost/compress/zstd"},
	"tokenizer":            {"source", "internal/bounded", "internal/refusal", "internal/strictjson", "internal/vfs", "internal/parallel", "internal/gguf", "google.golang.org/protobuf/encoding/protowire"},
	"weights":              {"dtype", "internal/bounded", "internal/refusal", "internal/strictjson", "internal/tensor", "internal/half", "internal/vfs", "internal/safetensors", "internal/torchfile", "internal/flax", "internal/gguf", "github.com/x448/float16"},
	"diff":                 {"weights", "tokenizer", "prompt", "dtype", "internal/bounded", "internal/half", "internal/vfs", "internal/memory"},
	"prompt":               {},
	"forward":              {"weights", "tokenizer", "prompt", "internal/half", "internal/vfs", "internal/memory", "dtype"},
	"backend":              {"koala", "prompt"},
	"backend/local":        {"koala", "prompt", "forward", "tokenizer", "weights", "internal/half", "internal/memory", "dtype"},
	"koala":                {"prompt", "tokenizer", "internal/refusal", "internal/strictjson"},
	"dataset":              {"tokenizer", "dtype", "internal/bounded", "internal/refusal", "internal/strictjson", "internal/tensor", "internal/vfs", "internal/bleu", "internal/parquet", "internal/safetensors", "github.com/klauspost/compress/zstd"},
	"cmd/koala":            {"koala", "backend", "backend/local", "prompt", "dataset", "diff", "forward", "weights", "tokenizer", "dtype", "internal/parallel", "internal/refusal", "internal/strictjson", "internal/vfs", "internal/half", "progress", "github.com/alecthomas/kong", "github.com/dustin/go-humanize", "github.com/schollz/progressbar/v3", "golang.org/x/term"},
	"examples/prompt":      {"koala", "prompt"},
	"examples/bot":         {"koala", "prompt", "backend/local", "modeltest"},
	"examples/applydiff":   {"diff", "weights", "dtype", "modeltest", "github.com/x448/float16"},
	"examples/dataset":     {"dataset", "tokenizer"},

	"tokenizer/internal/gen": {},
	"tokenizer/sugarme":      {"tokenizer", "github.com/sugarme/tokenizer", "github.com/sugarme/tokenizer/normalizer"},

	// for tests, examples and benchmarks
	"modeltest":                    {"tokenizer", "weights", "dtype", "internal/half", "internal/vfs"},
	"interop/scripted":             {"modeltest", "forward", "weights", "dtype"},
	"interop/ggufprobe":            {"internal/bounded", "internal/refusal", "internal/tensor", "dtype", "internal/half", "internal/gguf"},
	"internal/fixture":             {},
	"internal/refusal/refusaltest": {"internal/refusal", "internal/fixture", "github.com/stretchr/testify/require"},
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
