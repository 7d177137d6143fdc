package dataset

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKilled kills a process that packs, 100 times at random moments. Each next
// process resumes in the same directory. In the end the files are equal to those
// of a process that was not killed.
func TestKilled(t *testing.T) {
	o := BatchOptions{SeqLength: 16, Batch: 2, FileBatches: 20, Fingerprint: "f"}
	if dir := os.Getenv("KOALA_TEST_PACK"); dir != "" {
		require.NoError(t, writeBatches(t, dir, Files(filepath.Join(filepath.Dir(dir), "in.jsonl")), o, -1))
		return
	}
	if testing.Short() {
		t.Skip("starts 100 processes")
	}
	base := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(base, "in.jsonl"), []byte(corpus(150)), 0o600))
	whole := filepath.Join(base, "whole")
	start := time.Now()
	require.NoError(t, writeBatches(t, whole, Files(filepath.Join(base, "in.jsonl")), o, -1))
	took := time.Since(start) + 10*time.Millisecond
	want := contents(t, whole)
	rng := rand.New(rand.NewPCG(1, 1))
	dir := filepath.Join(base, "killed")
	runs := 0
	for kills := 0; kills < 100; runs++ {
		if _, err := os.Stat(filepath.Join(dir, doneName)); err == nil {
			require.NoError(t, writeBatches(t, dir, Files(filepath.Join(base, "in.jsonl")), o, -1))
			sameFiles(t, want, contents(t, dir))
			require.NoError(t, os.RemoveAll(dir))
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "KOALA_TEST_PACK="+dir)
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(rng.Int64N(int64(took))))
		_ = cmd.Process.Kill() // the process may have ended
		if cmd.Wait(); cmd.ProcessState.ExitCode() < 0 {
			kills++
		}
	}
	require.NoError(t, writeBatches(t, dir, Files(filepath.Join(base, "in.jsonl")), o, -1))
	sameFiles(t, want, contents(t, dir))
	t.Logf("%d runs", runs)
}
