package diff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/progress"
)

// limited is an environment variable of the processes that these tests start.
const limited = "KOALA_TEST_LIMITED"

// limitedJob is a recovery in a process with limits.
type limitedJob struct {
	Base, Diff, Out string
	Format          weights.Format
	Workers         int
	Memory          int64
	Resume          bool

	Data   uint64 // the limit of private memory in bytes, or zero for none
	User   int    // the user of the process, or zero for the user who starts it
	CGroup string // the control group of the process, or empty for none
	Disk   string // a directory on which a file system of 1 MiB is mounted, or empty for none
	FillAt string // when the disk is filled up: "plan", "run", or empty for never
}

// beLimited does the job, in a child process, and ends the process.
func beLimited() {
	var job limitedJob
	if json.Unmarshal([]byte(os.Getenv(limited)), &job) != nil {
		return
	}
	if err := job.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (job *limitedJob) run() error {
	if job.CGroup != "" {
		if err := os.WriteFile(filepath.Join(job.CGroup, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return err
		}
	}
	if job.Data > 0 {
		if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: job.Data, Max: job.Data}); err != nil {
			return err
		}
	}
	if job.User > 0 {
		if err := syscall.Setuid(job.User); err != nil {
			return err
		}
	}
	if job.Disk != "" {
		return job.onSmallDisk()
	}
	_, err := Recover(context.Background(), job.Base, job.Diff, job.Out, job.options())
	return err
}

func (job *limitedJob) options() *Options {
	return &Options{Format: job.Format, Workers: job.Workers, Memory: job.Memory, Force: true, Resume: job.Resume}
}

func startLimited(t *testing.T, job *limitedJob) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(job)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^"+strings.SplitN(t.Name(), "/", 2)[0]+"$")
	cmd.Env = append(os.Environ(), limited+"="+string(text))
	return cmd
}

// middle has 0.13 G parameters. Its tensors are as large as Large's.
var middle = modeltest.Model{Layers: 1, Dim: 2048, FFN: 5504, Vocab: 20000, Heads: 16, Seed: 1}

// sparsePair writes an input of zeros in each layout, in sparse files.
func sparsePair(t *testing.T, m modeltest.Model) (base, delta, place string) {
	t.Helper()
	dir := t.TempDir()
	base, delta, place = filepath.Join(dir, "base"), filepath.Join(dir, "delta"), filepath.Join(dir, "place")
	require.NoError(t, os.Mkdir(place, 0o755))
	require.NoError(t, m.Write(base, &modeltest.Options{Format: hf, DType: dtype.F16}))
	require.NoError(t, m.Write(delta, &modeltest.Options{Format: easylm, DType: dtype.BF16}))
	return base, delta, place
}

// TestMemoryLimit measures processes with low memory limits, and with more
// workers than the limits have room for.
func TestMemoryLimit(t *testing.T) {
	beLimited()
	skipInflated(t)
	base, delta, place := sparsePair(t, middle)
	for _, format := range []weights.Format{hf, easylm, gguf} {
		for _, memory := range []int64{96 << 20, 128 << 20} {
			for _, workers := range []int{1, 2, 8} {
				cmd := startLimited(t, &limitedJob{Base: base, Diff: delta, Out: filepath.Join(place, "out"), Format: format, Workers: workers, Memory: memory})
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
				require.LessOrEqual(t, peakOf(cmd), memory, "bytes, %s with %d workers", format, workers)
				require.NoError(t, os.RemoveAll(filepath.Join(place, "out")))
			}
		}
	}
}

// TestUnder512MiB runs in a process that cannot have more memory: by a limit of
// the process, and by a control group.
func TestUnder512MiB(t *testing.T) {
	beLimited()
	skipInflated(t)
	const limit = 512 << 20
	base, delta, place := sparsePair(t, modeltest.Large)
	group, err := memoryGroup(t, limit)
	for name, job := range map[string]limitedJob{"limit of the process": {Data: limit}, "control group": {CGroup: group}} {
		t.Run(name, func(t *testing.T) {
			if job.Data == 0 && err != nil {
				t.Skipf("no control group can be made here: %v", err)
			}
			job.Base, job.Diff, job.Out = base, delta, filepath.Join(place, "out")
			out, err := startLimited(t, &job).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.NoError(t, os.RemoveAll(job.Out))
		})
	}
	for _, file := range []string{"memory.max_usage_in_bytes", "memory.peak"} {
		if text, err := os.ReadFile(filepath.Join(group, file)); err == nil {
			used, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			require.NoError(t, err)
			require.Greater(t, used, int64(64<<20), "the process was not in the group: the test is void")
		}
	}
}

// memoryGroup creates a control group whose processes share a limit of memory,
// which includes their page cache.
func memoryGroup(t *testing.T, limit int64) (string, error) {
	t.Helper()
	var last error
	for _, kind := range []struct{ dir, file string }{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}} {
		group := filepath.Join(kind.dir, fmt.Sprintf("koala-test-%d", os.Getpid()))
		if last = os.Mkdir(group, 0o755); last != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(group) })
		if last = os.WriteFile(filepath.Join(group, kind.file), []byte(strconv.FormatInt(limit, 10)), 0); last == nil {
			return group, nil
		}
	}
	return "", last
}

