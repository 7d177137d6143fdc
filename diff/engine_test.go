package diff

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// outputs are the kinds of output.
var outputs = map[string]Options{
	"stream":    {Format: easylm},
	"directory": {Format: hf},
	"shards":    {Format: hf, ShardSize: 60_000},
	"torch":     {Format: torch},
	"2 of Meta": {Format: torch, Shards: 2},
	"4 of Meta": {Format: torch, Shards: 4},
	"gguf":      {Format: gguf},
}

// TestBytesDoNotDepend recovers with many numbers of workers, memory limits and
// forms of the base, and with and without releasing files from the page cache.
// The output is the oracle's, and always the same files.
func TestBytesDoNotDepend(t *testing.T) {
	inMemory(t)
	m := modeltest.Tiny
	for name, o := range outputs {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t)
			stream := x.base + ".stream"
			write(t, m, stream, &modeltest.Options{Format: easylm, DType: dtype.F16, Values: m.Base})
			first, manifests := "", map[string]string{}
			for _, base := range []string{x.base, stream} {
				for _, workers := range []int{1, 2, 3, 8} {
					for _, memory := range []int64{128 << 10, 300_001, 1 << 20, 0} {
						opts := o
						opts.Workers, opts.Memory, opts.Heads = workers, memory, m.Heads
						opts.freeMemory = int64(workers % 2) // 1 byte, or the machine's
						_, err := Recover(t.Context(), base, x.delta, x.out, &opts)
						require.NoError(t, err)
						manifest := readManifest(t, x.out)
						got := fmt.Sprint(snapshot(t, x.out))
						if first == "" {
							requireValues(t, x.out, m, o.Format, dtype.BF16, sum(m))
							first = got
						}
						require.Equal(t, first, got, "%d workers, %d bytes of memory, %s", workers, memory, base)
						if manifests[base] == "" {
							manifests[base] = manifest
						}
						require.Equal(t, manifests[base], manifest, "%d workers, %d bytes of memory, %s", workers, memory, base)
						require.NoError(t, os.RemoveAll(x.out))
					}
				}
			}
		})
	}
}

// TestOracle runs every operation into every type and kind of output.
func TestOracle(t *testing.T) {
	m, other := modeltest.Tiny, modeltest.Tiny
	other.Seed++
	fp16 := func(x modeltest.Model) value {
		return func(p weights.Param, r, c int) float32 { return fromF16(x.Base(p, r, c)) }
	}
	difference := func(p weights.Param, r, c int) float32 { // the difference of fp16 numbers is computed in fp16
		return fromF16(toF16(fromF16(other.Base(p, r, c)) - fromF16(m.Base(p, r, c))))
	}
	for name, o := range outputs {
		for _, dt := range []dtype.Type{dtype.BF16, dtype.F16, dtype.F32} {
			t.Run(fmt.Sprint(name, " in ", dt), func(t *testing.T) {
				x := newTrial(t)
				target := target(t, x)
				opts := o
				opts.DType = dt
				_, err := Recover(t.Context(), x.base, x.delta, x.out+"1", &opts)
				require.NoError(t, err)
				requireValues(t, x.out+"1", m, o.Format, dt, sum(m))
				_, err = Make(t.Context(), x.base, target, x.out+"2", &opts)
				require.NoError(t, err)
				requireValues(t, x.out+"2", m, o.Format, dt, difference)
				_, err = Convert(t.Context(), target, x.out+"3", &opts)
				require.NoError(t, err)
				requireValues(t, x.out+"3", m, o.Format, dt, fp16(other))
				_, err = Convert(t.Context(), x.out+"3", x.out+"4", &Options{Format: o.Format, Heads: m.Heads})
				require.NoError(t, err)
				requireValues(t, x.out+"4", m, o.Format, dt, fp16(other))
			})
		}
	}
}

// TestSmall has a model with several panels in each tensor.
func TestSmall(t *testing.T) {
	m, x := modeltest.Small, newTrial(t)
	write(t, m, x.base, &modeltest.Options{Format: easylm, DType: dtype.F16, Values: m.Base})
	write(t, m, x.delta, &modeltest.Options{Format: hf, DType: dtype.BF16, Values: m.Diff})
	x.opts.Memory, x.opts.Workers = 4<<20, 3
	require.NoError(t, x.do(t, x))
	requireValues(t, x.out, m, hf, dtype.BF16, sum(m))
}

