package diff

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/memory"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/weights"
)

// VerifyOptions say what an output is compared with; nil means the manifest
// beside it alone. The other fields are those of Options.
type VerifyOptions struct {
	// Base and Diff recompute the output; both or neither.
	Base, Diff string
	// Sample is the share of the output that is recomputed, in (0, 1]; 0 is
	// all. At least a piece of every tensor is.
	Sample float64
	// Sums is a list of checksums, as md5sum, sha1sum or sha256sum write them:
	// Meta's checklist.chk, or one that was published.
	Sums string

	Heads       int
	FollowLinks bool
	ResizeVocab bool
	Workers     int
	Memory      int64
	Progress    func(Progress)
}

// VerifyReport says what was compared.
type VerifyReport struct {
	Path        string       `json:"path"`
	Files       int          `json:"files"`   // whose digests were compared
	Tensors     int          `json:"tensors"` // that were recomputed, at least in part
	Bytes       int64        `json:"bytes"`   // that were read of the output
	Differences []Difference `json:"differences"`
}

// Difference is something that is not as it should be.
type Difference struct {
	File    string `json:"file,omitempty"`
	Tensor  string `json:"tensor,omitempty"`
	Problem string `json:"problem"`
}

// String reads "where: what".
func (d Difference) String() string {
	switch {
	case d.Tensor == "":
		return d.File + ": " + d.Problem
	case d.File == "":
		return "tensor " + d.Tensor + ": " + d.Problem
	}
	return d.File + ", tensor " + d.Tensor + ": " + d.Problem
}

// maxList bounds the size of a manifest or list, which are read whole.
const maxList = 64 << 20

// Verify compares an output with its manifest, with a list of checksums, or
// with what its base and diff give. Errors are of what could not be compared;
// what was found to differ is in the report.
func Verify(ctx context.Context, path string, opts *VerifyOptions) (*VerifyReport, error) {
	if opts == nil {
		opts = &VerifyOptions{}
	}
	if (opts.Base == "") != (opts.Diff == "") {
		return nil, errors.New("only one of base and diff is given: the output is recomputed from both: give the other one too")
	}
	v := &verifier{ctx: ctx, options: *opts, report: &VerifyReport{Path: path, Differences: []Difference{}}}
	if err := v.place(path); err != nil {
		return nil, err
	}
	err := v.manifest(opts.Base == "" && opts.Sums == "")
	if err == nil && opts.Sums != "" {
		err = v.sums()
	}
	if err == nil && opts.Base != "" {
		err = v.recompute()
	}
	if err != nil {
		return nil, err
	}
	return v.report, nil
}

type verifier struct {
	ctx     context.Context
	options VerifyOptions
	dir     string // of the output's files
	listing string // path of the manifest
	mu      sync.Mutex
	report  *VerifyReport
}

// place finds where the output's files and its manifest are.
func (v *verifier) place(path string) error {
	info, err := vfs.OS.Stat(path)
	if err != nil {
		return err
	}
	v.dir, v.listing = path, filepath.Join(path, ManifestName)
	if !info.IsDir() {
		v.dir, v.listing = filepath.Dir(path), path+"."+ManifestName
	}
	return nil
}

func (v *verifier) differs(d Difference) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Differences = append(v.report.Differences, d)
}

// readSmall reads a file that is bounded in size.
func readSmall(path string) ([]byte, error) {
	f, err := vfs.OS.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > maxList {
		return nil, fmt.Errorf("%d bytes are too many: %s: give the list itself", f.Size(), path)
	}
	text := make([]byte, f.Size())
	if err := bounded.ReadFull(f, text, 0); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return text, nil
}

// ReadManifest reads a manifest.
func ReadManifest(path string) (*Manifest, error) {
	text, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(&m)
	if err == nil && m.Version != 1 {
		err = fmt.Errorf("its version is %d, not 1", m.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("no manifest that can be read: %v: %s: make the output anew, or verify it against its base and diff", err, path)
	}
	return &m, nil
}

// manifest compares the output's files with the manifest, if there is one or
// must be.
func (v *verifier) manifest(must bool) error {
	m, err := ReadManifest(v.listing)
	if errors.Is(err, fs.ErrNotExist) {
		if must {
			return fmt.Errorf("there is no manifest: %s: give base and diff, or a list of checksums, to verify against", v.listing)
		}
		return nil
	}
	if err != nil {
		return err
	}
	damaged := false
	for _, f := range m.Outputs {
		if f.SHA256 == "" && !must {
			return nil
		}
		if f.SHA256 == "" {
			return fmt.Errorf("the manifest has no digests: %s: give base and diff, or a list of checksums, to verify against", v.listing)
		}
		same, err := v.file(f.Name, f.Size, "sha256", f.SHA256)
		if err != nil {
			return err
		}
		damaged = damaged || !same
	}
	if damaged {
		v.blame(m)
	}
	return nil
}

// file compares one of the output's files with a digest; a size below zero is
// not known.
func (v *verifier) file(name string, size int64, kind, digest string) (same bool, err error) {
	f, err := vfs.OS.OpenIn(v.dir, name, v.options.FollowLinks)
	if errors.Is(err, fs.ErrNotExist) {
		v.differs(Difference{File: name, Problem: "is missing"})
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	v.report.Files++
	if size >= 0 && f.Size() != size {
		v.differs(Difference{File: name, Problem: fmt.Sprintf("has %d bytes, not %d", f.Size(), size)})
		return false, nil
	}
	got, err := hashAll(v.ctx, newHash(kind), f, f.Size(), tooLarge(f.Size(), memory.Free()))
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", filepath.Join(v.dir, name), err)
	}
	v.report.Bytes += f.Size()
	if got != digest {
		v.differs(Difference{File: name, Problem: fmt.Sprintf("has the %s %s, not %s", kind, got, digest)})
	}
	return got == digest, nil
}

// blame names the tensors that are damaged, as far as the files can be read.
func (v *verifier) blame(m *Manifest) {
	c, err := weights.Open(v.ctx, v.report.Path, &weights.OpenOptions{Heads: v.options.Heads, FollowLinks: v.options.FollowLinks})
	if err != nil {
		v.differs(Difference{File: filepath.Base(v.report.Path), Problem: "cannot be read any more: " + err.Error()})
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
			v.differs(Difference{Tensor: want.Name, Problem: "is missing, or of another type or shape"})
			continue
		}
		sum := crc32.NewIEEE()
		if _, err := io.Copy(sum, io.NewSectionReader(t, 0, t.Bytes())); err != nil {
			v.differs(Difference{Tensor: want.Name, Problem: "cannot be read: " + err.Error()})
		} else if got := fmt.Sprintf("%08x", sum.Sum32()); got != want.CRC32 {
			v.differs(Difference{Tensor: want.Name, Problem: fmt.Sprintf("has the CRC-32 %s, not %s", got, want.CRC32)})
		}
	}
}
