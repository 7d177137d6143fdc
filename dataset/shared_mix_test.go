package dataset

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mixFiles returns two sources, the first with two files, and a third without
// weight.
func mixFiles(t *testing.T) []MixUnitSource {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for k, n := range []int{170, 60, 90} {
		text := ""
		for i := range n {
			text += fmt.Sprintf(`{"human_0": "query %d of %d%s"}`, i, k, strings.Repeat("x", i%40)) + []string{"\n", "\r\n"}[i%2]
		}
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%d.jsonl", k)))
		require.NoError(t, os.WriteFile(paths[k], []byte(strings.TrimSuffix(text, "\n")), 0o600))
	}
	return []MixUnitSource{{"a", 2, Files(paths[:2]...)}, {"b", 1, Files(paths[2:]...)}, {"none", 0, Files(paths[:1]...)}}
}

// readUnit returns a function that reads a unit.
func readUnit(t *testing.T) func(Unit) iter.Seq2[Record, error] {
	return func(u Unit) iter.Seq2[Record, error] {
		return Read(t.Context(), []Input{u.Input}, &ReadOptions{Start: u.Start, Workers: 1})
	}
}

// TestMixUnits checks that the units together are equal to the result of Mix and
// Shuffle, for several numbers of runs, also more than there are units.
func TestMixUnits(t *testing.T) {
	sources := mixFiles(t)
	var whole []MixSource
	for _, s := range sources {
		whole = append(whole, MixSource{s.Name, s.Weight, func() iter.Seq2[Record, error] { return Read(t.Context(), s.Inputs, nil) }})
	}
	for _, shuffle := range []bool{false, true} {
		for _, total := range []int64{0, 700} {
			mixture := MixOptions{Seed: 9, Total: total}
			records := Mix(whole, &mixture)
			if shuffle {
				records = Shuffle(t.Context(), records, &ShuffleOptions{Seed: 9})
			}
			want := ""
			for r, err := range records {
				require.NoError(t, err)
				want += string(r.AppendJSON(nil)) + "\n"
			}
			var first map[string]string
			for _, count := range []int{1, 2, 3, 40} {
				dir, temp := t.TempDir(), t.TempDir()
				run := func(index int) error {
					o := &MixUnitOptions{UnitOptions: UnitOptions{Index: index, Count: count, Fingerprint: "f"}, Mix: mixture, Shuffle: shuffle, Size: 2000, Dir: temp}
					o.Wait = time.Duration(count%2) * time.Minute // without waiting, a run may do the share of another
					return MixUnits(t.Context(), dir, sources, o, readUnit(t))
				}
				var runs sync.WaitGroup
				for index := range count {
					runs.Go(func() { assert.NoError(t, run(index)) })
				}
				runs.Wait()
				require.NoError(t, run(0))
				files := contents(t, dir)
				got := ""
				for n := 0; files[unitName(n)+".jsonl"] != ""; n++ {
					got += files[unitName(n)+".jsonl"]
				}
				require.True(t, want == got, "shuffle %v, total %d, count %d", shuffle, total, count)
				if first == nil {
					first = files
				}
				sameFiles(t, first, files)
				require.Greater(t, len(files), 8)
				require.Empty(t, contents(t, temp))
			}
		}
	}
}

// TestMixUnitsRefuses tries weights and inputs that MixUnits refuses.
func TestMixUnitsRefuses(t *testing.T) {
	sources := mixFiles(t)
	run := func(o MixUnitOptions, sources ...MixUnitSource) error {
		o.Count = 1
		return MixUnits(t.Context(), t.TempDir(), sources, &o, readUnit(t))
	}
	require.ErrorIs(t, run(MixUnitOptions{}), ErrOptions)
	for _, weight := range []float64{-1, 0} {
		require.ErrorIs(t, run(MixUnitOptions{}, MixUnitSource{"a", weight, sources[0].Inputs}), ErrOptions)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	require.ErrorContains(t, run(MixUnitOptions{Mix: MixOptions{Total: 3}}, MixUnitSource{"e", 1, Files(empty)}), "has no records")
	require.NoError(t, run(MixUnitOptions{}, MixUnitSource{"e", 1, Files(empty)}))
	zipped := filepath.Join(t.TempDir(), "a.gz")
	require.NoError(t, os.WriteFile(zipped, []byte(packed(t, "{}\n", false)), 0o600))
	var e *Error
	require.ErrorAs(t, run(MixUnitOptions{}, MixUnitSource{"z", 1, Files(zipped)}), &e)
	require.Equal(t, zipped, e.File)
	require.ErrorIs(t, e, ErrUnsupported)
	bad := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(bad, []byte("{}\nx\n"), 0o600))
	require.ErrorAs(t, run(MixUnitOptions{}, MixUnitSource{"b", 1, Files(bad)}), &e)
	require.EqualValues(t, 2, e.Line)
}

