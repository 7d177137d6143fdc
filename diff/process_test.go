//go:build linux

package diff

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// child is an environment variable of the processes that these tests start. It
// holds, one a line, the base, the diff, the output, the format, and the number
// of the call of Progress at which the process waits to be killed (0 for none).
const child = "KOALA_TEST_CHILD"

// start starts this test binary with the current test and the job.
func start(t *testing.T, job ...any) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+strings.SplitN(t.Name(), "/", 2)[0]+"$")
	lines := strings.TrimSuffix(fmt.Sprintln(strings.Join(strings.Fields(fmt.Sprintln(job...)), "\n")), "\n")
	cmd.Env = append(os.Environ(), child+"="+lines)
	cmd.Stderr = os.Stderr
	return cmd
}

// beChild does the job, in a child process, and ends the process.
func beChild() {
	job := strings.Split(os.Getenv(child), "\n")
	if len(job) != 5 {
		return
	}
	calls := 0
	_, err := Recover(context.Background(), job[0], job[1], job[2], &Options{
		Format: weights.Format(job[3]), Force: true, Workers: workersOf(job[4]),
		Progress: func(progress.Progress) {
			if calls++; fmt.Sprint(calls) == job[4] {
				fmt.Println("ready")
				time.Sleep(time.Hour)
			}
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// workersOf returns 1 for a process that waits at a call of Progress.
func workersOf(call string) int {
	if call == "0" {
		return 0
	}
	return 1
}

// TestKilled kills a process at the first panel, at a later one, and before the
// output is synced. The earlier output is unchanged, and the next run takes over
// what is left.
func TestKilled(t *testing.T) {
	beChild()
	for _, format := range []weights.Format{hf, easylm} {
		for _, call := range []int{1, 12, 22} {
			for _, old := range []bool{false, true} {
				t.Run(fmt.Sprint(format, " at ", call, " over ", old), func(t *testing.T) {
					x := newTrial(t)
					x.opts = &Options{Format: format}
					if old {
						earlier(t, x)
					}
					place := filepath.Dir(x.out)
					before := fmt.Sprint(snapshot(t, x.out))
					kill(t, start(t, x.base, x.delta, x.out, format, call))
					require.Equal(t, before, fmt.Sprint(snapshot(t, x.out)), "the output was touched")
					require.FileExists(t, leftover(place, format), "nothing was in the making: the test is void")

					require.NoError(t, x.do(t, x), "the next run")
					requireValues(t, x.out, modeltest.Tiny, format, dtype.BF16, sum(modeltest.Tiny))
					readManifest(t, x.out)
					require.Len(t, entries(t, place), 1, "leftovers")
				})
			}
		}
	}
}

// leftover returns a file that a killed run leaves.
func leftover(place string, format weights.Format) string {
	name := map[weights.Format]string{hf: "model.safetensors", easylm: "stream"}[format]
	return filepath.Join(place, ".out.koala-partial", name)
}

// kill waits until the child is ready, and kills it.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "the child ended by itself")
	require.Equal(t, "ready\n", line)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
}

// skipInflated skips a test of a process's memory if the measure would be wrong,
// or the disk too small.
func skipInflated(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: writes some GB")
	}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector takes memory of its own")
	}
	if free, err := vfs.OS.Free(t.TempDir()); err != nil || free < 2<<30 {
		t.Skipf("needs 2 GiB of temporary space, %d bytes are free (%v)", free, err)
	}
}

// TestPeakMemory measures the memory of a child that recovers 0.637 G parameters.
// The inputs are sparse files. The outputs need 1.3 GB each, one after the other.
func TestPeakMemory(t *testing.T) {
	beChild()
	skipInflated(t)
	dir := t.TempDir()
	base, delta, out := filepath.Join(dir, "base"), filepath.Join(dir, "delta"), filepath.Join(dir, "out")
	m := modeltest.Large
	require.NoError(t, m.Write(base, &modeltest.Options{Format: hf, DType: dtype.F16}))
	require.NoError(t, m.Write(delta, &modeltest.Options{Format: easylm, DType: dtype.BF16}))
	var info syscall.Stat_t
	require.NoError(t, syscall.Stat(delta, &info))
	if info.Blocks*512 > 100<<20 {
		t.Skip("this file system has no sparse files")
	}
	for _, format := range []weights.Format{easylm, hf} {
		cmd := start(t, base, delta, out, format, 0)
		require.NoError(t, cmd.Run())
		written, err := os.Stat(filepath.Join(out, map[weights.Format]string{hf: "model.safetensors"}[format]))
		require.NoError(t, err)
		require.Greater(t, written.Size(), int64(1_270_000_000))
		peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) >> 10
		t.Logf("%s: %d MiB", format, peak)
		require.Less(t, peak, int64(256), "MiB of memory at the most, into %s", format)
		require.NoError(t, os.RemoveAll(out))
	}
}
