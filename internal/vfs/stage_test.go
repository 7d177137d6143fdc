package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// steps is a file system that cannot exchange two paths.
type steps struct{ FS }

func (steps) Exchange(string, string) error { return errors.ErrUnsupported }

// kinds are the two kinds of output, on both kinds of file system.
var kinds = []struct {
	name   string
	fs     FS
	single string // the argument of Publish
}{
	{"directory", OS, ""},
	{"directory in steps", steps{OS}, ""},
	{"file", OS, "one"},
}

// files of each test output, by name.
var oldFiles, newFiles = map[string]string{"one": "old one", "old": "old two"}, map[string]string{"one": "new one", "new": "new two"}

// stage begins an output and writes all of newFiles.
func stage(fsys FS, path string) (*Stage, error) {
	s, err := NewStage(fsys, path)
	if err != nil {
		return nil, err
	}
	for name, content := range newFiles {
		f, err := s.Create(name, int64(len(content)))
		if err == nil {
			_, err = f.WriteAt([]byte(content), 0)
		}
		if err != nil {
			return nil, errors.Join(err, s.Discard())
		}
	}
	return s, nil
}

// output makes and publishes newFiles.
func output(fsys FS, path, single string, replace bool) error {
	s, err := stage(fsys, path)
	if err != nil {
		return err
	}
	return s.Publish(single, replace)
}

// put makes an earlier output.
func put(t *testing.T, path, single string, files map[string]string) {
	t.Helper()
	if single != "" {
		require.NoError(t, os.WriteFile(path, []byte(files[single]), 0o644))
		return
	}
	require.NoError(t, os.Mkdir(path, 0o755))
	for name, content := range files {
		write(t, path, name, content)
	}
}

// holds reports whether an output is whole and consists of these files.
func holds(path, single string, files map[string]string) bool {
	if single != "" {
		b, err := os.ReadFile(path)
		return err == nil && string(b) == files[single]
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != len(files) {
		return false
	}
	for name, content := range files {
		if b, err := os.ReadFile(filepath.Join(path, name)); err != nil || string(b) != content {
			return false
		}
	}
	return true
}

func TestPublish(t *testing.T) {
	for _, k := range kinds {
		for _, exists := range []bool{false, true} {
			for _, replace := range []bool{false, true} {
				dir := t.TempDir()
				path := filepath.Join(dir, "out")
				if exists {
					put(t, path, k.single, oldFiles)
				}
				s, err := stage(k.fs, path)
				require.NoError(t, err)
				require.Equal(t, exists, holds(path, k.single, oldFiles), "%s: nothing changes before Publish", k.name)
				err = s.Publish(k.single, replace)
				if exists && !replace {
					require.ErrorIs(t, err, fs.ErrExist, k.name)
					require.True(t, holds(path, k.single, oldFiles), k.name)
				} else {
					require.NoError(t, err, k.name)
					require.True(t, holds(path, k.single, newFiles), k.name)
				}
				require.Equal(t, []string{"out"}, names(t, dir), k.name)
			}
		}
	}
}

// TestPublishIntoEmptyDirectory replaces an empty directory without permission
// to replace.
func TestPublishIntoEmptyDirectory(t *testing.T) {
	for _, fsys := range []FS{OS, steps{OS}} {
		dir := t.TempDir()
		path := filepath.Join(dir, "out")
		require.NoError(t, os.Mkdir(path, 0o755))
		require.NoError(t, output(fsys, path, "", false))
		require.True(t, holds(path, "", newFiles))
		require.Equal(t, []string{"out"}, names(t, dir))
	}
}

// TestPublishOverTheOtherKind refuses to put a directory in the place of a
// file, and the reverse.
func TestPublishOverTheOtherKind(t *testing.T) {
	for _, k := range kinds {
		dir := t.TempDir()
		path := filepath.Join(dir, "out")
		other := map[string]string{"": "one", "one": ""}[k.single]
		put(t, path, other, oldFiles)
		require.Error(t, output(k.fs, path, k.single, true), k.name)
		require.True(t, holds(path, other, oldFiles), k.name)
		require.Equal(t, []string{"out"}, names(t, dir), k.name)
	}
}

func TestDiscard(t *testing.T) {
	for _, k := range kinds {
		dir := t.TempDir()
		path := filepath.Join(dir, "out")
		put(t, path, k.single, oldFiles)
		s, err := stage(k.fs, path)
		require.NoError(t, err)
		require.Len(t, names(t, dir), 2, "the stage is beside the output")
		require.NoError(t, s.Discard())
		require.True(t, holds(path, k.single, oldFiles))
		require.Equal(t, []string{"out"}, names(t, dir))
	}
}

// TestDiscardTwice discards an output that was published or discarded before,
// as a deferred call does, while another run has begun.
func TestDiscardTwice(t *testing.T) {
	for name, end := range map[string]func(*Stage) error{
		"published": func(s *Stage) error { return s.Publish("one", true) },
		"discarded": (*Stage).Discard,
	} {
		path := filepath.Join(t.TempDir(), "out")
		first, err := stage(OS, path)
		require.NoError(t, err)
		require.NoError(t, end(first), name)
		second, err := stage(OS, path)
		require.NoError(t, err)
		require.NoError(t, first.Discard(), name)
		require.NoError(t, second.Publish("one", true), "%s: the other run's files are gone", name)
	}
}

func TestStageNames(t *testing.T) {
	s, err := NewStage(OS, filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	for _, name := range []string{"", "..", "../escape", "/absolute", "sub/file"} {
		_, err := s.Create(name, 1)
		require.ErrorIs(t, err, ErrName)
	}
	_, err = s.Create("twice", 1)
	require.NoError(t, err)
	_, err = s.Create("twice", 1)
	require.ErrorIs(t, err, fs.ErrExist)
	require.NoError(t, s.Discard())
}

func TestNoParent(t *testing.T) {
	dir := t.TempDir()
	_, err := NewStage(OS, filepath.Join(dir, "absent", "out"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Empty(t, names(t, dir))
}

// TestLeftovers begins over the files that a killed run left.
func TestLeftovers(t *testing.T) {
	for _, k := range kinds {
		dir := t.TempDir()
		path := filepath.Join(dir, "out")
		partial := hiddenPath(path, "partial")
		require.NoError(t, os.MkdirAll(filepath.Join(partial, "sub", "sub"), 0o755))
		write(t, partial, "one", "half written, and longer than what comes")
		write(t, filepath.Join(partial, "sub"), "file", "x")
		require.NoError(t, output(k.fs, path, k.single, false), k.name)
		require.True(t, holds(path, k.single, newFiles), k.name)
		require.Equal(t, []string{"out"}, names(t, dir), k.name)
	}
}

// TestSetAside begins after a run was killed between the steps of a
// replacement, when the old output has its hidden name.
func TestSetAside(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name+", before the new one", func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "out")
			put(t, hiddenPath(path, "old"), k.single, oldFiles)
			s, err := NewStage(k.fs, path)
			require.NoError(t, err)
			require.True(t, holds(path, k.single, oldFiles), "the old output comes back at once")
			require.NoError(t, s.Discard())
			require.Equal(t, []string{"out"}, names(t, dir))
		})
		t.Run(k.name+", after the new one", func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "out")
			put(t, hiddenPath(path, "old"), k.single, oldFiles)
			put(t, path, k.single, newFiles)
			s, err := NewStage(k.fs, path)
			require.NoError(t, err)
			require.NoError(t, s.Discard())
			require.True(t, holds(path, k.single, newFiles))
			require.Equal(t, []string{"out"}, names(t, dir))
		})
	}
}

