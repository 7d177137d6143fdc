package weights

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/torchfile"
)

// planTorch lays out a directory of Meta's shards.
func (p *Plan) planTorch() error {
	shards := int64(cmp.Or(p.Spec.Shards, p.Spec.Config.releasedShards()))
	if !slices.Contains([]int64{1, 2, 4, 8}, shards) {
		return optionError("%d shards cannot be written: take 1, 2, 4 or 8", shards)
	}
	if c := &p.Spec.Config; shards > 1 && c.Heads > 0 && (c.Heads%int(shards) != 0 || c.KeyHeads()%int(shards) != 0) {
		return &ModelError{fmt.Sprintf("%d heads cannot be divided among %d shards", c.Heads, shards), string(p.Spec.Format), "take fewer shards"}
	}
	params := p.Spec.Config.Params()
	for i := range int(shards) {
		if err := p.addZip(i, shards, params); err != nil {
			return err
		}
	}
	text, err := p.Spec.Config.params()
	if err == nil {
		p.addSmallFiles(map[string][]byte{"params.json": text})
	}
	return err
}

// releasedShards returns the number of files that Meta released this size in.
func (c *Config) releasedShards() int {
	return cmp.Or(map[string]int{"13B": 2, "30B": 4, "65B": 8}[c.Size()], 1)
}

// addZip lays out shard i.
func (p *Plan) addZip(i int, shards int64, params []Param) error {
	tensors := p.tensors(params)
	for k, q := range params {
		place := p.placements[q]
		if i == 0 {
			place = Placement{DType: dtype.Type(tensors[k].DType), Shape: tensors[k].Shape, Axis: q.Role.shardAxis()}
		}
		// Norms, with an Axis of -1, are whole in every shard.
		size := int64(1)
		if place.Axis >= 0 {
			size = place.Shape[place.Axis] / shards
			if size*shards != place.Shape[place.Axis] {
				return &ModelError{fmt.Sprintf("weight %v of shape %v cannot be divided among %d shards", q, place.Shape, shards), string(p.Spec.Format), "take fewer shards"}
			}
			tensors[k].Shape = slices.Clone(place.Shape)
			tensors[k].Shape[place.Axis] = size
		}
		place.Parts = append(place.Parts, Part{File: len(p.Files), Size: size, index: k})
		p.placements[q] = place
	}
	// torch.save names the folder in the zip after the file.
	name := shardName(i)
	zip, err := torchfile.NewPlan(strings.TrimSuffix(name, ".pth"), tensors)
	if err != nil {
		return err
	}
	for k, q := range params {
		p.placements[q].Parts[i].Offset = zip.Offsets[k]
	}
	p.sealed = append(p.sealed, sealedFile{len(p.Files), tensors, zip.Seal})
	p.Files = append(p.Files, PlannedFile{name, zip.Size, zip.Pieces})
	return nil
}
