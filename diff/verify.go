package diff

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/koala-go/sdk/internal/memory"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/source"
	"github.com/koala-go/sdk/weights"
)

// VerifyOptions select what Verify compares an output with. A nil *VerifyOptions
// means the zero value: the manifest alone.
type VerifyOptions struct {
	// Base and Diff are the paths of the inputs to recompute the output from.
	// Either both are set or neither.
	Base, Diff string
	// Sample is the share of the output to recompute, between 0 and 1. Zero means
	// all. A sample contains a part of every tensor.
	Sample float64
	// Sums is the path of a list of checksums in the form of md5sum, sha1sum or
	// sha256sum, such as Meta's checklist.chk.
	Sums string

	// Source is where Base and Diff are read from. Nil means the local file
	// system. The output and Sums are always local.
	Source source.Source
	// Heads is the number of attention heads; see Options.
	Heads int
	// FollowLinks allows symbolic links in the output too; see Options.
	FollowLinks bool
	// ResizeVocab adds rows to the base, as when the output was written; see
	// Options.
	ResizeVocab bool
	// Workers bounds the number of goroutines that work; see Options.
	Workers int
	// Memory bounds the memory of the process in bytes; see Options.
	Memory int64
	// Progress is called with the bytes of output that were recomputed, in the
	// stage "verify". Nil means that nothing is reported.
	Progress progress.Func
}

// VerifyReport is the result of Verify.
type VerifyReport struct {
	Path        string       `json:"path"`        // Path is the path of the output.
	Files       int          `json:"files"`       // Files is the number of files whose digests were compared.
	Tensors     int          `json:"tensors"`     // Tensors is the number of tensors that were recomputed, at least in part.
	Bytes       int64        `json:"bytes"`       // Bytes is the number of bytes of the output that were read.
	Differences []Difference `json:"differences"` // Differences is empty if the output is right.
}

// Difference is a difference between an output and what it should be.
type Difference struct {
	File    string `json:"file,omitempty"`   // File is the name of the file, if the difference is in a file.
	Tensor  string `json:"tensor,omitempty"` // Tensor is the name of the tensor, if the difference is in a tensor.
	Problem string `json:"problem"`          // Problem is a predicate: "is missing".
}

// String returns a message of the form "where: what".
func (d Difference) String() string {
	switch {
	case d.Tensor == "":
		return d.File + ": " + d.Problem
	case d.File == "":
		return "tensor " + d.Tensor + ": " + d.Problem
	}
	return d.File + ", tensor " + d.Tensor + ": " + d.Problem
}

// check refuses contradictory options.
func (o *VerifyOptions) check() error {
	switch {
	case o.Base != "" && o.Diff == "":
		return &OptionError{"Diff", "only the base is given", "give the diff too: an output is recomputed from both"}
	case o.Base == "" && o.Diff != "":
		return &OptionError{"Base", "only the diff is given", "give the base too: an output is recomputed from both"}
	case !(o.Sample >= 0 && o.Sample <= 1):
		return &OptionError{"Sample", fmt.Sprintf("%v is not a share", o.Sample), "give a number between 0 and 1"}
	}
	return nil
}

// Verify compares an output with its manifest, with a list of checksums, or with
// what its base and diff give. Differences are in the report; an error means that
// something could not be compared.
//
// Errors are *OptionError for contradictory options, and those of Recover.
func Verify(ctx context.Context, path string, opts *VerifyOptions) (*VerifyReport, error) {
	if opts == nil {
		opts = &VerifyOptions{}
	}
	if err := opts.check(); err != nil {
		return nil, err
	}
	v := &verifier{options: *opts, report: &VerifyReport{Path: path, Differences: []Difference{}}}
	if err := v.locate(ctx); err != nil {
		return nil, err
	}
	err := v.compareManifest(ctx, opts.Base == "" && opts.Sums == "")
	if err == nil && opts.Sums != "" {
		err = v.compareSums(ctx)
	}
	if err == nil && opts.Base != "" {
		err = v.recompute(ctx)
	}
	if err != nil {
		return nil, err
	}
	return v.report, nil
}

type verifier struct {
	options  VerifyOptions
	dir      string // the directory of the output's files
	manifest string // the path of the manifest

	mu     sync.Mutex // guards report while workers recompute
	report *VerifyReport
}

