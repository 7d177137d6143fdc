package weights

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/wire"
)

// DefaultShardSize is the largest size of a safetensors shard in bytes, 5 GB,
// as in transformers.
const DefaultShardSize = 5_000_000_000

// Spec says what checkpoint to write.
type Spec struct {
	Format Format // FormatSafetensors or FormatEasyLM
	Config Config
	// DTypes gives each weight's type. Its keys are the weights to write: the
	// Params of the Config.
	DTypes map[Param]DType
	// ShardSize bounds the tensors' bytes in one safetensors file; a tensor
	// that is larger has a file of its own. 0 is DefaultShardSize.
	ShardSize int64
	// Files are further small files for a directory, by name. They replace
	// the config.json and generation_config.json that are made from Config.
	Files map[string][]byte
}

// Layout is the layout that files of the spec's format have.
func (s *Spec) Layout() *Layout {
	if s.Format == FormatEasyLM {
		return EasyLM
	}
	return HuggingFace
}

// Plan is a checkpoint to be written, with the place of every byte known.
type Plan struct {
	Spec  *Spec
	Files []PlannedFile

	places map[Param]Place
}

// PlannedFile is one file of a Plan.
type PlannedFile struct {
	Name   string // within the output directory, "" when the output is this file
	Size   int64
	Pieces []Piece // all that is not weights
}

// Piece is some bytes that are known beforehand.
type Piece struct {
	Offset int64
	Bytes  []byte
}

// Place is where a weight's bytes go, and as what.
type Place struct {
	File   int   // index in Plan.Files
	Offset int64 // in the file
	DType  DType
	Shape  []int64
}

// Place is the place of a weight; its DType is "" when the plan has none.
func (p *Plan) Place(q Param) Place { return p.places[q] }

// Bytes is the length of the weight's bytes.
func (at Place) Bytes() int64 {
	n, _ := wire.DataSize(string(at.DType), at.Shape)
	return n
}

// Plan lays out the files. Nothing is written.
func (s *Spec) Plan() (*Plan, error) {
	for q, t := range s.DTypes {
		if !t.IsWeight() {
			return nil, fmt.Errorf("%v cannot be written as %q, only as F16, BF16 or F32: %w", q, t, ErrUnsupported)
		}
	}
	p := &Plan{Spec: s, places: make(map[Param]Place, len(s.DTypes))}
	switch s.Format {
	case FormatEasyLM:
		return p, p.planStream()
	case FormatSafetensors:
		return p, p.planDirectory()
	}
	return nil, fmt.Errorf("format %q cannot be written: %w", s.Format, ErrUnsupported)
}

// Bytes is the size of all files together.
func (p *Plan) Bytes() int64 {
	var n int64
	for _, f := range p.Files {
		n += f.Size
	}
	return n
}

// IsDir says whether the output is a directory.
func (p *Plan) IsDir() bool { return p.Spec.Format == FormatSafetensors }

// sorted lists the weights as tensors of the layout, by name; names are
// compared key by key, as jax sorts a tree and transformers a state dict.
func (p *Plan) sorted() ([]Param, []wire.Tensor) {
	layout := p.Spec.Layout()
	params := slices.SortedFunc(maps.Keys(p.Spec.DTypes), func(a, b Param) int {
		return slices.Compare(strings.Split(layout.Name(a), "/"), strings.Split(layout.Name(b), "/"))
	})
	tensors := make([]wire.Tensor, len(params))
	for i, q := range params {
		tensors[i] = wire.Tensor{
			Name:  layout.Name(q),
			DType: string(layout.DType(q.Role, p.Spec.DTypes[q])),
			Shape: layout.Shape(q.Role, &p.Spec.Config),
		}
	}
	return params, tensors
}

func newPlace(file int, offset int64, t *wire.Tensor) Place {
	return Place{file, offset, DType(t.DType), t.Shape}
}

// planStream lays out an EasyLM stream, its keys sorted as the reference
// writes them.
func (p *Plan) planStream() error {
	params, tensors := p.sorted()
	file := PlannedFile{}
	for i := range tensors {
		head, err := flax.AppendRecord(nil, &tensors[i])
		if err != nil {
			return err
		}
		file.Pieces = append(file.Pieces, Piece{file.Size, head})
		file.Size += int64(len(head))
		p.places[params[i]] = newPlace(0, file.Size, &tensors[i])
		file.Size += tensors[i].Bytes()
	}
	p.Files = []PlannedFile{file}
	return nil
}

// planDirectory lays out a Hugging Face directory.
func (p *Plan) planDirectory() error {
	params, tensors := p.sorted()
	shards := split(tensors, cmp.Or(p.Spec.ShardSize, DefaultShardSize))
	weightMap := make(map[string]string, len(tensors))
	for i, shard := range shards {
		name := singleName
		if len(shards) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		if err := p.addShard(name, params[shard.from:shard.to], tensors[shard.from:shard.to]); err != nil {
			return err
		}
		for _, t := range tensors[shard.from:shard.to] {
			weightMap[t.Name] = name
		}
	}
	if len(shards) > 1 {
		if err := p.addIndex(tensors, weightMap); err != nil {
			return err
		}
	}
	return p.addSmallFiles()
}

type span struct{ from, to int }

// split fills shards one after the other, as transformers does.
func split(tensors []wire.Tensor, limit int64) []span {
	var shards []span
	filled := int64(0)
	for i := range tensors {
		n := tensors[i].Bytes()
		if len(shards) == 0 || filled+n > limit && filled > 0 {
			shards = append(shards, span{i, i})
			filled = 0
		}
		filled += n
		shards[len(shards)-1].to = i + 1
	}
	return shards
}

func (p *Plan) addShard(name string, params []Param, tensors []wire.Tensor) error {
	header, offsets, size, err := safetensors.Header(tensors, map[string]string{"format": "pt"})
	if err != nil {
		return err
	}
	for i, q := range params {
		p.places[q] = newPlace(len(p.Files), offsets[i], &tensors[i])
	}
	p.Files = append(p.Files, PlannedFile{name, size, []Piece{{0, header}}})
	return nil
}

func (p *Plan) addIndex(tensors []wire.Tensor, weightMap map[string]string) error {
	var parameters, bytes int64
	for i := range tensors {
		n, _ := wire.Elements(tensors[i].Shape)
		parameters, bytes = parameters+n, bytes+tensors[i].Bytes()
	}
	text, err := json.MarshalIndent(map[string]any{
		"metadata":   map[string]int64{"total_parameters": parameters, "total_size": bytes},
		"weight_map": weightMap,
	}, "", "  ")
	p.addFile(indexName, append(text, '\n'))
	return err
}

// addSmallFiles adds the configuration and what the caller gives.
func (p *Plan) addSmallFiles() error {
	config, err := p.Spec.Config.HF(p.mainDType())
	if err != nil {
		return err
	}
	files := map[string][]byte{"config.json": config, "generation_config.json": []byte(generationConfig)}
	maps.Copy(files, p.Spec.Files)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		p.addFile(name, files[name])
	}
	return nil
}

func (p *Plan) addFile(name string, text []byte) {
	p.Files = append(p.Files, PlannedFile{name, int64(len(text)), []Piece{{0, text}}})
}

// mainDType is the type of the matrices.
func (p *Plan) mainDType() DType {
	return p.Spec.DTypes[Param{Role: Embed}]
}

const generationConfig = `{
  "_from_model_config": true,
  "bos_token_id": 1,
  "eos_token_id": 2,
  "pad_token_id": 0
}
`
