package koalago

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
	modver "golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

const (
	sdk     = "github.com/koala-go/sdk"
	release = "v0.1.0" // release is the version that the nested modules require.
)

// TestModules builds what a user's machine would build. It serves the checkout
// as version v0.1.0 of all its modules, and runs `go install` and `go get` in a
// module cache that is empty. Every example becomes a module of its own.
//
// The nested modules have large dependencies. They are built instead of the SDK
// and the examples if KOALA_MODULES is "nested", as in `.ci/run modules`.
func TestModules(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the SDK a second time: skipped by -short")
	}
	u := newUser(t)
	if os.Getenv("KOALA_MODULES") == "nested" {
		for _, m := range u.modules[1:] {
			t.Run(strings.TrimPrefix(m, sdk+"/"), func(t *testing.T) { u.getModule(t, m) })
		}
		return
	}
	t.Run("SDK", func(t *testing.T) { u.getModule(t, sdk) })
	for _, dir := range examples(t) {
		t.Run("copy of "+filepath.ToSlash(dir), func(t *testing.T) { u.buildCopy(t, dir) })
	}
}

// examples returns the folders of the examples that belong to the SDK's module.
func examples(t *testing.T) []string {
	files, err := filepath.Glob("examples/*/main.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for i := range files {
		files[i] = filepath.Dir(files[i])
	}
	return files
}

// user is the machine of a user: an environment for the go command in which the
// checkout is released and nothing is cached.
type user struct {
	env     []string
	modules []string // modules are the paths of the released modules.
}

// newUser releases the checkout. The test is skipped where it cannot run: without
// git, or without the dependencies and a network to download them from.
func newUser(t *testing.T) *user {
	requireModules(t)
	dir := t.TempDir()
	u := &user{modules: writeProxy(t, filepath.Join(dir, "proxy"))}
	proxies := []string{fileURL(filepath.Join(dir, "proxy")), fileURL(filepath.Join(goEnv(t, "GOMODCACHE"), "cache", "download")), goEnv(t, "GOPROXY")}
	u.env = append(os.Environ(),
		"GOPROXY="+strings.Join(proxies, ","),
		"GOMODCACHE="+filepath.Join(dir, "cache"),
		"GOPATH="+filepath.Join(dir, "path"),
		"GOBIN="+filepath.Join(dir, "bin"),
		"GOFLAGS=-trimpath -modcacherw", // -trimpath shares the build cache with other runs
		"GOWORK=off",
		"GOTOOLCHAIN=local",
		"GOPRIVATE=", "GONOPROXY=", "GONOSUMDB=",
		"GOSUMDB=off", // the release has no checksum there; go.sum has those of the dependencies
	)
	return u
}

// requireModules skips the test if a dependency can be neither found nor
// downloaded. In CI it fails instead.
func requireModules(t *testing.T) {
	out, err := goCommand(".", append(os.Environ(), "GOWORK=off"), "mod", "download")
	if err == nil {
		_, err = exec.Command("git", "rev-parse", "--git-dir").Output()
		out = "git does not know this folder: its files cannot be listed"
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true" || os.Getenv("KOALA_REQUIRE_SHARED") != "":
		t.Fatalf("%v: %s", err, out)
	default:
		t.Skipf("needs git and the module's dependencies: %v: %s", err, out)
	}
}

// getModule installs the programs of a module, and adds the module to one of the
// user's.
func (u *user) getModule(t *testing.T, m string) {
	dir := t.TempDir()
	u.run(t, dir, "mod", "init", "example.com/user")
	u.run(t, dir, "get", m+"@"+release)
	u.run(t, dir, "get", m+"/...@"+release) // records the checksums of what its packages import
	programs := strings.Fields(u.run(t, dir, "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}@{{.Module.Version}}{{end}}`, m+"/..."))
	if len(programs) > 0 {
		u.run(t, dir, append([]string{"install"}, programs...)...)
	}
}

// buildCopy builds an example as a module of its own.
func (u *user) buildCopy(t *testing.T, example string) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(example)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), fmt.Appendf(nil, "module example.com/copy\n\ngo 1.26.0\n\nrequire %s %s\n", sdk, release), 0o644))
	sums, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644))
	u.run(t, dir, "build", "-mod=mod", "-o", t.TempDir()+string(filepath.Separator), ".")
	u.run(t, dir, "vet", "-mod=mod", ".") // type-checks the tests as well
}

// run runs the go command in a folder and returns its standard output.
func (u *user) run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := goCommand(dir, u.env, args...)
	require.NoError(t, err, "go %s\n%s", strings.Join(args, " "), out)
	return out
}

