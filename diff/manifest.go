package diff

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime/debug"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/weights"
)

// ManifestName is the name of the manifest in a directory. The manifest of a single
// file FILE is FILE.koala-manifest.json beside it.
const ManifestName = "koala-manifest.json"

// Manifest describes an output: what was combined, and the digests of the result. It
// depends on nothing else, such as time, place or speed.
type Manifest struct {
	Version   int              `json:"koala_manifest"` // Version is the version of this format: 1.
	Tool      string           `json:"tool"`           // Tool is the module and its version.
	Operation string           `json:"operation"`      // Operation is "recover", "diff" or "convert".
	Rule      string           `json:"rule"`           // Rule is the formula of the arithmetic, with its types.
	Format    weights.Format   `json:"format"`         // Format is the format of the output.
	Inputs    []ManifestInput  `json:"inputs"`         // Inputs are in the order of the formula.
	Outputs   []ManifestFile   `json:"outputs"`        // Outputs are the files of the output, but for the manifest.
	Tensors   []ManifestTensor `json:"tensors"`        // Tensors are in the order of the files.
}

// ManifestInput is a checkpoint that was read.
type ManifestInput struct {
	Name  string         `json:"name"`  // Name is the part that the input plays: "base", "diff", "target" or "input".
	Path  string         `json:"path"`  // Path is the last element of the input's path.
	Files []ManifestFile `json:"files"` // Files are the files with its weights.
}

// ManifestFile is a file and its digest.
type ManifestFile struct {
	Name   string `json:"name"`             // Name is the name of the file in its directory.
	Size   int64  `json:"bytes"`            // Size is in bytes.
	SHA256 string `json:"sha256,omitempty"` // SHA256 is the digest in hexadecimal digits, if Options.Digests asks for it.
}

// ManifestTensor is a tensor of the output. If the digest of a file shows damage,
// the CRC-32 shows which tensor is damaged.
type ManifestTensor struct {
	Name  string     `json:"name"`            // Name is the name of the tensor in its file.
	DType dtype.Type `json:"dtype"`           // DType is the type in which it is stored.
	Shape []int64    `json:"shape"`           // Shape is the shape in which it is stored.
	CRC32 string     `json:"crc32,omitempty"` // CRC32 is of the bytes as stored, in hexadecimal digits.
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
		placement := p.layout.Placement(q)
		t := ManifestTensor{Name: p.layout.Spec.Layout().Name(q), DType: placement.DType, Shape: placement.Shape}
		if sum, ok := sums[q]; ok {
			t.CRC32 = fmt.Sprintf("%08x", sum)
		}
		m.Tensors = append(m.Tensors, t)
	}
	return m
}

func (m *Manifest) encode() []byte {
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		panic(err) // strings and numbers always have a JSON form
	}
	return append(text, '\n')
}

// module is the path of this module.
const module = "github.com/koala-go/sdk"

// toolVersion returns the module's path and, if the build recorded it, its version.
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
