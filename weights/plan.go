package weights

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/tensor"
)

// DefaultShardSize is the largest size of a safetensors shard in bytes, 5 GB,
// as in transformers.
const DefaultShardSize = 5_000_000_000

// Spec specifies a checkpoint to be written.
type Spec struct {
	// Format determines the layout too. FormatSafetensors is a Hugging Face
	// directory, FormatTorch a directory of Meta's shards, FormatEasyLM a
	// stream, FormatGGUF a file.
	Format Format
	// Config is the shape of the model.
	Config Config
	// DTypes gives the type of each weight. Its keys are the weights to write:
	// Config.Params. Q8_0 is for FormatGGUF only; weights whose rows are not
	// whole blocks become F16 there.
	DTypes map[Param]dtype.Type
	// ShardSize bounds the bytes of the tensors in one safetensors file. A
	// larger tensor has a file of its own. Zero means DefaultShardSize.
	ShardSize int64
	// Shards is the number of Meta's shards: 1, 2, 4 or 8. Zero means the
	// number that LLaMA was released in at this size, and 1 for other sizes.
	Shards int
	// Files are further small files of a directory, by name. They replace the
	// files that are made from Config: config.json and generation_config.json,
	// or params.json.
	Files map[string][]byte
	// Name is the name of the model in a GGUF file.
	Name string
	// Vocabulary is the tokenizer in a GGUF file. Nil leaves it out.
	Vocabulary *Vocabulary
}

// Layout returns the layout of the format's files.
func (s *Spec) Layout() *Layout { return s.Format.Layout() }

// Plan is a checkpoint to be written, with the offset of every byte known.
type Plan struct {
	Spec  *Spec         // what Spec.Plan was called on
	Files []PlannedFile // the files of the output

	placements map[Param]Placement
	sealed     []sealedFile
}

// PlannedFile is one file of a Plan.
type PlannedFile struct {
	Name   string  // in the output directory, "" if the output is this file
	Size   int64   // in bytes
	Pieces []Piece // the bytes between the weights, such as headers
}

// Piece is a run of bytes of a file that is known before the weights are.
type Piece = tensor.Piece

// sealedFile is a file that holds checksums of its tensors: bytes of it are
// known only when all of its tensors are written.
type sealedFile struct {
	file    int // index in Plan.Files
	tensors []tensor.Tensor
	seal    func(sums []uint32) []Piece // given the CRC-32 of each tensor
}

// Placement returns where the bytes of a weight go. Its DType is "" if the plan
// does not have the weight.
func (p *Plan) Placement(q Param) Placement { return p.placements[q] }

// Plan lays out the files. It writes nothing. The error is of the kind
// ErrOptions for a Spec that cannot be written, and a *ModelError for a model
// that does not fit the format.
func (s *Spec) Plan() (*Plan, error) {
	if !s.Format.Writable() {
		return nil, optionError("format %q cannot be written: take one of %s", s.Format, writable())
	}
	for q, t := range s.DTypes {
		if !s.Format.Stores(t) {
			return nil, optionError("weight %v cannot be written as %q to %s: take dtype.F16, dtype.BF16 or dtype.F32, or for GGUF dtype.Q8_0", q, t, s.Format)
		}
	}
	p := &Plan{Spec: s, placements: make(map[Param]Placement, len(s.DTypes))}
	if err := s.Format.row().plan(p); err != nil {
		return nil, err
	}
	return p, nil
}

// writable lists the formats that can be written, for an error text.
func writable() string {
	var names []string
	for _, f := range Formats() {
		if f.Writable() {
			names = append(names, string(f))
		}
	}
	return strings.Join(names, ", ")
}

// Order returns the weights in the order in which the files hold them.
func (p *Plan) Order() []Param {
	return slices.SortedFunc(maps.Keys(p.placements), func(a, b Param) int {
		x, y := p.placements[a].Parts[0], p.placements[b].Parts[0]
		return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Offset, y.Offset))
	})
}

// Bytes returns the size of all files together.
func (p *Plan) Bytes() int64 {
	var n int64
	for _, f := range p.Files {
		n += f.Size
	}
	return n
}

// IsDir reports whether the output is a directory.
func (p *Plan) IsDir() bool { return p.Spec.Format.IsDir() }

// sorted returns the weights, and their tensors in the layout, by name. Names
// are compared key by key, as jax sorts a tree and transformers a state dict.
func (p *Plan) sorted() ([]Param, []tensor.Tensor) {
	layout := p.Spec.Layout()
	params := slices.SortedFunc(maps.Keys(p.Spec.DTypes), func(a, b Param) int {
		return slices.Compare(strings.Split(layout.Name(a), "/"), strings.Split(layout.Name(b), "/"))
	})
	return params, p.tensors(params)
}

// tensors describes weights as the layout stores them.
func (p *Plan) tensors(params []Param) []tensor.Tensor {
	layout := p.Spec.Layout()
	tensors := make([]tensor.Tensor, len(params))
	for i, q := range params {
		shape := layout.Shape(q.Role, &p.Spec.Config)
		dt := layout.DType(q.Role, p.Spec.DTypes[q])
		if _, ok := dt.Bytes(shape); !ok && !dt.IsFloat() {
			dt = dtype.F16 // the rows are not whole blocks; llama.cpp's converter does the same
		}
		tensors[i] = tensor.Tensor{Name: layout.Name(q), DType: dt, Shape: shape}
	}
	return tensors
}

// planEasyLM lays out an EasyLM stream, with its keys sorted as the reference
// writes them.
func (p *Plan) planEasyLM() error {
	params, tensors := p.sorted()
	file := PlannedFile{}
	for i := range tensors {
		head, err := flax.AppendRecord(nil, &tensors[i])
		if err != nil {
			return err
		}
		file.Pieces = append(file.Pieces, Piece{Offset: file.Size, Bytes: head})
		file.Size += int64(len(head))
		p.placements[params[i]] = newPlacement(0, file.Size, &tensors[i])
		file.Size += tensors[i].Bytes()
	}
	p.Files = []PlannedFile{file}
	return nil
}
