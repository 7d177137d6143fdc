package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Stage is an output that is not yet published: a hidden directory next to the
// path of the output. Nobody sees the output at its path before it is whole. A
// run that was killed leaves the hidden directory behind; the next run on the
// same output takes it over.
type Stage struct {
	fs    FS
	final string       // the path of the output
	dir   string       // the hidden directory
	lock  io.Closer    // of dir, nil after the end
	files []stagedFile // the open files
}

type stagedFile struct {
	File
	path string
}

// NewStage begins an output that Publish will put at path. The parent directory
// must exist.
func NewStage(fsys FS, path string) (*Stage, error) { return newStage(fsys, path, false) }

// ResumeStage is NewStage, but keeps the files that an earlier run left, for
// Reopen.
func ResumeStage(fsys FS, path string) (*Stage, error) { return newStage(fsys, path, true) }

func newStage(fsys FS, path string, keep bool) (*Stage, error) {
	path = filepath.Clean(path)
	s := &Stage{fs: fsys, final: path, dir: hiddenPath(path, "partial")}
	if err := fsys.Mkdir(s.dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	lock, err := fsys.Lock(s.dir)
	if err != nil {
		return nil, err
	}
	s.lock = lock
	// Under the lock, no other run is between its renames.
	err = s.restore()
	if err == nil && !keep {
		err = s.Empty()
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// hiddenPath returns a hidden path next to an output.
func hiddenPath(path, what string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".koala-"+what)
}

// restore undoes a replacement that a killed run began: it brings back an
// output that the run moved aside and did not replace.
func (s *Stage) restore() error {
	old := hiddenPath(s.final, "old")
	aside, err := s.exists(old)
	if err != nil || !aside {
		return err
	}
	replaced, err := s.exists(s.final)
	switch {
	case err != nil:
		return err
	case replaced:
		return s.fs.RemoveAll(old)
	}
	return s.fs.Rename(old, s.final)
}

// exists reports whether a path exists. It returns an error if the system
// cannot tell.
func (s *Stage) exists(path string) (bool, error) {
	_, err := s.fs.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Empty closes and removes every file that is staged or was left by an earlier
// run.
func (s *Stage) Empty() error {
	err := s.closeFiles()
	entries, readErr := s.fs.ReadDir(s.dir)
	err = errors.Join(err, readErr)
	for _, e := range entries {
		err = errors.Join(err, s.fs.RemoveAll(filepath.Join(s.dir, e.Name())))
	}
	return err
}

// Create makes a file of the output. It stays open until Publish or Discard.
func (s *Stage) Create(name string, size int64) (File, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, name)
	f, err := s.fs.Create(path, size)
	if err != nil {
		return nil, err
	}
	s.files = append(s.files, stagedFile{f, path})
	return f, nil
}

// Reopen opens a file that an earlier run left. The error is fs.ErrNotExist if
// there is no such file, or if its size differs.
func (s *Stage) Reopen(name string, size int64) (File, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, name)
	f, err := s.fs.Reopen(path)
	if err != nil {
		return nil, err
	}
	if f.Size() != size {
		return nil, errors.Join(&fs.PathError{Op: "reopen", Path: path, Err: fs.ErrNotExist}, f.Close())
	}
	s.files = append(s.files, stagedFile{f, path})
	return f, nil
}

// Has reports whether a file is staged or was left by an earlier run.
func (s *Stage) Has(name string) (bool, error) { return s.exists(filepath.Join(s.dir, name)) }

// Remove removes a file from the output, also one that an earlier run left.
func (s *Stage) Remove(name string) error {
	path := filepath.Join(s.dir, name)
	var err error
	s.files = slices.DeleteFunc(s.files, func(f stagedFile) bool {
		if f.path != path {
			return false
		}
		err = f.Close()
		return true
	})
	return errors.Join(err, s.fs.Remove(path))
}

// Publish makes the output durable and visible. If single is empty, the output
// is the directory of all files. Otherwise the output is the file single, and
// the files whose names begin with single go next to it: single.more becomes
// PATH.more. Publish replaces an earlier output if replace allows it; until
// then the earlier output is untouched.
func (s *Stage) Publish(single string, replace bool) error {
	if err := s.syncFiles(); err != nil {
		return errors.Join(err, s.Discard())
	}
	var err error
	if single != "" {
		err = s.publishFile(single, replace)
	} else {
		err = s.publishDir(replace)
	}
	if err != nil {
		return errors.Join(err, s.Discard())
	}
	err = s.fs.SyncDir(filepath.Dir(s.final))
	return errors.Join(err, s.unlock())
}

// unlock ends the Stage. From then on another run may own the hidden directory.
func (s *Stage) unlock() error {
	lock := s.lock
	s.lock = nil
	return lock.Close()
}

// syncFiles writes the files through to the disk and closes them.
func (s *Stage) syncFiles() error {
	var err error
	for _, f := range s.files {
		err = errors.Join(err, f.Sync(), f.Close())
	}
	s.files = nil
	return errors.Join(err, s.fs.SyncDir(s.dir))
}

// publishFile renames one file to the path of the output, and then its
// companions. Companions of the earlier output are removed first, so that a
// file never has those of another: between the renames it has none.
func (s *Stage) publishFile(name string, replace bool) error {
	exists, err := s.exists(s.final)
	switch {
	case err != nil:
		return err
	case exists && !replace:
		return &fs.PathError{Op: "publish", Path: s.final, Err: fs.ErrExist}
	}
	companions, err := s.companions(name)
	if err != nil {
		return err
	}
	for _, suffix := range companions {
		if err := s.fs.Remove(s.final + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, suffix := range append([]string{""}, companions...) {
		if err := s.fs.Rename(filepath.Join(s.dir, name+suffix), s.final+suffix); err != nil {
			return err
		}
	}
	return s.fs.RemoveAll(s.dir)
}

// companions returns the suffixes of the names of the files that go with one.
func (s *Stage) companions(name string) ([]string, error) {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var suffixes []string
	for _, e := range entries {
		if suffix, ok := strings.CutPrefix(e.Name(), name); ok && suffix != "" {
			suffixes = append(suffixes, suffix)
		}
	}
	return suffixes, nil
}

// publishDir renames the hidden directory to the path of the output.
func (s *Stage) publishDir(replace bool) error {
	entries, err := s.fs.ReadDir(s.final)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.fs.Rename(s.dir, s.final)
	case err != nil:
		return err
	case len(entries) > 0 && !replace:
		return &fs.PathError{Op: "publish", Path: s.final, Err: fs.ErrExist}
	}
	// After an exchange, the hidden directory holds the old output.
	if err := s.fs.Exchange(s.dir, s.final); !errors.Is(err, errors.ErrUnsupported) {
		if err != nil {
			return err
		}
		return s.fs.RemoveAll(s.dir)
	}
	return s.replaceInSteps()
}

// replaceInSteps replaces a directory on systems that cannot exchange two.
// Between its renames the old output has a hidden name, from where restore
// brings it back.
func (s *Stage) replaceInSteps() error {
	old := hiddenPath(s.final, "old")
	if err := s.fs.Rename(s.final, old); err != nil {
		return err
	}
	if err := s.fs.Rename(s.dir, s.final); err != nil {
		return errors.Join(err, s.fs.Rename(old, s.final))
	}
	return s.fs.RemoveAll(old)
}

// Discard removes every staged file. After Publish or Discard it does nothing.
func (s *Stage) Discard() error {
	if s.lock == nil {
		return nil
	}
	err := errors.Join(s.closeFiles(), s.fs.RemoveAll(s.dir), s.unlock())
	if err != nil {
		return fmt.Errorf("removing %s: %w", s.dir, err)
	}
	return nil
}

// Keep leaves the staged files for a later ResumeStage.
func (s *Stage) Keep() error {
	if s.lock == nil {
		return nil
	}
	return errors.Join(s.closeFiles(), s.unlock())
}

func (s *Stage) closeFiles() error {
	var err error
	for _, f := range s.files {
		err = errors.Join(err, f.Close())
	}
	s.files = nil
	return err
}
