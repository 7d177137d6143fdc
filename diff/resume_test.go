//go:build linux

package diff

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// resumeChild is an environment variable of the processes that these tests start.
const resumeChild = "KOALA_TEST_RESUME"

// resumeJob is the job of such a process.
type resumeJob struct {
	Base, Diff, Out string
	Format          weights.Format
	Shards          int
	Workers         int
	StopAt          int // the call of Progress at which the process kills itself, or zero for none

	FileSize, OpenFiles uint64 // limits of the process, or zero for none
}

// beResumer does the job, in a child process, and ends the process. The journal
// is saved after every panel.
func beResumer() {
	var job resumeJob
	if json.Unmarshal([]byte(os.Getenv(resumeChild)), &job) != nil {
		return
	}
	for resource, limit := range map[int]uint64{syscall.RLIMIT_FSIZE: job.FileSize, syscall.RLIMIT_NOFILE: job.OpenFiles} {
		if limit == 0 {
			continue
		}
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	calls := 0
	_, err := Recover(context.Background(), job.Base, job.Diff, job.Out, &Options{
		Format: job.Format, Shards: job.Shards, Force: true, Resume: true, Workers: job.Workers, Memory: 300_000, journalPanels: 1,
		Progress: func(progress.Progress) {
			if calls++; calls == job.StopAt {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func resumer(t *testing.T, job resumeJob) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(job)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^"+strings.SplitN(t.Name(), "/", 2)[0]+"$")
	cmd.Env = append(os.Environ(), resumeChild+"="+string(text))
	cmd.Stderr = os.Stderr
	return cmd
}

// wanted returns the output of a run that nothing interrupts.
func wanted(t *testing.T, x *trial, o Options) map[string]string {
	t.Helper()
	_, err := Recover(t.Context(), x.base, x.delta, x.out, &o)
	require.NoError(t, err)
	want := snapshot(t, filepath.Dir(x.out))
	require.NoError(t, os.RemoveAll(filepath.Dir(x.out)))
	require.NoError(t, os.Mkdir(filepath.Dir(x.out), 0o755))
	return want
}

// TestResumeAtEveryStep kills a run after each step of its journal and resumes it
// with another number of workers and another memory limit. The bytes, also of the
// manifest, are those of an uninterrupted run.
func TestResumeAtEveryStep(t *testing.T) {
	beResumer()
	inMemory(t)
	for name, o := range map[string]Options{"stream": {Format: easylm}, "directory": {Format: hf}, "2 of Meta": {Format: torch, Shards: 2}, "gguf": {Format: gguf}} {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t)
			want := wanted(t, x, o)
			for at := 1; ; at++ {
				cmd := resumer(t, resumeJob{Base: x.base, Diff: x.delta, Out: x.out, Format: o.Format, Shards: o.Shards, Workers: 1 + at%2, StopAt: at})
				if cmd.Run() == nil {
					require.Greater(t, at, 20, "steps at which the run was killed")
					break
				}
				opts := o
				opts.Resume, opts.Workers, opts.Memory = true, 1+at%3, int64(200_000+100_000*(at%3))
				r, err := Recover(t.Context(), x.base, x.delta, x.out, &opts)
				require.NoError(t, err)
				if at > 3 {
					require.Positive(t, r.Resumed, "killed at %d: nothing was taken over", at)
				}
				require.Equal(t, want, snapshot(t, filepath.Dir(x.out)), "killed at %d", at)
				require.NoError(t, os.RemoveAll(filepath.Dir(x.out)))
				require.NoError(t, os.Mkdir(filepath.Dir(x.out), 0o755))
			}
		})
	}
}

// TestKilledAtRandom kills runs at 200 random moments. Each resumes the one
// before, until one ends. The bytes are those of an uninterrupted run.
func TestKilledAtRandom(t *testing.T) {
	beResumer()
	inMemory(t)
	times := 200
	if testing.Short() {
		times = 20
	}
	x := newTrial(t)
	m := modeltest.Small
	write(t, m, x.base, &modeltest.Options{Format: hf, DType: dtype.F16, Values: m.Base})
	write(t, m, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: m.Diff})
	want := wanted(t, x, Options{})
	job := resumeJob{Base: x.base, Diff: x.delta, Out: x.out, Workers: 2}
	start := time.Now()
	require.NoError(t, resumer(t, job).Run())
	length := int64(time.Since(start)) // runs are killed within this time
	require.NoError(t, os.RemoveAll(x.out))
	random := rand.New(rand.NewPCG(1, 2))
	killed := 0
	for killed < times {
		cmd := resumer(t, job)
		require.NoError(t, cmd.Start())
		time.AfterFunc(time.Duration(random.Int64N(length)), func() { _ = cmd.Process.Kill() })
		if cmd.Wait() != nil {
			killed++
			continue
		}
		require.Equal(t, want, snapshot(t, filepath.Dir(x.out)), "after %d kills", killed)
		require.NoError(t, os.RemoveAll(x.out))
	}
	_, err := Recover(t.Context(), x.base, x.delta, x.out, &Options{Resume: true, Force: true})
	require.NoError(t, err)
	require.Equal(t, want, snapshot(t, filepath.Dir(x.out)))
}

// TestLimits exceeds the limits of a process: of the size of a file, and of the
// number of open files. The error says so, and nothing is left.
func TestLimits(t *testing.T) {
	beResumer()
	x := newTrial(t)
	for says, job := range map[string]resumeJob{
		"file too large":      {FileSize: 100_000},
		"too many open files": {OpenFiles: 9},
	} {
		job.Base, job.Diff, job.Out, job.Workers = x.base, x.delta, x.out, 1
		var stderr strings.Builder
		cmd := resumer(t, job)
		cmd.Stderr = &stderr
		require.Error(t, cmd.Run())
		require.Contains(t, stderr.String(), says)
		require.NotContains(t, stderr.String(), "goroutine", "a stack trace")
	}
	opts := *x.opts
	opts.Resume = true
	_, err := Recover(t.Context(), x.base, x.delta, x.out, &opts)
	require.NoError(t, err)
	require.Len(t, entries(t, filepath.Dir(x.out)), 1)
}
