package diff

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/modeltest"

	"github.com/koala-go/sdk/dtype"
)

// interrupted stops a run in the middle; what it wrote is left.
func interrupted(t *testing.T, x *trial) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	opts := *x.opts
	opts.Resume, opts.Workers, opts.Progress = true, 1, func(Progress) {
		if calls++; calls == 10 {
			cancel()
		}
	}
	_, err := Recover(ctx, x.base, x.delta, x.out, &opts)
	require.ErrorIs(t, err, context.Canceled)
	require.DirExists(t, filepath.Join(filepath.Dir(x.out), ".out.koala-partial"))
	require.NoFileExists(t, x.out)
}

// TestResumeRefuses resumes a run whose inputs, rule or plan changed: nothing
// is written, what was left stays, and once it is as it was the run goes on.
func TestResumeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, x *trial)
		says   string
	}{
		"base written to": {func(t *testing.T, x *trial) {
			file := filepath.Join(x.base, "model.safetensors")
			require.NoError(t, os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)))
		}, `input "base" is not as it was`},
		"another diff": {func(t *testing.T, x *trial) {
			other := modeltest.Tiny
			other.Seed++
			x.delta += ".other"
			write(t, other, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: other.Diff})
		}, `input "diff" is not as it was`},
		"a narrow type":  {func(_ *testing.T, x *trial) { x.opts.DType = dtype.F16 }, "of another output"},
		"a wide type":    {func(_ *testing.T, x *trial) { x.opts.DType = dtype.F32 }, "of another output"},
		"another format": {func(_ *testing.T, x *trial) { x.opts.Format = hf }, "of another output"},
		"another verb":   {func(_ *testing.T, x *trial) { x.do = makeIt; x.opts.Allow = everyCheck }, "not as it was"},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t)
			x.opts.Format, x.opts.Heads = easylm, modeltest.Tiny.Heads
			interrupted(t, x)
			asked := *x.opts
			x.opts.Resume = true
			before := *x
			changed := *x
			opts := *x.opts
			changed.opts = &opts
			c.change(t, &changed)
			err := requireUntouched(t, &changed)
			var refused *ResumeError
			require.ErrorAs(t, err, &refused)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "run again without resuming")

			if name == "base written to" { // it cannot be as it was: begin anew
				before.opts = &asked
			}
			require.NoError(t, before.do(t, &before))
			requireValues(t, x.out, modeltest.Tiny, easylm, dtype.BF16, sum(modeltest.Tiny))
		})
	}
}

// TestResumeNothing resumes where no run was, or where one left no journal.
func TestResumeNothing(t *testing.T) {
	for _, left := range []bool{false, true} {
		x := newTrial(t)
		if left {
			put(t, filepath.Join(filepath.Dir(x.out), ".out.koala-partial", "model.safetensors"), "half a file")
		}
		x.opts.Resume = true
		require.NoError(t, x.do(t, x))
		requireValues(t, x.out, modeltest.Tiny, hf, dtype.BF16, sum(modeltest.Tiny))
		require.Len(t, entries(t, filepath.Dir(x.out)), 1)
	}
}

// TestCutJournal resumes where a run was killed while it made its journal.
func TestCutJournal(t *testing.T) {
	for _, length := range []int64{0, 1, 100, stepSlot, journalSize - 1, journalSize + 1} {
		x := newTrial(t)
		interrupted(t, x)
		require.NoError(t, os.Truncate(filepath.Join(filepath.Dir(x.out), ".out.koala-partial", journalName), length))
		x.opts.Resume = true
		require.NoError(t, x.do(t, x), "%d bytes", length)
		requireValues(t, x.out, modeltest.Tiny, hf, dtype.BF16, sum(modeltest.Tiny))
		require.Len(t, entries(t, filepath.Dir(x.out)), 1)
	}
}

// TestDamagedJournal resumes with a journal of which any byte is changed: the
// output is right, or the journal is refused.
func TestDamagedJournal(t *testing.T) {
	x := newTrial(t)
	x.opts.Format = easylm
	interrupted(t, x)
	place := filepath.Join(filepath.Dir(x.out), ".out.koala-partial")
	journal, err := os.ReadFile(filepath.Join(place, journalName))
	require.NoError(t, err)
	partial, err := os.ReadFile(filepath.Join(place, "stream"))
	require.NoError(t, err)
	x.opts.Resume = true
	step := 1
	if testing.Short() {
		step = 37
	}
	for i := 0; i < len(journal); i += step {
		if journal[i] == 0 && i%64 != 0 {
			continue // of the zeros some are enough
		}
		damaged := append([]byte{}, journal...)
		damaged[i] ^= 4
		require.NoError(t, os.MkdirAll(place, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(place, journalName), damaged, 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(place, "stream"), partial, 0o644))
		err := x.do(t, x)
		require.NoError(t, err, "byte %d", i)
		requireValues(t, x.out, modeltest.Tiny, easylm, dtype.BF16, sum(modeltest.Tiny))
		require.NoError(t, os.Remove(x.out))
	}
}
