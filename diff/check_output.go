package diff

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/koala-go/sdk/internal/modeldir"
	"github.com/koala-go/sdk/internal/vfs"
)

// checkPath refuses an output that would destroy an input, or whose path names
// nothing that a run can create.
func checkPath(ctx context.Context, p *Plan) *CheckError {
	switch filepath.Base(filepath.Clean(p.out)) {
	case ".", "..", string(filepath.Separator):
		return &CheckError{CheckOutput, fmt.Sprintf("output %q has no name of its own", p.out), "write to a path that ends in a new name"}
	}
	if p.options.Source == nil { // otherwise the inputs are in another place
		out := resolve(p.out)
		for i, c := range p.sources {
			in := resolve(c.Path)
			if within(out, in) || within(in, out) {
				return &CheckError{CheckOutput, fmt.Sprintf("one of output %s and %s %s contains the other", p.out, p.inputs[i].name, c.Path), "write to another path"}
			}
		}
	}
	if _, err := vfs.FromContext(ctx).Stat(filepath.Dir(filepath.Clean(p.out))); err != nil {
		return &CheckError{CheckOutput, fmt.Sprintf("parent directory of the output: %v", err), "create it"}
	}
	return nil
}

// resolve returns the absolute path with all links followed, as far as it exists.
func resolve(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if followed, err := filepath.EvalSymlinks(abs); err == nil {
		return followed
	}
	if dir := filepath.Dir(abs); dir != abs {
		return filepath.Join(resolve(dir), filepath.Base(abs))
	}
	return abs
}

// within reports whether a path is a directory or inside it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// checkExists allows a free path, an empty directory where a directory is written
// and, with Force, an earlier output of the same kind.
func checkExists(ctx context.Context, p *Plan) *CheckError {
	info, err := vfs.FromContext(ctx).Stat(p.out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &CheckError{CheckOutput, err.Error(), "write to a path that can be read"}
	}
	if info.IsDir() != p.layout.IsDir() {
		return &CheckError{CheckOutput, fmt.Sprintf("output %s exists, and is a directory where a file is to be written or the reverse", p.out), "write to another path"}
	}
	if info.IsDir() {
		return checkReplaceable(ctx, p)
	}
	if !p.options.Force {
		return &CheckError{CheckOutput, fmt.Sprintf("output %s exists", p.out), "write to another path, or force its replacement"}
	}
	return nil
}

// checkReplaceable refuses a directory that holds a file which no run wrote: the
// replacement would delete it.
func checkReplaceable(ctx context.Context, p *Plan) *CheckError {
	entries, err := vfs.FromContext(ctx).ReadDir(p.out)
	if err != nil {
		return &CheckError{CheckOutput, err.Error(), "write to a directory that can be read"}
	}
	for _, e := range entries {
		if !p.options.Force {
			return &CheckError{CheckOutput, fmt.Sprintf("output %s exists and is not empty", p.out), "write to another path, or force its replacement"}
		}
		ours := modeldir.IsOutput(e.Name()) || e.Name() == modeldir.CardName && isOwnCard(ctx, p.out)
		if !e.Type().IsRegular() || !ours {
			return &CheckError{CheckOutput, fmt.Sprintf("output %s holds %s, which no run of this program wrote", p.out, e.Name()), "write to another path, or remove the file by hand"}
		}
	}
	return nil
}

// isOwnCard reports whether the README.md of a directory is the one that the
// directory's manifest lists. A README.md that somebody wrote or changed must not be
// replaced.
func isOwnCard(ctx context.Context, dir string) bool {
	m, err := ReadManifest(ctx, filepath.Join(dir, ManifestName))
	if err != nil {
		return false
	}
	text, err := readSmall(ctx, filepath.Join(dir, modeldir.CardName))
	if err != nil {
		return false
	}
	for _, f := range m.Outputs {
		if f.Name == modeldir.CardName {
			return f.Size == int64(len(text)) && (f.SHA256 == "" || f.SHA256 == fmt.Sprintf("%x", sha256.Sum256(text)))
		}
	}
	return false
}

// checkSpace refuses an output that the disk has no room for.
func checkSpace(ctx context.Context, p *Plan) *CheckError {
	free, err := vfs.FromContext(ctx).Free(filepath.Dir(filepath.Clean(p.out)))
	if err == nil && free < p.layout.Bytes() { // if the system does not know, a full disk is an error of the writing
		return &CheckError{CheckSpace, fmt.Sprintf("output %s needs %d bytes, its disk has %d free", p.out, p.layout.Bytes(), free),
			"free some space or write to another disk"}
	}
	return nil
}
