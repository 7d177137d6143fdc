// Package jobs lints and runs the recipes in this directory.
package jobs

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// buildKoala builds the command into a temporary directory and puts that first
// in PATH.
func buildKoala(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-C", "../..", "-o", filepath.Join(dir, "koala"), "./cmd/koala").CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// conversations returns JSON lines in the form of HH, with duplicates.
func conversations() string {
	var b strings.Builder
	for i := range 400 {
		fmt.Fprintf(&b, `{"chosen": "Human: Say %d\n\nAssistant: %[1]d", "rejected": "Human: Say %[1]d\n\nAssistant: no"}`+"\n", i%150)
	}
	return b.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func compressed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	require.NoError(t, errors.Join(err, z.Close()))
	return b.String()
}

// run runs a command in a directory. The command must succeed.
func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%v: %s", cmd, out)
}

// joinUnits returns the joined text of the units in dir.
func joinUnits(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "unit-*.jsonl"))
	require.NoError(t, err)
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.FileExists(t, strings.TrimSuffix(path, ".jsonl")+".done")
		all.Write(text)
	}
	return all.String()
}

// runAlone returns the output of single runs that do not share their work:
// records, records without duplicates, and a mixture.
func runAlone(t *testing.T, inputs ...string) (records, unique, train string) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"dataset", "build", "--source", "hh", "--out", "records"}
	for _, in := range inputs {
		args = append(args, "--in", in)
	}
	run(t, dir, nil, "koala", args...)
	run(t, dir, nil, "koala", "dataset", "dedup", "--in", "records", "--out", "unique")
	run(t, dir, nil, "koala", "dataset", "mix", "--from", "unique=1", "--shuffle", "--seed", "7", "--out", "train")
	var texts []string
	for _, name := range []string{"records", "unique", "train"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NotEmpty(t, text)
		texts = append(texts, string(text))
	}
	require.Less(t, len(texts[1]), len(texts[0]))
	return texts[0], texts[1], texts[2]
}

// TestShell checks the syntax of the scripts, and lints them if shellcheck is
// installed.
func TestShell(t *testing.T) {
	for _, script := range []string{"xargs.sh", "slurm.sh"} {
		run(t, ".", nil, "sh", "-n", script)
		if _, err := exec.LookPath("shellcheck"); err == nil {
			run(t, ".", nil, "shellcheck", script)
		}
	}
}

// TestXargs runs the recipe three times. The later runs have nothing to do.
func TestXargs(t *testing.T) {
	buildKoala(t)
	dir := t.TempDir()
	text := conversations()
	half := strings.Index(text[len(text)/2:], "\n") + len(text)/2 + 1
	a, b := filepath.Join(dir, "a file.jsonl"), filepath.Join(dir, "b.jsonl.gz")
	write(t, a, text[:half])
	write(t, b, compressed(t, text[half:]))
	records, unique, train := runAlone(t, a, b)
	script, err := filepath.Abs("xargs.sh")
	require.NoError(t, err)
	for _, n := range []string{"N=4", "N=4", "N=3"} {
		run(t, dir, []string{n}, "sh", script, a, b)
		require.True(t, records == joinUnits(t, filepath.Join(dir, "records")))
		require.True(t, unique == joinUnits(t, filepath.Join(dir, "unique")))
		require.True(t, train == joinUnits(t, filepath.Join(dir, "train")))
	}
}

// TestSlurm checks the options in the script and runs its tasks.
func TestSlurm(t *testing.T) {
	buildKoala(t)
	text, err := os.ReadFile("slurm.sh")
	require.NoError(t, err)
	options := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^#SBATCH --([a-z-]+)(?:=(\S+))?$`).FindAllStringSubmatch(string(text), -1) {
		options[m[1]] = m[2]
	}
	require.Equal(t, strings.Count(string(text), "#SBATCH"), len(options), "each line has one option")
	require.Equal(t, map[string]string{"job-name": "koala-dataset", "array": "0-3", "cpus-per-task": "2", "mem": "1G", "time": "01:00:00", "requeue": ""}, options)
	require.NotContains(t, string(text[:bytes.LastIndex(text, []byte("#SBATCH"))]), "\nset", "options must come before the first command")

	dir := t.TempDir()
	in := filepath.Join(dir, "in.jsonl")
	write(t, in, conversations())
	records, unique, _ := runAlone(t, in)
	array := func(args ...string) {
		script, err := filepath.Abs("slurm.sh")
		require.NoError(t, err)
		var tasks sync.WaitGroup
		for i := range 4 {
			tasks.Go(func() {
				run(t, dir, []string{fmt.Sprintf("SLURM_ARRAY_TASK_ID=%d", i), "SLURM_ARRAY_TASK_COUNT=4"}, "sh", append([]string{script}, args...)...)
			})
		}
		tasks.Wait()
	}
	array("build", "--source", "hh", "--in", "in.jsonl", "--out", "records", "--skip-bad", "--unit-size", "5KB")
	array("dedup", "--in", "records/unit-*.jsonl", "--out", "unique", "--wait", "30m")
	require.True(t, records == joinUnits(t, filepath.Join(dir, "records")))
	require.True(t, unique == joinUnits(t, filepath.Join(dir, "unique")))
}

// TestKubernetes parses the Job strictly, as the API server does, checks that
// its fields agree, and runs the command of its pods.
func TestKubernetes(t *testing.T) {
	buildKoala(t)
	text, err := os.ReadFile("kubernetes.yaml")
	require.NoError(t, err)
	var job batch.Job
	require.NoError(t, yaml.UnmarshalStrict(text, &job))
	require.Equal(t, "batch/v1 Job", job.APIVersion+" "+job.Kind)
	require.Equal(t, batch.IndexedCompletion, *job.Spec.CompletionMode)
	require.Equal(t, *job.Spec.Completions, *job.Spec.Parallelism)
	pod := job.Spec.Template.Spec
	require.Equal(t, core.RestartPolicyOnFailure, pod.RestartPolicy)
	require.Len(t, pod.Containers, 1)
	c := pod.Containers[0]
	require.Equal(t, "metadata.annotations['"+batch.JobCompletionIndexAnnotation+"']", c.Env[0].ValueFrom.FieldRef.FieldPath)
	var volumes, mounts []string
	for _, v := range pod.Volumes {
		volumes = append(volumes, v.Name)
	}
	for _, m := range c.VolumeMounts {
		mounts = append(mounts, m.Name)
	}
	require.Equal(t, volumes, mounts)
	require.Equal(t, []string{"--index", "$(JOB_COMPLETION_INDEX)", "--count", fmt.Sprint(*job.Spec.Completions)}, c.Args[len(c.Args)-4:])
	require.True(t, c.Resources.Limits.Memory().Cmp(*c.Resources.Requests.Memory()) >= 0)
	require.Error(t, yaml.UnmarshalStrict(bytes.Replace(text, []byte("completionMode"), []byte("completionsMode"), 1), &job), "unknown fields are errors")

	dir := t.TempDir()
	in := filepath.Join(dir, "hh", "train.jsonl.gz")
	write(t, in, compressed(t, conversations()))
	for i := range *job.Spec.Completions {
		args := append([]string(nil), c.Args...)
		for k := range args {
			args[k] = strings.NewReplacer("/data/", dir+"/", "$(JOB_COMPLETION_INDEX)", fmt.Sprint(i)).Replace(args[k])
		}
		run(t, dir, nil, c.Command[0], append(c.Command[1:len(c.Command):len(c.Command)], args...)...)
	}
	records, _, _ := runAlone(t, in)
	require.True(t, records == joinUnits(t, filepath.Join(dir, "records")))
}
