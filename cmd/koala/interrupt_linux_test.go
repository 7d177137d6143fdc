package main

import (
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
	"github.com/koala-go/sdk/weights"
)

// TestInterruptedRecovery interrupts a recovery that has begun to write. The
// command removes its partial output, or with --resume keeps it for the next
// run. The exit code is 130.
func TestInterruptedRecovery(t *testing.T) {
	dir := t.TempDir()
	m := modeltest.Model{Layers: 2, Dim: 1024, FFN: 2752, Vocab: 32000, Heads: 16}
	base, delta, out := filepath.Join(dir, "base"), filepath.Join(dir, "delta"), filepath.Join(dir, "place", "out")
	require.NoError(t, os.Mkdir(filepath.Dir(out), 0o755))
	require.NoError(t, m.Write(base, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16}))
	require.NoError(t, m.Write(delta, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.BF16}))
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for _, resume := range []bool{false, true} {
			args := []string{"recover", "--base", base, "--diff", delta, "--out", out, "--workers", "1", "--quiet"}
			if resume {
				args = append(args, "--resume")
			}
			stderr := interrupt(t, signal, out, args)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			require.Contains(t, stderr, map[bool]string{false: "nothing was written", true: "run again with --resume"}[resume])
			left, err := os.ReadDir(filepath.Dir(out))
			require.NoError(t, err)
			if !resume {
				require.Empty(t, left)
				continue
			}
			require.Len(t, left, 1)
			text, err := command(append(args, "--json")...).Output()
			require.NoError(t, err)
			require.Contains(t, string(text), `"resumed_bytes"`)
			require.FileExists(t, filepath.Join(out, "model.safetensors"))
			require.NoError(t, os.RemoveAll(out))
		}
	}
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asKoala+"=1")
	return cmd
}

// interrupt runs the command, sends it a signal when its journal appears, and
// returns what it printed on stderr. If a run ends before the signal reaches
// it, interrupt tries again.
func interrupt(t *testing.T, signal os.Signal, out string, args []string) string {
	t.Helper()
	for range 20 {
		var stderr strings.Builder
		cmd := command(args...)
		cmd.Stderr = &stderr
		require.NoError(t, cmd.Start())
		err := signalAt(cmd, signal, filepath.Join(filepath.Dir(out), ".out.koala-partial", "journal"))
		if err == nil {
			require.NoError(t, os.RemoveAll(out))
			continue
		}
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, exitInterrupted, exit.ExitCode(), stderr.String())
		require.NoFileExists(t, out)
		return stderr.String()
	}
	require.Fail(t, "every run ended before it could be interrupted")
	return ""
}

// signalAt sends a signal to a running command as soon as the file exists, and
// returns the result of the command.
func signalAt(cmd *exec.Cmd, signal os.Signal, path string) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return err
		case <-time.After(100 * time.Microsecond):
		}
		if _, err := os.Stat(path); err == nil {
			_ = cmd.Process.Signal(signal) // it may have ended
			return <-ended
		}
	}
}