// TestReport compares the report of a run with the files.
func TestReport(t *testing.T) {
	for name, o := range outputs {
		x := newTrial(t)
		opts := o
		opts.Workers = 3
		plan, err := PlanRecover(t.Context(), x.base, x.delta, x.out, &opts)
		require.NoError(t, err)
		summary := plan.Summary()
		require.Empty(t, entries(t, filepath.Dir(x.out)), "a plan writes nothing")
		report, err := plan.Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, plan.Close())
		require.Equal(t, summary, report.Summary)
		require.Positive(t, report.Seconds)
		require.InDelta(t, report.Elapsed.Seconds(), report.Seconds, 1e-9)

		params := int64(117056)
		require.Equal(t, "recover", report.Operation)
		require.Equal(t, "base + diff in F32, rounded to BF16", report.Rule)
		require.Equal(t, x.out, report.Out)
		require.Equal(t, o.Format, report.Format)
		require.Equal(t, dtype.BF16, report.DType)
		require.Equal(t, "other", report.Size)
		require.Equal(t, 21, report.Tensors)
		require.Equal(t, params, report.Parameters)
		require.Equal(t, 4*params, report.ReadBytes)
		require.Equal(t, 3, report.Workers)
		require.Equal(t, []InputSummary{
			{"base", x.base, hf, "huggingface", []dtype.Type{dtype.F16}, 2 * params},
			{"diff", x.delta, easylm, "easylm", []dtype.Type{dtype.BF16}, 2 * params},
		}, report.Inputs)
		total := int64(0)
		for _, f := range report.Files {
			info, err := os.Stat(filepath.Join(x.out, f.Name))
			require.NoError(t, err, name)
			require.Equal(t, info.Size(), f.Size, f.Name)
			total += f.Size
		}
		require.Equal(t, total, report.WriteBytes)
	}
}

// TestProgress checks that calls are made one at a time, that progress never goes
// back, and that it ends at the total.
func TestProgress(t *testing.T) {
	for _, workers := range []int{1, 8} {
		var busy sync.Mutex
		var seen []progress.Progress
		x := newTrial(t)
		x.opts = &Options{Workers: workers, Memory: 256 << 10, Progress: func(p progress.Progress) {
			require.True(t, busy.TryLock(), "two calls at once")
			defer busy.Unlock()
			seen = append(seen, p)
			runtime.Gosched()
		}}
		report, err := Recover(t.Context(), x.base, x.delta, x.out, x.opts)
		require.NoError(t, err)
		require.Greater(t, len(seen), 21)
		last := progress.Progress{}
		for i, p := range seen {
			require.Equal(t, report.WriteBytes, p.Total)
			require.Greater(t, p.Done, last.Done)
			require.LessOrEqual(t, p.Done, p.Total)
			require.Equal(t, i == len(seen)-1, p.Stage == "sync")
			last = p
		}
		require.Equal(t, last.Total, last.Done)
	}
}

// earlier writes the output of an earlier run.
func earlier(t *testing.T, x *trial) {
	t.Helper()
	x.opts.Force = true
	if x.opts.Format == easylm || x.opts.Format == gguf {
		put(t, x.out, "old file")
		return
	}
	put(t, x.out+"/model.safetensors", "old weights")
	put(t, x.out+"/config.json", "old config")
}

// TestCancel cancels before the run, at the first panel and at a later one, with
// and without an earlier output.
func TestCancel(t *testing.T) {
	for name, o := range outputs {
		for _, at := range []int{0, 1, 10} {
			for _, old := range []bool{false, true} {
				t.Run(fmt.Sprint(name, " at ", at, " over ", old), func(t *testing.T) {
					x := newTrial(t)
					opts := o
					opts.Workers = 2
					x.opts = &opts
					if old {
						earlier(t, x)
					}
					goroutines := runtime.NumGoroutine()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					calls := 0
					opts.Progress = func(p progress.Progress) {
						if calls++; calls == at {
							cancel()
						}
						require.NotEqual(t, "sync", p.Stage, "the run went on")
					}
					if at == 0 {
						cancel()
					}
					x.do = func(t *testing.T, x *trial) error {
						_, err := Recover(ctx, x.base, x.delta, x.out, x.opts)
						return err
					}
					require.ErrorIs(t, requireUntouched(t, x), context.Canceled)
					require.LessOrEqual(t, calls, at+opts.Workers+1, "panels were made long after")
					requireGoroutines(t, goroutines)
				})
			}
		}
	}
}

