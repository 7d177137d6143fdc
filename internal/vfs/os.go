package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// OS is the file system of the operating system.
var OS FS = osFS{}

type osFS struct{}

type osFile struct {
	*os.File
	size int64
}

func (f osFile) Size() int64 { return f.size }

func (osFS) Open(path string) (File, error) {
	return requireRegular(os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0))
}

// requireRegular returns an open file if it is a regular one, and closes it
// otherwise. O_NONBLOCK keeps the opening of a FIFO from waiting for a writer.
func requireRegular(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: fmt.Errorf("is a %s: %w", kind(info.Mode()), ErrNotRegular)}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return osFile{f, info.Size()}, nil
}

// kind names a file that is not regular, for an error text.
func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// maxName is the length of the longest file name that common file systems
// store.
const maxName = 255

// CheckName refuses every name that is not the plain name of a file: paths,
// URLs, and names that some system reads as more than a name.
func CheckName(name string) error {
	switch {
	case name == "", name == ".", name == "..",
		len(name) > maxName,
		!utf8.ValidString(name),
		strings.ContainsAny(name, "/\\:\x00"),
		!filepath.IsLocal(name):
		return fmt.Errorf("%.80q: %w", name, ErrName)
	}
	return nil
}

func (osFS) OpenIn(dir, name string, follow bool) (File, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return openLink(dir, name, follow)
	}
	return openRooted(dir, name)
}

// openRooted opens a name through os.Root, which no link can leave.
func openRooted(dir, name string) (File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|largeFile, 0)
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		at.Path = filepath.Join(dir, name) // os.Root states the name without the directory
	}
	return requireRegular(f, err)
}

// openLink opens a symbolic link. Without follow, it opens through the root
// that the link must stay in: the directory, or Hugging Face's cache.
func openLink(dir, name string, follow bool) (File, error) {
	path := filepath.Join(dir, name)
	target, err := os.Readlink(path)
	if err != nil {
		return nil, err
	}
	if follow {
		return requireRegular(os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0))
	}
	root := dir
	if hash, ok := cacheBlob(dir, target); ok {
		root, name = filepath.Join(dir, "..", ".."), filepath.Join("blobs", hash)
	} else if !filepath.IsLocal(target) {
		return nil, leavesDirectory(path, target)
	}
	f, err := openRooted(root, name)
	// os.Root refuses a link out of the root with an error of its own. Callers
	// tell ErrLink apart, so the target is resolved to learn whether it is that.
	if resolved, ok := resolveOutside(root, path); ok && err != nil {
		return nil, leavesDirectory(path, resolved)
	}
	return f, err
}

// leavesDirectory returns the refusal of a link to a target outside its
// directory.
func leavesDirectory(path, target string) error {
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("points to %s: %w", target, ErrLink)}
}

// resolveOutside returns the final target of a link, and reports whether it is
// outside the root.
func resolveOutside(root, path string) (resolved string, ok bool) {
	base, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", false
	}
	if resolved, err = filepath.EvalSymlinks(path); err != nil {
		return "", false
	}
	rel, err := filepath.Rel(base, resolved)
	return resolved, err != nil || !filepath.IsLocal(rel)
}

// cacheBlob recognizes a link of Hugging Face's cache: dir is snapshots/REV,
// and the link points to ../../blobs/HASH.
func cacheBlob(dir, target string) (hash string, ok bool) {
	abs, err := filepath.Abs(dir)
	if err != nil || filepath.Base(filepath.Dir(abs)) != "snapshots" {
		return "", false
	}
	hash, ok = strings.CutPrefix(filepath.ToSlash(target), "../../blobs/")
	return hash, ok && CheckName(hash) == nil
}

func (osFS) Create(path string, size int64) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	if err := reserve(f, size); err != nil {
		f.Close()
		os.Remove(path)
		return nil, &fs.PathError{Op: "reserve", Path: path, Err: err}
	}
	return osFile{f, size}, nil
}

func (osFS) Reopen(path string) (File, error) {
	return requireRegular(os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0))
}

func (osFS) Stat(path string) (fs.FileInfo, error)      { return os.Stat(path) }
func (osFS) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }
func (osFS) Mkdir(path string) error                    { return os.Mkdir(path, 0o755) }
func (osFS) Rename(from, to string) error               { return os.Rename(from, to) }
func (osFS) Remove(path string) error                   { return os.Remove(path) }
func (osFS) RemoveAll(path string) error                { return os.RemoveAll(path) }
