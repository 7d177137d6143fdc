package diff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// productChild is an environment variable of the processes that
// TestFixturesDoNotDepend starts.
const productChild = "KOALA_TEST_PRODUCT"

// TestFixturesDoNotDepend recovers every fixture, from every form of its base
// into every format, with several kernels, numbers of workers and memory limits,
// without interruption and resumed. The files are always the same.
func TestFixturesDoNotDepend(t *testing.T) {
	_ = shared(t)
	inMemory(t)
	if os.Getenv(productChild) != "" {
		require.Equal(t, os.Getenv("KOALA_KERNEL"), half.Kernel())
		text, err := json.Marshal(recoverProduct(t))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(os.Getenv(productChild), text, 0o644))
		return
	}
	want, err := json.Marshal(recoverProduct(t))
	require.NoError(t, err)
	for _, kernel := range otherKernels() {
		t.Run(kernel, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "digests")
			cmd := exec.Command(os.Args[0], "-test.run=^TestFixturesDoNotDepend$", fmt.Sprint("-test.short=", testing.Short()))
			cmd.Env = append(os.Environ(), productChild+"="+file, "KOALA_KERNEL="+kernel)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			got, err := os.ReadFile(file)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got))
		})
	}
}

// otherKernels returns the kernels that this processor can run, but for the one
// in use.
func otherKernels() []string {
	lower := map[string][]string{"AVX512": {"AVX2", "generic"}, "AVX2": {"generic"}, "NEON": {"generic"}}
	return lower[half.Kernel()]
}

// recoverProduct returns the digests of the outputs by fixture, base and format.
func recoverProduct(t *testing.T) map[string]map[string]string {
	t.Helper()
	all := make(map[string]map[string]string)
	for shape, list := range bases {
		if testing.Short() && shape != "D" {
			continue
		}
		for _, base := range list {
			for _, format := range []weights.Format{hf, easylm, torch, gguf} {
				name := fmt.Sprint(shape, "/", base, "/", format)
				in, delta := shared(t, shape, "base", base), shared(t, shape, "diff", "diff-bf16.stream")
				all[name] = recoverWays(t, name, in, delta, &Options{Format: format, Heads: heads[shape]})
			}
		}
	}
	return all
}

// recoverWays recovers with several numbers of workers and memory limits. Every
// other run is stopped after some panels and resumed with other options.
func recoverWays(t *testing.T, name, base, delta string, o *Options) map[string]string {
	t.Helper()
	var first map[string]string
	place := t.TempDir()
	out := filepath.Join(place, "out")
	for i, way := range []struct {
		workers int
		memory  int64
	}{{1, 0}, {2, 300_000}, {3, 1 << 20}, {8, 2 << 20}, {1, 64 << 10}} {
		opts := *o
		opts.Workers, opts.Memory = way.workers, way.memory
		if i%2 == 1 {
			opts.Resume = true
			stopAfter(t, base, delta, out, &opts, 2+3*i)
			opts.Workers, opts.Memory = 3-way.workers%2, 2<<20
		}
		_, err := Recover(t.Context(), base, delta, out, &opts)
		require.NoError(t, err, name)
		got := make(map[string]string)
		for path, digest := range snapshot(t, place) {
			got[strings.TrimPrefix(path, place)] = digest
		}
		if first == nil {
			first = got
		}
		require.Equal(t, first, got, "%s, %+v", name, way)
		require.NoError(t, os.RemoveAll(place))
		require.NoError(t, os.Mkdir(place, 0o755))
	}
	return first
}

// stopAfter stops a run after some panels, and leaves what it wrote.
func stopAfter(t *testing.T, base, delta, out string, o *Options, panels int) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	calls := 0
	opts := *o
	opts.journalPanels = 1
	opts.Progress = func(progress.Progress) {
		if calls++; calls == panels {
			cancel(enough)
		}
	}
	_, err := Recover(ctx, base, delta, out, &opts)
	require.ErrorIs(t, err, enough)
	require.NoFileExists(t, out)
	require.Len(t, entries(t, filepath.Dir(out)), 1, "what is in the making")
}