var errUnclear = errors.New("injected fault")

// unclear is a file system that cannot tell whether a path exists.
type unclear struct {
	FS
	path string
}

func (u unclear) Stat(path string) (fs.FileInfo, error) {
	if path == u.path {
		return nil, errUnclear
	}
	return u.FS.Stat(path)
}

// TestSetAsideStays keeps the old output if the system cannot tell whether it
// is the only copy.
func TestSetAsideStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	put(t, hiddenPath(path, "old"), "", oldFiles)
	for _, what := range []string{path, hiddenPath(path, "old")} {
		_, err := NewStage(unclear{OS, what}, path)
		require.ErrorIs(t, err, errUnclear)
		require.True(t, holds(hiddenPath(path, "old"), "", oldFiles))
	}
}

// between calls a function after a rename to a path.
type between struct {
	FS
	to   string
	call func()
}

func (b between) Rename(from, to string) error {
	err := b.FS.Rename(from, to)
	if to == b.to {
		b.call()
	}
	return err
}

// TestResumeStage keeps the files that a stage left, and reopens only those of
// the expected size.
func TestResumeStage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	s, err := stage(OS, path)
	require.NoError(t, err)
	require.NoError(t, s.Keep())
	require.NoError(t, s.Keep(), "a second time does nothing")
	require.NoError(t, s.Discard(), "nor does Discard then")

	s, err = ResumeStage(OS, path)
	require.NoError(t, err)
	_, err = ResumeStage(OS, path)
	require.ErrorIs(t, err, ErrBusy)
	has, err := s.Has("absent")
	require.NoError(t, err)
	require.False(t, has)
	for name, size := range map[string]int64{"absent": 7, "one": 6} {
		_, err := s.Reopen(name, size)
		require.ErrorIs(t, err, fs.ErrNotExist, name)
	}
	_, err = s.Reopen("../out", 7)
	require.ErrorIs(t, err, ErrName)
	for name, content := range newFiles {
		has, err := s.Has(name)
		require.NoError(t, err)
		require.True(t, has, name)
		f, err := s.Reopen(name, int64(len(content)))
		require.NoError(t, err)
		b := make([]byte, len(content))
		_, err = f.ReadAt(b, 0)
		require.NoError(t, err)
		require.Equal(t, content, string(b))
		require.NoError(t, WriteFull(f, []byte(content), 0), "it can be written")
	}
	require.NoError(t, s.Remove("new"))
	require.ErrorIs(t, s.Remove("new"), fs.ErrNotExist)
	require.NoError(t, s.Publish("", false))
	require.True(t, holds(path, "", map[string]string{"one": "new one"}))
	require.Equal(t, []string{"out"}, names(t, dir))
}

// TestCompanions publishes a file with its companions, over an earlier one with
// others.
func TestCompanions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	write(t, dir, "out.sums", "old sums")
	for _, replace := range []bool{false, true} {
		s, err := stage(OS, path)
		require.NoError(t, err)
		f, err := s.Create("one.sums", 4)
		require.NoError(t, err)
		require.NoError(t, WriteFull(f, []byte("sums"), 0))
		require.NoError(t, s.Publish("one", replace))
		require.Equal(t, []string{"out", "out.sums"}, names(t, dir))
		b, err := os.ReadFile(path + ".sums")
		require.NoError(t, err)
		require.Equal(t, "sums", string(b))
	}
}

// shortWriter takes less than it is given, and does not say why.
type shortWriter struct{}

func (shortWriter) WriteAt(b []byte, _ int64) (int, error) { return len(b) / 2, nil }

func TestWriteFull(t *testing.T) {
	require.ErrorIs(t, WriteFull(shortWriter{}, make([]byte, 10), 0), io.ErrShortWrite)
	require.NoError(t, WriteFull(shortWriter{}, nil, 0))
}