// requireGoroutines waits until no more goroutines run than before.
func requireGoroutines(t *testing.T, before int) {
	t.Helper()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 5*time.Second, time.Millisecond, // Eventually runs one itself
		"goroutines are left running")
}

// TestCause checks that the error is the cause of the cancellation.
func TestCause(t *testing.T) {
	reason := errors.New("out of patience")
	x := newTrial(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, err := Recover(ctx, x.base, x.delta, x.out, nil)
	require.ErrorIs(t, err, reason)
	ctx, done := context.WithTimeout(t.Context(), time.Nanosecond)
	defer done()
	_, err = Recover(ctx, x.base, x.delta, x.out, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, entries(t, filepath.Dir(x.out)))
}

// TestNothingStaysOpen counts files and goroutines after a run.
func TestNothingStaysOpen(t *testing.T) {
	for _, o := range outputs {
		x := newTrial(t)
		opts := o
		files, goroutines := openFiles(), runtime.NumGoroutine()
		_, err := Recover(t.Context(), x.base, x.delta, x.out, &opts)
		require.NoError(t, err)
		require.Equal(t, files, openFiles())
		requireGoroutines(t, goroutines)
	}
}

// TestInputCutDuringRun truncates an input at the first panel.
func TestInputCutDuringRun(t *testing.T) {
	x := newTrial(t)
	earlier(t, x)
	cut := false
	x.opts.Workers = 1
	x.opts.Progress = func(progress.Progress) {
		if !cut {
			cut = true
			require.NoError(t, os.Truncate(x.delta, 1000))
		}
	}
	before := snapshot(t, filepath.Dir(x.out))
	_, err := Recover(t.Context(), x.base, x.delta, x.out, x.opts)
	require.ErrorContains(t, err, x.delta)
	require.ErrorContains(t, err, "unexpected EOF")
	require.Equal(t, before, snapshot(t, filepath.Dir(x.out)))
}

// TestBusyOutput starts a second run on the same output.
func TestBusyOutput(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" {
		t.Skip("no locks on directories here")
	}
	x := newTrial(t)
	second := error(nil)
	x.opts.Progress = func(p progress.Progress) {
		if p.Stage == "sync" {
			_, second = Recover(t.Context(), x.base, x.delta, x.out, nil)
		}
	}
	require.NoError(t, x.do(t, x))
	require.ErrorIs(t, second, weights.ErrBusy)
	requireValues(t, x.out, modeltest.Tiny, hf, dtype.BF16, sum(modeltest.Tiny))
}

// TestUnreadableTokenizer checks that a tokenizer that cannot be read is an
// error: a model without its tokenizer would be noticed too late.
func TestUnreadableTokenizer(t *testing.T) {
	x := newTrial(t)
	put(t, x.delta+".tokenizer", "pieces")
	if err := os.Symlink(x.delta+".tokenizer", filepath.Join(x.base, "tokenizer.model")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	err := requireUntouched(t, x)
	require.ErrorIs(t, err, weights.ErrLink)
	require.ErrorContains(t, err, "tokenizer.model")
	x.opts.FollowLinks = true
	require.NoError(t, x.do(t, x))
	require.FileExists(t, filepath.Join(x.out, "tokenizer.model"))
}

// TestSideFiles copies the tokenizer from the inputs. The base's files take
// precedence.
func TestSideFiles(t *testing.T) {
	x := newTrial(t)
	m := modeltest.Tiny
	write(t, m, x.delta, &modeltest.Options{Format: hf, DType: dtype.BF16, Values: m.Diff})
	put(t, x.base+"/tokenizer.model", "base's pieces")
	put(t, x.delta+"/tokenizer.model", "diff's pieces")
	put(t, x.delta+"/tokenizer_config.json", `{"diff":true}`)
	put(t, x.base+"/README.md", "not part of the model")
	require.NoError(t, x.do(t, x))
	for name, want := range map[string]string{"tokenizer.model": "base's pieces", "tokenizer_config.json": `{"diff":true}`} {
		b, err := os.ReadFile(filepath.Join(x.out, name))
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
	card, err := os.ReadFile(filepath.Join(x.out, "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(card), "# Koala", "the card is the output's own, not the base's")
	require.NotContains(t, string(card), "not part of the model")
	x.opts.Format, x.out = easylm, x.out+".stream"
	require.NoError(t, x.do(t, x), "a stream has no room for them")
}