// TestCollectUnits checks that only a run that finds all units done gets their
// parts, and that units of runs with other inputs are refused, or removed with
// Force.
func TestCollectUnits(t *testing.T) {
	dir := t.TempDir()
	units := []Unit{{Number: 0}, {Number: 1}, {Number: 2}}
	run := func(index int, fingerprint string, force bool, units []Unit) ([]int, error) {
		o := &UnitOptions{Index: index, Count: 2, Fingerprint: fingerprint, Force: force}
		return CollectUnits(t.Context(), dir, units, o, func(u Unit) (int, error) { return 10 * u.Number, nil })
	}
	parts, err := run(1, "f", false, units)
	require.NoError(t, err)
	require.Nil(t, parts)
	parts, err = run(0, "f", false, units)
	require.NoError(t, err)
	require.Equal(t, []int{0, 10, 20}, parts)
	parts, err = run(1, "f", false, units) // nothing to do
	require.NoError(t, err)
	require.Equal(t, []int{0, 10, 20}, parts)

	_, err = run(1, "g", false, units)
	require.ErrorIs(t, err, ErrExists)
	parts, err = run(1, "g", true, units)
	require.NoError(t, err)
	require.Nil(t, parts, "the other units are of another run")
	_, err = run(1, "g", false, units[:2])
	require.ErrorIs(t, err, ErrExists, "the directory has one more unit")
	parts, err = run(0, "g", true, units[:2])
	require.NoError(t, err)
	require.Equal(t, []int{0, 10}, parts)
	require.NoFileExists(t, filepath.Join(dir, "unit-00002.json"))

	require.NoError(t, os.Remove(filepath.Join(dir, "unit-00000.json")))
	_, err = run(1, "g", false, units[:2])
	require.ErrorContains(t, err, "but no result")
	_, err = CollectUnits(t.Context(), t.TempDir(), units, nil, func(Unit) (int, error) { return 0, errStopped })
	require.ErrorIs(t, err, errStopped)
}

// TestDedupUnitsForced checks that Force finds the duplicates again if the
// markers are those of a run with other options.
func TestDedupUnitsForced(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in")
	require.NoError(t, os.WriteFile(in, []byte(strings.Repeat(`{"human_0": "a"}`+"\n", 4)), 0o600))
	units, err := Units(t.Context(), Files(in), 20)
	require.NoError(t, err)
	dir := t.TempDir()
	for _, fingerprint := range []string{"f", "g"} {
		o := &DedupUnitOptions{UnitOptions: UnitOptions{Count: 1, Fingerprint: fingerprint, Force: true}}
		kept := 0
		require.NoError(t, DedupUnits(t.Context(), dir, units, o, readUnit(t), func(_ Unit, path string, records iter.Seq2[Record, error]) error {
			for _, err := range records {
				require.NoError(t, err)
				kept++
			}
			return os.WriteFile(path, nil, 0o600)
		}))
		require.Equal(t, 1, kept)
	}
}

// TestJoin checks that the joined results of parts are equal to the result of the
// whole, for Stats and Leaks.
func TestJoin(t *testing.T) {
	var whole, joined Stats
	parts := []*Stats{{}, {}, {}}
	n := 0
	for r := range numbers(0, 300) {
		r.Fields[1].Text = strings.Repeat("é", n*n%77)
		source := []string{"a", "b"}[n%7/5]
		whole.Add(source, &r)
		parts[n/100].Add(source, &r)
		n++
	}
	for _, p := range parts {
		joined.Join(p)
	}
	require.Equal(t, whole, joined)

	tests := []string{"query 7", "query 150 or so", "something else"}
	all, err := Leaks(t.Context(), numbers(0, 300), tests, &LeakOptions{Over: 10})
	require.NoError(t, err)
	var found [][]*Leak
	for k := range 3 {
		part, err := Leaks(t.Context(), numbers(100*k, 100*k+100), tests, &LeakOptions{Over: 10})
		require.NoError(t, err)
		found = append(found, part)
	}
	require.Equal(t, all, JoinLeaks(found...))
	require.NotNil(t, all[0])
	require.Nil(t, all[2])
}

// TestLeftovers checks that a run removes what a killed run with the same index
// left, also if other runs did the rest of its work, and removes nothing of the
// others.
func TestLeftovers(t *testing.T) {
	sources := mixFiles(t)
	dir := filepath.Join(t.TempDir(), "[shared]")
	run := func(index int) {
		o := &MixUnitOptions{UnitOptions: UnitOptions{Index: index, Count: 2, Fingerprint: "f"}, Mix: MixOptions{Seed: 9}, Size: 2000}
		require.NoError(t, MixUnits(t.Context(), dir, sources, o, readUnit(t)))
	}
	leave := func(name string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	const theirs = ".unit-00001.done.1-of-2.koala-partial"
	run(0)
	leave(".unit-00000.done.0-of-2.koala-partial")
	leave(theirs)
	run(0)
	require.FileExists(t, filepath.Join(dir, theirs))
	run(1)
	before := contents(t, dir)
	require.Contains(t, before, "mixture.done")
	require.NoFileExists(t, filepath.Join(dir, ".unit-00000.done.0-of-2.koala-partial"))
	require.NoFileExists(t, filepath.Join(dir, theirs))

	leave(".mixture.done.0-of-2.koala-partial")
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".run-0-of-2"), 0o700))
	run(0)
	sameFiles(t, before, contents(t, dir))
	require.NoDirExists(t, filepath.Join(dir, ".run-0-of-2"))
}
