package main

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sharedSteps are the steps that several runs can share, with their arguments.
// The files of a step in all units, one after the other, are equal to the file
// that one run without --count writes.
var sharedSteps = []struct {
	name string
	args []string
	file string // end of the path of a unit's file
	once string // name of the one file for all units, in the shared directory
}{
	{"build", []string{"build", "--source", "hh", "--in", "hh.jsonl", "--in", "hh.array"}, ".jsonl", ""},
	{"build parquet", []string{"build", "--source", "webgpt", "--in", "webgpt.parquet"}, ".jsonl", ""},
	{"tokenize", []string{"tokenize", "--in", "records-*.jsonl"}, ".jsonl", ""},
	{"pack", []string{"pack", "--in", "records-*.jsonl", "--seq-length", "8", "--batch", "2", "--file-batches", "3"}, "", ""},
	{"dedup", []string{"dedup", "--in", "records-*.jsonl", "--memory", "20", "--wait", "200ms"}, ".jsonl", ""},
	{"split", []string{"split", "--in", "records-*.jsonl", "--into", "train=3", "--into", "eval=1", "--seed", "5"}, "/eval.jsonl", ""},
	{"filter", []string{"filter", "--in", "records-*.jsonl", "--keep", "sed -u -e s/.*bout.*/false/ -e t -e s/.*/true/"}, ".jsonl", ""},
	{"leak examples", []string{"leak", "--in", "records-*.jsonl", "--queries", "queries.jsonl", "--drop", "examples"}, ".jsonl", ""},
	{"leak queries", []string{"leak", "--in", "records-*.jsonl", "--queries", "queries.jsonl"}, "", "kept.jsonl"},
	{"stats", []string{"stats", "--in", "records-*.jsonl"}, "", "stats.html"},
	{"mix", []string{"mix", "--from", "records-*.jsonl=2", "--from", "more.jsonl=1", "--seed", "3"}, ".jsonl", ""},
	{"shuffled mix", []string{"mix", "--from", "records-*.jsonl=2", "--from", "more.jsonl=1", "--seed", "3", "--shuffle", "--wait", "200ms"}, ".jsonl", ""},
	{"mix of a total", []string{"mix", "--from", "records-*.jsonl=1", "--from", "more.jsonl=3", "--total", "500", "--shuffle"}, ".jsonl", ""},
}

// sharedInputs writes the inputs of the steps.
func sharedInputs(t *testing.T, dir string) {
	t.Helper()
	line := func(i int) string {
		return fmt.Sprintf(`{"chosen": "Human: What is %d and why is it so?\n\nAssistant: It is %[1]d.", "rejected": "Human: What is %[1]d and why is it so?\n\nAssistant: No."}`, i)
	}
	var lines []string
	var records [3]string
	for i := range 150 {
		n := i * i % 97
		lines = append(lines, line(n))
		records[i%3] += fmt.Sprintf(`{"human_0": "`+[]string{"What is %d and why is it so?", "Tell me about number %d."}[n%2]+`", "gpt_1": "It is %d.", "fields": "[human_0],gpt_1,<|eos|>"}`+"\n", n, i)
	}
	table, err := os.ReadFile("../../dataset/testdata/webgpt.parquet")
	require.NoError(t, err)
	for name, text := range map[string]string{
		"hh.jsonl": strings.Join(lines, "\n"), "hh.array": "[" + strings.Join(lines[:20], ",") + "]", "webgpt.parquet": string(table),
		"records-0.jsonl": records[0], "records-1.jsonl": records[1], "more.jsonl": records[2],
		"queries.jsonl": `{"prompt": "What is 49 and why is it so?"}` + "\n" + `{"prompt": "Name a bird."}` + "\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
}

// tree returns the files and directories below a directory by their paths.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if e.IsDir() {
			files[name+"/"] = ""
			return err
		}
		data, err := os.ReadFile(path)
		files[name] = string(data)
		return err
	}))
	return files
}

// sameTree compares directories without printing their contents.
func sameTree(t *testing.T, want, got map[string]string, what string) {
	t.Helper()
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)), what)
	for name := range want {
		require.True(t, want[name] == got[name], "%s: %s", what, name)
	}
}

