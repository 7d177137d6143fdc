package vfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// smallDisk is set in the process that TestFullDisk starts.
const smallDisk = "KOALA_TEST_SMALL_DISK"

// TestFullDisk fills a file system of 1 MiB, which a child process mounts in
// its own namespace.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(smallDisk); dir != "" {
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"))
		fillDisk(t, dir)
		return
	}
	if out, err := inNamespace("/bin/true").CombinedOutput(); err != nil {
		t.Skipf("no user and mount namespaces here: %v %s", err, out)
	}
	child := inNamespace(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	child.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestFullDisk")
}

// inNamespace returns a command that may mount file systems that no other
// process sees.
func inNamespace(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	return cmd
}

func fillDisk(t *testing.T, dir string) {
	free, err := OS.Free(dir)
	require.NoError(t, err)
	require.InDelta(t, 1<<20, free, 64<<10)

	_, err = OS.Create(filepath.Join(dir, "file"), 2<<20)
	require.ErrorIs(t, err, syscall.ENOSPC, "the space is reserved when the file is made")
	require.Empty(t, names(t, dir), "nor is the file left")

	out := filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(out, []byte(oldFiles["one"]), 0o644))
	s, err := NewStage(OS, out)
	require.NoError(t, err)
	_, err = s.Create("one", 600<<10)
	require.NoError(t, err)
	_, err = s.Create("two", 600<<10)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, s.Discard())
	require.True(t, holds(out, "one", oldFiles))
	require.Equal(t, []string{"out"}, names(t, dir))
	require.NoError(t, output(OS, out, "one", true), "there is room again")
}