// peakOf returns the peak of a process's memory.
func peakOf(cmd *exec.Cmd) int64 {
	return int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) << 10
}

// TestReadOnlyDirectory writes into a directory where the user can neither write
// nor replace a file.
func TestReadOnlyDirectory(t *testing.T) {
	beLimited()
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	const nobody = 65534
	x := newTrial(t)
	for dir := filepath.Dir(x.base); dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	earlier(t, x)
	before := snapshot(t, filepath.Dir(x.out))
	for _, resume := range []bool{false, true} {
		out, err := startLimited(t, &limitedJob{Base: x.base, Diff: x.delta, Out: x.out, User: nobody, Resume: resume}).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "permission denied")
		require.Contains(t, string(out), filepath.Dir(x.out))
		require.NotContains(t, string(out), "goroutine", "a stack trace")
		require.Equal(t, before, snapshot(t, filepath.Dir(x.out)))
		require.Len(t, entries(t, filepath.Dir(x.out)), 1)
	}
}

// TestFullDisk recovers on a file system of 1 MiB, which a child mounts for
// itself alone. The disk has too little room from the start, is filled up after
// the plan, or during the run. The old output is unchanged, and the next run
// succeeds once there is room.
func TestFullDisk(t *testing.T) {
	beLimited()
	if out, err := inNamespace(exec.Command("/bin/true")).CombinedOutput(); err != nil {
		t.Skipf("no user and mount namespaces here: %v %s", err, out)
	}
	for _, format := range []weights.Format{hf, easylm} {
		for _, fill := range []string{"before", "plan", "run"} {
			for _, resume := range []bool{false, true} {
				t.Run(fmt.Sprint(format, ", ", fill, ", resume ", resume), func(t *testing.T) {
					x := newTrial(t)
					job := &limitedJob{Base: x.base, Diff: x.delta, Out: x.out, Format: format, Disk: filepath.Dir(x.out), FillAt: fill, Resume: resume}
					out, err := inNamespace(startLimited(t, job)).CombinedOutput()
					require.NoError(t, err, "%s", out)
				})
			}
		}
	}
}

// inNamespace lets a command mount file systems that no other process sees.
func inNamespace(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	return cmd
}

// onSmallDisk is the child's part of TestFullDisk.
func (job *limitedJob) onSmallDisk() error {
	if err := unix.Mount("tmpfs", job.Disk, "tmpfs", 0, "size=1m"); err != nil {
		return err
	}
	if _, err := Recover(context.Background(), job.Base, job.Diff, job.Out, job.options()); err != nil {
		return fmt.Errorf("with enough room: %w", err)
	}
	old, err := os.ReadFile(job.weightsFile())
	if err != nil {
		return err
	}
	ballast := filepath.Join(job.Disk, "ballast")
	err = job.fail(ballast)
	now, readErr := os.ReadFile(job.weightsFile())
	switch {
	case !errors.Is(err, syscall.ENOSPC) && !isSpaceCheck(err):
		return fmt.Errorf("on a full disk: %w", errors.Join(err, errors.New("which is not that it is full")))
	case readErr != nil || string(now) != string(old):
		return fmt.Errorf("the old output was touched: %w", readErr)
	}
	if entries, err := os.ReadDir(job.Disk); err != nil || !job.Resume && len(entries) > 2+job.companions() {
		return fmt.Errorf("something is left: %v %w", entries, err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if _, err := Recover(context.Background(), job.Base, job.Diff, job.Out, job.options()); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	now, err = os.ReadFile(job.weightsFile())
	if err != nil || string(now) != string(old) {
		return fmt.Errorf("the new output differs: %w", err)
	}
	if entries, err := os.ReadDir(job.Disk); err != nil || len(entries) > 1+job.companions() {
		return fmt.Errorf("something is left in the end: %v %w", entries, err)
	}
	return nil
}

// companions returns the number of files beside the output.
func (job *limitedJob) companions() int {
	if job.Format == easylm {
		return 1
	}
	return 0
}

// weightsFile returns the file that holds the output's weights.
func (job *limitedJob) weightsFile() string {
	if job.Format == easylm {
		return job.Out
	}
	return filepath.Join(job.Out, "model.safetensors")
}

// fail recovers while another process fills the disk up.
func (job *limitedJob) fail(ballast string) error {
	if job.FillAt == "before" {
		if err := fillUp(ballast); err != nil {
			return err
		}
	}
	opts := job.options()
	opts.Progress = func(p progress.Progress) {
		if job.FillAt == "run" && p.Stage == "write" {
			_ = fillUp(ballast)
		}
	}
	plan, err := PlanRecover(context.Background(), job.Base, job.Diff, job.Out, opts)
	if err != nil {
		return err
	}
	if job.FillAt == "plan" {
		err = fillUp(ballast)
	}
	if err == nil {
		_, err = plan.Run(context.Background())
	}
	return errors.Join(err, plan.Close())
}

// fillUp writes to a file until the disk is full.
func fillUp(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

func isSpaceCheck(err error) bool {
	var refused *CheckError
	return errors.As(err, &refused) && refused.Check == CheckSpace
}
