package dataset

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unitFiles returns the paths of inputs of each shape.
func unitFiles(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	records := strings.Repeat(goodHH+"\n", 50)
	var paths []string
	for name, text := range map[string]string{"a.jsonl": records, "b.gz": packed(t, records, false), "c.json": "[" + goodHH + "," + goodHH + "]", "d.jsonl": ""} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	for _, name := range []string{"a.jsonl", "b.gz", "c.json", "d.jsonl"} {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// TestUnits checks that units of any size hold all records once, in order.
func TestUnits(t *testing.T) {
	paths := unitFiles(t)
	read := func(in []Input, start Start) (list []string) {
		for r, err := range Read(t.Context(), in, &ReadOptions{Source: HH, Start: start, Workers: 2}) {
			require.NoError(t, err)
			list = append(list, string(r.AppendJSON(nil)))
		}
		return list
	}
	want := read(Files(paths...), Start{})
	for _, size := range []int64{1, 30, int64(len(goodHH)), int64(len(goodHH) + 1), int64(len(goodHH) + 2), 1000, 0} {
		units, err := Units(t.Context(), Files(paths...), size)
		require.NoError(t, err)
		var got []string
		for i, u := range units {
			require.Equal(t, i, u.Number)
			got = append(got, read([]Input{u.Input}, u.Start)...)
		}
		require.Equal(t, want, got, size)
	}
}

// TestUnitErrorLine checks that an error in a unit names the line in the file.
func TestUnitErrorLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("{}\n", 40)+"bad\n"), 0o600))
	units, err := Units(t.Context(), Files(path), 50)
	require.NoError(t, err)
	require.Len(t, units, 3)
	var e *Error
	for _, err := range Read(t.Context(), Files(path), &ReadOptions{Start: units[2].Start}) {
		errors.As(err, &e)
	}
	require.EqualValues(t, 41, e.Line)
}

// TestEachUnit checks that the directory does not depend on the number of runs,
// their order, or how often they are stopped, and that no unit is done twice.
func TestEachUnit(t *testing.T) {
	units, err := Units(t.Context(), Files(unitFiles(t)...), 400)
	require.NoError(t, err)
	require.Greater(t, len(units), 10)
	var want map[string]string
	for count := 1; count <= 4; count++ {
		dir := t.TempDir()
		done := 0
		for stop := 1; stop <= 3; stop++ { // stops after one unit, after two, and not at all
			for index := count - 1; index >= 0; index-- {
				left := stop
				err := EachUnit(t.Context(), dir, ".txt", units, &UnitOptions{Index: index, Count: count, Fingerprint: "f"}, func(u Unit, path string) error {
					if left--; left < 0 && stop < 3 {
						return errStopped
					}
					done++
					return os.WriteFile(path, fmt.Append(nil, u.Start), 0o600)
				})
				require.True(t, err == nil || errors.Is(err, errStopped), "%v", err)
			}
		}
		require.Equal(t, len(units), done)
		got := contents(t, dir)
		if want == nil {
			want = got
		}
		sameFiles(t, want, got)
		err := EachUnit(t.Context(), dir, ".txt", units, &UnitOptions{Count: 1, Fingerprint: "g"}, nil)
		require.ErrorIs(t, err, ErrExists)
	}
}

// TestDedupUnits checks that the units together are equal to the result of Dedup,
// for several numbers of runs, with and without waiting, and with runs that are
// stopped and started again.
func TestDedupUnits(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for k := range 3 {
		text := ""
		for i := range 300 {
			text += fmt.Sprintf("{\"human_0\": \"query %d\", \"n\": %d}\n", i*i%(97+50*k), k*1000+i)
		}
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%d.jsonl", k)))
		require.NoError(t, os.WriteFile(paths[k], []byte(text), 0o600))
	}
	units, err := Units(t.Context(), Files(paths...), 3000)
	require.NoError(t, err)
	require.Greater(t, len(units), 6)
	var want []string
	for r, err := range Dedup(t.Context(), Read(t.Context(), Files(paths...), nil), nil) {
		require.NoError(t, err)
		want = append(want, string(r.Line))
	}
	require.Less(t, len(want), 400)
	read := func(u Unit) iter.Seq2[Record, error] {
		return Read(t.Context(), []Input{u.Input}, &ReadOptions{Start: u.Start, Workers: 1})
	}
	for _, count := range []int{1, 2, 3, 4, len(units) + 3} { // in the last case some runs have no units
		out := t.TempDir()
		var wait time.Duration
		run := func(index, stop int) error {
			o := &DedupUnitOptions{UnitOptions: UnitOptions{Index: index, Count: count, Fingerprint: "f"}, Memory: 10, Wait: wait}
			return DedupUnits(t.Context(), out, units, o, read, func(u Unit, path string, records iter.Seq2[Record, error]) error {
				if stop--; stop < 0 {
					return errStopped
				}
				var text []byte
				for r, err := range records {
					require.NoError(t, err)
					text = append(r.AppendJSON(text), '\n')
				}
				return os.WriteFile(path, text, 0o600)
			})
		}
		if count%2 == 0 && count < len(units) {
			require.ErrorIs(t, run(count-1, 1), errStopped)
		}
		wait = time.Duration(count%2) * time.Minute // without waiting, a run may do the share of another
		var runs sync.WaitGroup
		for index := range count {
			runs.Go(func() { assert.NoError(t, run(index, 100)) })
		}
		runs.Wait()
		var got []string
		files := contents(t, out)
		for _, u := range units {
			text := files[fmt.Sprintf("unit-%05d.jsonl", u.Number)]
			got = append(got, strings.Split(strings.TrimSuffix(text, "\n"), "\n")...)
		}
		require.Equal(t, want, slices.DeleteFunc(got, func(s string) bool { return s == "" }), count)
		require.Len(t, files, 2*len(units))
	}
}
