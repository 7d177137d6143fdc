package diff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"runtime/debug"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/source"
	"github.com/koala-go/sdk/weights"
)

// ManifestName is the file that says what an output is: in a directory, or
// beside a file as FILE.koala-manifest.json.
const ManifestName = "koala-manifest.json"

// Manifest says what was combined and what came out. It depends on nothing
// else: not on when, where or how fast.
type Manifest struct {
	Version   int              `json:"koala_manifest"` // of this format: 1
	Tool      string           `json:"tool"`
	Operation string           `json:"operation"`
	Rule      string           `json:"rule"` // of the arithmetic
	Format    weights.Format   `json:"format"`
	Inputs    []ManifestInput  `json:"inputs"`
	Outputs   []ManifestFile   `json:"outputs"`
	Tensors   []ManifestTensor `json:"tensors"`
}

// ManifestInput is a checkpoint that was read.
type ManifestInput struct {
	Name  string         `json:"name"` // "base", "diff", …
	Path  string         `json:"path"` // its last element
	Files []ManifestFile `json:"files"`
}

// ManifestFile is a file and its digest.
type ManifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"` // as far as it was asked for
}

// ManifestTensor is a tensor of the output. Its CRC-32 tells which one is
// damaged when the digest of a file says that something is.
type ManifestTensor struct {
	Name  string     `json:"name"`
	DType dtype.Type `json:"dtype"`
	Shape []int64    `json:"shape"`
	CRC32 string     `json:"crc32,omitempty"` // of the bytes as stored, row by row
}

// manifest describes a finished output.
func (p *Plan) manifest(inputs []ManifestInput, files []weights.FileSum, sums map[weights.Param]uint32) *Manifest {
	m := &Manifest{
		Version: 1, Tool: toolVersion(), Operation: p.op.name, Rule: p.rule(), Format: p.options.Format, Inputs: inputs,
	}
	for _, f := range files {
		if f.Name == "" {
			f.Name = filepath.Base(p.out)
		}
		m.Outputs = append(m.Outputs, ManifestFile(f))
	}
	for _, q := range p.layout.Order() {
		at := p.layout.Place(q)
		t := ManifestTensor{Name: p.layout.Spec.Layout().Name(q), DType: at.DType, Shape: at.Shape}
		if sum, ok := sums[q]; ok {
			t.CRC32 = fmt.Sprintf("%08x", sum)
		}
		m.Tensors = append(m.Tensors, t)
	}
	return m
}

func (m *Manifest) encode() []byte {
	text, _ := json.MarshalIndent(m, "", " ") // of such fields it does not fail
	return append(text, '\n')
}

// module is the path of this module.
const module = "github.com/koala-go/sdk"

// toolVersion is the module's name and version, as far as the build knows it.
func toolVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return module
	}
	if info.Main.Path == module && info.Main.Version != "" {
		return module + " " + info.Main.Version
	}
	for _, d := range info.Deps {
		if d.Path == module {
			return module + " " + d.Version
		}
	}
	return module
}

// hashInputs describes the inputs' files and, if that was asked for, reads
// them beside the work for their digests. The returned function waits for it,
// or stops it.
func hashInputs(ctx context.Context, p *Plan, forget bool) func(stop bool) ([]ManifestInput, error) {
	var list []ManifestInput
	for i, c := range p.sources {
		in := ManifestInput{Name: p.inputs[i].name, Path: filepath.Base(c.Path)}
		for _, f := range c.Files() {
			in.Files = append(in.Files, ManifestFile{Name: filepath.Base(f.Path), Size: f.Size})
		}
		list = append(list, in)
	}
	if p.options.Digests != DigestAll {
		return func(bool) ([]ManifestInput, error) { return list, nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan error, 1)
	go func() { result <- hashFiles(ctx, p, list, forget) }()
	return func(stop bool) ([]ManifestInput, error) {
		if stop {
			cancel()
		}
		err := <-result
		cancel()
		return list, err
	}
}

func hashFiles(ctx context.Context, p *Plan, list []ManifestInput, forget bool) error {
	for i, c := range p.sources {
		for k, f := range c.Files() {
			digest, err := hashAll(ctx, sha256.New(), f.Data, f.Size, forget)
			if err != nil {
				return fmt.Errorf("%s: reading %s: %w", p.inputs[i].name, f.Path, err)
			}
			list[i].Files[k].SHA256 = digest
		}
	}
	return nil
}

// hashAll is the digest of a file, in hexadecimal digits. With forget, the
// system is told that it will not be read again soon.
func hashAll(ctx context.Context, sum hash.Hash, f io.ReaderAt, size int64, forget bool) (string, error) {
	b := make([]byte, 1<<20)
	advised, ok := f.(source.Prefetcher)
	for off := int64(0); off < size; off += int64(len(b)) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if forget && ok && off > 0 && off%forgetEvery == 0 {
			advised.Release(off-forgetEvery, forgetEvery)
		}
		b = b[:min(int64(len(b)), size-off)]
		if err := bounded.ReadFull(f, b, off); err != nil {
			return "", err
		}
		sum.Write(b)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// forgetEvery is how many bytes are forgotten at once; it is a multiple of what
// hashAll reads.
const forgetEvery = 64 << 20
