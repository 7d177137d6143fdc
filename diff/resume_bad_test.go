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
	"github.com/koala-go/sdk/progress"
)

// interrupted stops a run halfway, and leaves what it wrote.
func interrupted(t *testing.T, x *trial) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	opts := *x.opts
	opts.Resume, opts.Workers, opts.Progress = true, 1, func(progress.Progress) {
		if calls++; calls == 10 {
			cancel()
		}
	}
	_, err := Recover(ctx, x.base, x.delta, x.out, &opts)
	require.ErrorIs(t, err, context.Canceled)
	require.DirExists(t, filepath.Join(filepath.Dir(x.out), ".out.koala-partial"))
	require.NoFileExists(t, x.out)
}

// TestResumeRefuses resumes a run whose inputs, rule or plan changed. The run
// writes nothing and leaves the unfinished output, and once the change is undone,
// it resumes.
func TestResumeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, x *trial)
		says   string
	}{
		"base written to": {func(t *testing.T, x *trial) {
			file := filepath.Join(x.base, "model.safetensors")
			require.NoError(t, os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)))
		}, `input "base" changed since`},
		"another diff": {func(t *testing.T, x *trial) {
			other := modeltest.Tiny
			other.Seed++
			x.delta += ".other"
			write(t, other, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: other.Diff})
		}, `input "diff" changed since`},
		"a narrow type":  {func(_ *testing.T, x *trial) { x.opts.DType = dtype.F16 }, "of another output"},
		"a wide type":    {func(_ *testing.T, x *trial) { x.opts.DType = dtype.F32 }, "of another output"},
		"another format": {func(_ *testing.T, x *trial) { x.opts.Format = hf }, "of another output"},
		"another verb":   {func(_ *testing.T, x *trial) { x.do = makeIt; x.opts.Allow = everyCheck }, "changed since"},
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

			if name == "base written to" { // the times cannot be restored: start from the beginning
				before.opts = &asked
			}
			require.NoError(t, before.do(t, &before))
			requireValues(t, x.out, modeltest.Tiny, easylm, dtype.BF16, sum(modeltest.Tiny))
		})
	}
}

// TestResumeNothing resumes where no run was, or where a run left no journal.
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

// TestCutJournal resumes a run that was killed while it created its journal.
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

// TestDamagedJournal changes each byte of the journal in turn. The output is
// right in any case.
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
			continue // some of the zeros are enough
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
