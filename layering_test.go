package koalago

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/koala-go/sdk/"

// edges lists the imports that each package may have besides those of the
// standard library. Imports of tests are free.
var edges = map[string][]string{
	"dtype":                {},
	"progress":             {},
	"source":               {},
	"arith":                {"dtype", "internal/half", "github.com/x448/float16"},
	"internal/refusal":     {},
	"internal/bounded":     {"internal/refusal"},
	"internal/strictjson":  {"internal/refusal"},
	"internal/tensor":      {"dtype"},
	"internal/parallel":    {"golang.org/x/sync/errgroup"},
	"internal/cpu":         {"golang.org/x/sys/cpu"},
	"internal/half":        {"internal/cpu", "dtype"},
	"internal/vfs":         {"source", "golang.org/x/sys/unix"},
	"internal/memory":      {"golang.org/x/sys/unix"},
	"internal/dialogue":    {"prompt", "tokenizer"},
	"internal/modeldir":    {"prompt", "tokenizer", "weights"},
	"internal/partition":   {},
	"internal/vfs/vfstest": {"internal/vfs"},
	"internal/safetensors": {"dtype", "internal/bounded", "internal/refusal", "internal/strictjson", "internal/tensor"},
	"internal/flax":        {"dtype", "internal/bounded", "internal/refusal", "internal/tensor"},
	"internal/gguf":        {"dtype", "internal/bounded", "internal/refusal", "internal/tensor"},
	"internal/bleu":        {},
	"internal/porter":      {},
	"eval":                 {"internal/parallel", "internal/porter", "internal/strictjson", "gonum.org/v1/gonum/stat/distuv"},
	"internal/torchfile":   {"dtype", "internal/bounded", "internal/refusal", "internal/tensor"},
	"internal/parquet":     {"internal/bounded", "internal/refusal", "github.com/klauspost/compress/snappy", "github.com/klauspost/compress/zstd"},
	"tokenizer":            {"source", "internal/bounded", "internal/refusal", "internal/strictjson", "internal/vfs", "internal/parallel", "internal/gguf"},
	"weights":              {"dtype", "source", "internal/bounded", "internal/refusal", "internal/strictjson", "internal/tensor", "internal/half", "internal/vfs", "internal/safetensors", "internal/torchfile", "internal/flax", "internal/gguf", "github.com/x448/float16"},
	"diff":                 {"weights", "source", "dtype", "progress", "internal/bounded", "internal/half", "internal/vfs", "internal/memory", "internal/modeldir", "internal/parallel", "internal/partition"},
	"prompt":               {},
	"forward":              {"weights", "progress", "internal/half", "internal/vfs", "internal/memory", "internal/parallel", "internal/partition", "dtype"},
	"backend":              {"koala", "prompt"},
	"backend/local":        {"koala", "prompt", "forward", "tokenizer", "weights", "progress", "internal/half", "internal/memory", "internal/parallel", "dtype"},
	"koala":                {"prompt", "tokenizer", "internal/refusal", "internal/strictjson"},
	"dataset":              {"source", "progress", "internal/parallel", "tokenizer", "dtype", "internal/bounded", "internal/refusal", "internal/strictjson", "internal/tensor", "internal/vfs", "internal/bleu", "internal/parquet", "internal/safetensors", "github.com/klauspost/compress/zstd"},
	"cmd/koala":            {"koala", "backend", "backend/local", "prompt", "dataset", "diff", "eval", "forward", "weights", "tokenizer", "dtype", "progress", "internal/dialogue", "internal/parallel", "internal/refusal", "internal/strictjson", "internal/vfs", "internal/half", "github.com/alecthomas/kong", "github.com/dustin/go-humanize", "github.com/schollz/progressbar/v3", "golang.org/x/term"},
	"examples/prompt":      {"koala", "prompt"},
	"examples/bot":         {"koala", "prompt", "backend/local", "modeltest"},
	"examples/applydiff":   {"diff", "weights", "dtype", "modeltest", "progress", "github.com/x448/float16"},
	"examples/dataset":     {"dataset", "source", "tokenizer"},

	"tokenizer/internal/gen": {},
	"tokenizer/sugarme":      {"internal/parallel", "tokenizer", "github.com/sugarme/tokenizer", "github.com/sugarme/tokenizer/normalizer"},

	// For tests, examples and benchmarks.
	"modeltest":                    {"internal/parallel", "tokenizer", "weights", "dtype", "internal/half", "internal/vfs"},
	"interop/scripted":             {"modeltest", "forward", "weights", "dtype"},
	"interop/ggufprobe":            {"internal/bounded", "internal/refusal", "internal/tensor", "dtype", "internal/half", "internal/gguf"},
	"internal/fixture":             {},
	"internal/refusal/refusaltest": {"internal/bounded", "internal/refusal", "internal/tensor", "internal/fixture", "github.com/stretchr/testify/require"},
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
			imported, own := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module)
			// A path without a dot in its first element is in the standard library.
			if first, _, _ := strings.Cut(imported, "/"); own || strings.Contains(first, ".") {
				require.Contains(t, allowed, imported, "%s imports %s", path, imported)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Len(t, seen, len(edges), "the table of layers has rows for packages that do not exist")
}

// TestLightPackagesStayLight checks that a program which imports a package of the
// SDK does not link the types of sugarme/tokenizer, unless it asks for them.
func TestLightPackagesStayLight(t *testing.T) {
	for _, name := range []string{"koala", "prompt", "tokenizer", "weights", "diff", "cmd/koala"} {
		for _, d := range dependencies(t, name) {
			require.NotContains(t, d, "sugarme", "%s links %s", name, d)
		}
	}
}

// TestKoalaLinksLittle checks that a bot which imports only package koala and
// brings its own Completer links neither network nor archive code.
func TestKoalaLinksLittle(t *testing.T) {
	linked := dependencies(t, "koala")
	for _, d := range linked {
		for _, unwanted := range []string{"net/http", "archive/", "compress/", "github.com/klauspost/compress/"} {
			require.False(t, strings.HasPrefix(d, unwanted), "koala links %s", d)
		}
	}
	require.LessOrEqual(t, len(linked), 90, "koala links %v", linked)
}

// dependencies returns the import paths of all packages that a package links,
// its own included.
func dependencies(t *testing.T, name string) []string {
	out, err := exec.Command("go", "list", "-deps", "./"+name).Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}
