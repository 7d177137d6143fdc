package weights

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/tensor"
)

// planSafetensors lays out a Hugging Face directory.
func (p *Plan) planSafetensors() error {
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
	// transformers writes no index for a single file.
	if len(shards) > 1 {
		if err := p.addIndex(tensors, weightMap); err != nil {
			return err
		}
	}
	config, err := p.Spec.Config.HF(p.mainDType())
	if err == nil {
		p.addSmallFiles(map[string][]byte{"config.json": config, "generation_config.json": []byte(generationConfig)})
	}
	return err
}

// span is a range of tensors.
type span struct{ from, to int }

// split fills shards one after the other, as transformers does.
func split(tensors []tensor.Tensor, limit int64) []span {
	var shards []span
	filled := int64(0)
	for i := range tensors {
		n := tensors[i].Bytes()
		// A tensor that is larger than the limit has a shard of its own.
		if len(shards) == 0 || filled+n > limit && filled > 0 {
			shards = append(shards, span{i, i})
			filled = 0
		}
		filled += n
		shards[len(shards)-1].to = i + 1
	}
	return shards
}

// addShard adds a safetensors file.
func (p *Plan) addShard(name string, params []Param, tensors []tensor.Tensor) error {
	header, offsets, size, err := safetensors.Header(tensors, map[string]string{"format": "pt"})
	if err != nil {
		return err
	}
	for i, q := range params {
		p.placements[q] = newPlacement(len(p.Files), offsets[i], &tensors[i])
	}
	p.Files = append(p.Files, PlannedFile{name, size, []Piece{{Bytes: header}}})
	return nil
}

// addIndex adds the file that lists the shard of each tensor.
func (p *Plan) addIndex(tensors []tensor.Tensor, weightMap map[string]string) error {
	var parameters, bytes int64
	for i := range tensors {
		n, _ := dtype.Elements(tensors[i].Shape)
		parameters, bytes = parameters+n, bytes+tensors[i].Bytes()
	}
	text, err := json.MarshalIndent(map[string]any{
		"metadata":   map[string]int64{"total_parameters": parameters, "total_size": bytes},
		"weight_map": weightMap,
	}, "", "  ")
	p.addFile(indexName, append(text, '\n'))
	return err
}

// addSmallFiles adds files that are made from the configuration, and those that
// the caller gave, which replace them.
func (p *Plan) addSmallFiles(made map[string][]byte) {
	maps.Copy(made, p.Spec.Files)
	for _, name := range slices.Sorted(maps.Keys(made)) {
		p.addFile(name, made[name])
	}
}

// addFile adds a file of known content.
func (p *Plan) addFile(name string, text []byte) {
	p.Files = append(p.Files, PlannedFile{name, int64(len(text)), []Piece{{Bytes: text}}})
}

// mainDType returns the type of the matrices.
func (p *Plan) mainDType() dtype.Type {
	return p.Spec.DTypes[Param{Role: Embed}]
}

// generationConfig is the generation_config.json that transformers writes for
// LLaMA.
const generationConfig = `{
  "_from_model_config": true,
  "bos_token_id": 1,
  "eos_token_id": 2,
  "pad_token_id": 0
}
`