// goCommand runs the go command and returns its standard output, or all its
// output if it fails.
func goCommand(dir string, env []string, args ...string) (string, error) {
	c := exec.Command("go", args...)
	var stdout, all bytes.Buffer
	c.Dir, c.Env = dir, env
	c.Stdout, c.Stderr = io.MultiWriter(&stdout, &all), &all
	if err := c.Run(); err != nil {
		return all.String(), err
	}
	return stdout.String(), nil
}

func goEnv(t *testing.T, name string) string {
	out, err := goCommand(".", nil, "env", name)
	require.NoError(t, err, out)
	return strings.TrimSpace(out)
}

// fileURL returns the URL of an absolute path.
func fileURL(name string) string {
	return (&url.URL{Scheme: "file", Path: path.Join("/", filepath.ToSlash(name))}).String()
}

// writeProxy writes every module of the checkout to a file-system module proxy
// (go.dev/ref/mod#goproxy-protocol) and returns their paths, the SDK's first.
func writeProxy(t *testing.T, proxy string) (modules []string) {
	files := checkoutFiles(t)
	for _, name := range files {
		if path.Base(name) != "go.mod" {
			continue
		}
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		f, err := modfile.Parse(name, b, nil)
		require.NoError(t, err)
		dir := path.Dir(name)
		require.Equal(t, path.Join(sdk, dir), f.Module.Mod.Path)
		require.Empty(t, f.Replace, "%s: users of a module do not get its replace directives", name)
		writeRelease(t, proxy, f.Module.Mod.Path, b, filesBelow(files, dir))
		modules = append(modules, f.Module.Mod.Path)
	}
	slices.Sort(modules)
	require.Equal(t, sdk, modules[0])
	return modules
}

// writeRelease writes the four files of a module's version.
func writeRelease(t *testing.T, proxy, m string, mod []byte, files []modzip.File) {
	escaped, err := modver.EscapePath(m)
	require.NoError(t, err)
	dir := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{release, time.Now().UTC()})
	require.NoError(t, err)
	var archive bytes.Buffer
	require.NoError(t, modzip.Create(&archive, modver.Version{Path: m, Version: release}, files))
	for name, b := range map[string][]byte{"list": []byte(release + "\n"), release + ".info": info, release + ".mod": mod, release + ".zip": archive.Bytes()} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
}

// TestModulesAreListed compares the modules of the checkout with those that the
// workspace builds and that dependabot updates.
func TestModulesAreListed(t *testing.T) {
	workspace, err := os.ReadFile("go.work")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("a released module has no go.work")
	}
	require.NoError(t, err)
	work, err := modfile.ParseWork("go.work", workspace, nil)
	require.NoError(t, err)
	var used []string
	for _, u := range work.Use {
		used = append(used, path.Join("/", u.Path))
	}
	b, err := os.ReadFile(".github/dependabot.yml")
	require.NoError(t, err)
	var updated []string
	for _, m := range regexp.MustCompile(`(?m)^ +- (/\S*)$`).FindAllSubmatch(b, -1) {
		updated = append(updated, string(m[1]))
	}
	var folders []string
	require.NoError(t, filepath.WalkDir(".", func(name string, e fs.DirEntry, err error) error {
		if e != nil && e.Name() == "go.mod" {
			folders = append(folders, path.Join("/", path.Dir(filepath.ToSlash(name))))
		}
		return err
	}))
	require.ElementsMatch(t, folders, used)
	require.ElementsMatch(t, folders, updated)
}

// checkoutFiles returns the regular files that git tracks or would track.
func checkoutFiles(t *testing.T) (files []string) {
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate").Output()
	require.NoError(t, err)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() { // a deleted file is still listed
			files = append(files, name)
		}
	}
	return files
}

// filesBelow returns the files of a folder, by their paths in it. Package zip
// leaves out those of nested modules.
func filesBelow(files []string, dir string) (below []modzip.File) {
	for _, name := range files {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			below = append(below, moduleFile{rest, name})
		} else if dir == "." {
			below = append(below, moduleFile{name, name})
		}
	}
	return below
}

// moduleFile is a file of a module: its path there, and on the disk.
type moduleFile struct{ path, name string }

func (f moduleFile) Path() string                 { return f.path }
func (f moduleFile) Lstat() (fs.FileInfo, error)  { return os.Lstat(f.name) }
func (f moduleFile) Open() (io.ReadCloser, error) { return os.Open(f.name) }
