package koalago

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeExampleCompiles looks for the README's Go code in examples, which
// go test compiles and runs.
func TestReadmeExampleCompiles(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	code := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	examples := []string{"diff/example_test.go", "koala/example_test.go"}
	require.Len(t, code, len(examples))
	for i, name := range examples {
		example, err := os.ReadFile(name)
		require.NoError(t, err)
		indented := "\t" + strings.ReplaceAll(strings.TrimSpace(string(code[i][1])), "\n", "\n\t")
		require.Contains(t, string(example), indented)
	}
}

// TestLinks checks that every relative link in a page leads to a file, and
// every link to a section to a heading.
func TestLinks(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	err := filepath.WalkDir(".", func(page string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(page, ".md") || strings.HasPrefix(page, ".") {
			return err
		}
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range links.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			name, section, _ := strings.Cut(m[1], "#")
			target := filepath.Join(filepath.Dir(page), filepath.FromSlash(name))
			if name == "" {
				target = page
			}
			_, err := os.Stat(target)
			require.NoError(t, err, "%s links to %s", page, m[1])
			if section != "" {
				require.Contains(t, headings(t, target), section, "%s links to %s", page, m[1])
			}
		}
		return nil
	})
	require.NoError(t, err)
}

// headings returns the anchors of a page's headings, as GitHub makes them.
func headings(t *testing.T, page string) (anchors []string) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && line[0] == '#' {
			title = regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			anchors = append(anchors, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return anchors
}

// TestReadmeBuildIsStatic runs the README's build command, with its output in
// another folder. The binary must need neither a dynamic linker nor a shared
// library, so that it runs on any Linux distribution and in an empty container.
func TestReadmeBuildIsStatic(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^ {4}((?:\w+=\S+ )*)go (build -o )bin/( \./cmd/koala)\b`).FindStringSubmatch(string(readme))
	require.NotNil(t, line, "README.md has no line that builds the command")
	if testing.Short() {
		t.Skip("it links the command: skipped by -short")
	}
	dir := t.TempDir()
	build := exec.Command("go", strings.Fields(line[2]+dir+string(filepath.Separator)+line[3])...)
	build.Env = append(os.Environ(), strings.Fields(line[1])...)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	binary, err := filepath.Glob(filepath.Join(dir, "koala*")) // koala.exe on Windows
	require.NoError(t, err)
	require.Len(t, binary, 1)
	f, err := elf.Open(binary[0])
	if format := new(elf.FormatError); errors.As(err, &format) {
		t.Skip("binaries of this system are not in ELF format: nothing to ask")
	}
	require.NoError(t, err)
	defer f.Close()
	for _, p := range f.Progs {
		require.NotEqual(t, elf.PT_INTERP, p.Type, "the binary needs a dynamic linker")
	}
	libraries, err := f.DynString(elf.DT_NEEDED)
	require.NoError(t, err)
	require.Empty(t, libraries)
}