// sharedRuns starts runs of steps in a directory and may kill them.
type sharedRuns struct {
	dir   string
	rng   *rand.Rand
	kills int // number of runs that were killed
}

// command returns a run with the given output.
func (r *sharedRuns) command(args []string, out string, more ...string) *exec.Cmd {
	cmd := exec.Command("koala", append(append([]string{"dataset"}, args...), append(more, "--out", out, "--quiet")...)...)
	cmd.Dir = r.dir
	return cmd
}

// together starts count runs that share the work, and waits for them. Each is
// killed after a random time up to limit, if that is positive.
func (r *sharedRuns) together(t *testing.T, args []string, out string, count int, limit time.Duration) {
	t.Helper()
	var cmds []*exec.Cmd
	var outputs []*strings.Builder
	for index := range count {
		cmd := r.command(args, out, "--unit-size", "900", "--count", fmt.Sprint(count), "--index", fmt.Sprint(index))
		text := new(strings.Builder)
		cmd.Stderr = text
		require.NoError(t, cmd.Start())
		cmds, outputs = append(cmds, cmd), append(outputs, text)
		if limit > 0 {
			time.AfterFunc(time.Duration(r.rng.Int64N(int64(limit))), func() { _ = cmd.Process.Kill() }) // the run may have ended
		}
	}
	for i, cmd := range cmds {
		err := cmd.Wait()
		if cmd.ProcessState.ExitCode() < 0 {
			r.kills++
		} else {
			require.NoError(t, err, "%v: %s", cmd.Args, outputs[i])
		}
	}
}

// TestSharedRunsKilled checks that the joint output of one, two, three and four
// runs is the same, also if each of them was killed at a random moment and
// started again, and that it is equal to the output of one run without --count.
// Runs that find all units done must change nothing.
func TestSharedRunsKilled(t *testing.T) {
	r := &sharedRuns{dir: t.TempDir(), rng: rand.New(rand.NewPCG(1, 2))}
	sharedInputs(t, r.dir)
	counts := 4
	if testing.Short() {
		counts = 2
	}
	for _, step := range sharedSteps {
		alone := filepath.Join(r.dir, step.name+" alone")
		require.NoError(t, r.command(step.args, alone).Run(), step.name)
		start := time.Now()
		out := filepath.Join(r.dir, step.name+"1")
		r.together(t, step.args, out, 1, 0)
		took := max(time.Since(start), 60*time.Millisecond)
		want := tree(t, out)
		compareAlone(t, step.name, want, alone, step.file, step.once)
		for count := 1; count <= counts; count++ {
			killed := filepath.Join(r.dir, "killed "+step.name+fmt.Sprint(count))
			for round := range 6 {
				if testing.Short() && (round > 0 || count != 2) {
					break
				}
				r.together(t, step.args, killed, count, took)
			}
			r.together(t, step.args, killed, count, 0)
			sameTree(t, want, tree(t, killed), fmt.Sprint(step.name, " ", count))
			r.together(t, step.args, killed, count, 0)
			sameTree(t, want, tree(t, killed), step.name+" again")
		}
	}
	t.Logf("%d runs were killed", r.kills)
	require.NotZero(t, r.kills)
}

// compareAlone compares the units with the output of one run without --count.
func compareAlone(t *testing.T, name string, units map[string]string, alone, file, once string) {
	t.Helper()
	if once != "" {
		text, err := os.ReadFile(alone)
		require.NoError(t, err)
		require.True(t, units[once] == string(text), name)
		return
	}
	if file == "" {
		return // each unit of pack is a stream of its own
	}
	if strings.HasPrefix(file, "/") {
		alone += file
	}
	text, err := os.ReadFile(alone)
	require.NoError(t, err)
	var all strings.Builder
	n := 0
	for ; ; n++ {
		unit, ok := units[fmt.Sprintf("unit-%05d%s", n, file)]
		if !ok {
			break
		}
		all.WriteString(unit)
	}
	require.Greater(t, n, 2, name)
	require.NotEmpty(t, text)
	require.True(t, all.String() == string(text), name)
}