// locate finds the directory of the output's files, and the manifest.
func (v *verifier) locate(ctx context.Context) error {
	path := v.report.Path
	info, err := vfs.FromContext(ctx).Stat(path)
	if err != nil {
		return err
	}
	v.dir, v.manifest = path, filepath.Join(path, ManifestName)
	if !info.IsDir() {
		v.dir, v.manifest = filepath.Dir(path), path+"."+ManifestName
	}
	return nil
}

// add adds a difference to the report.
func (v *verifier) add(d Difference) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Differences = append(v.report.Differences, d)
}

// compareManifest compares the output's files with the manifest. If the manifest is
// not required, one that does not exist or has no digests is ignored.
func (v *verifier) compareManifest(ctx context.Context, required bool) error {
	m, err := ReadManifest(ctx, v.manifest)
	if errors.Is(err, fs.ErrNotExist) {
		if required {
			return fmt.Errorf("the output has no manifest: %s: give base and diff, or a list of checksums, to verify against", v.manifest)
		}
		return nil
	}
	if err != nil {
		return err
	}
	damaged := false
	for _, f := range m.Outputs {
		if f.SHA256 == "" && !required {
			return nil
		}
		if f.SHA256 == "" {
			return fmt.Errorf("the manifest has no digests: %s: give base and diff, or a list of checksums, to verify against", v.manifest)
		}
		same, err := v.compareFile(ctx, f.Name, f.Size, "sha256", f.SHA256)
		if err != nil {
			return err
		}
		damaged = damaged || !same
	}
	if damaged {
		v.findDamagedTensors(ctx, m)
	}
	return nil
}

// compareFile compares one of the output's files with its size and digest. A size
// below zero is unknown.
func (v *verifier) compareFile(ctx context.Context, name string, size int64, kind, digest string) (same bool, err error) {
	f, err := vfs.FromContext(ctx).OpenIn(v.dir, name, v.options.FollowLinks)
	if errors.Is(err, fs.ErrNotExist) {
		v.add(Difference{File: name, Problem: "is missing"})
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	v.report.Files++
	if size >= 0 && f.Size() != size {
		v.add(Difference{File: name, Problem: fmt.Sprintf("has %d bytes, not %d", f.Size(), size)})
		return false, nil
	}
	advised, err := vfs.SourceFile(f, nil)
	if err != nil {
		return false, err
	}
	got, err := hashFile(ctx, newHash(kind), advised, f.Size(), fillsMemory(f.Size(), memory.Free()))
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", filepath.Join(v.dir, name), err)
	}
	v.report.Bytes += f.Size()
	if got != digest {
		v.add(Difference{File: name, Problem: fmt.Sprintf("has the %s %s, not %s", kind, got, digest)})
	}
	return got == digest, nil
}

// findDamagedTensors names the tensors that are damaged, as far as the files can
// still be read.
func (v *verifier) findDamagedTensors(ctx context.Context, m *Manifest) {
	c, err := weights.Open(ctx, v.report.Path, &weights.OpenOptions{Heads: v.options.Heads, FollowLinks: v.options.FollowLinks})
	if err != nil {
		v.add(Difference{File: filepath.Base(v.report.Path), Problem: "cannot be read any more: " + err.Error()})
		return
	}
	defer c.Close()
	byName := make(map[string]*weights.Tensor)
	for _, t := range c.Tensors {
		byName[t.Name] = t
	}
	for _, want := range m.Tensors {
		t := byName[want.Name]
		if t == nil || t.DType != want.DType || !slices.Equal(t.Shape, want.Shape) {
			v.add(Difference{Tensor: want.Name, Problem: "is missing, or has another type or shape"})
			continue
		}
		sum := crc32.NewIEEE()
		if _, err := io.Copy(sum, io.NewSectionReader(t, 0, t.Bytes())); err != nil {
			v.add(Difference{Tensor: want.Name, Problem: "cannot be read: " + err.Error()})
		} else if got := fmt.Sprintf("%08x", sum.Sum32()); got != want.CRC32 {
			v.add(Difference{Tensor: want.Name, Problem: fmt.Sprintf("has the CRC-32 %s, not %s", got, want.CRC32)})
		}
	}
}
