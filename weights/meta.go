package weights

import (
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/koala-go/sdk/internal/refusal"
)

// shardAxis is the axis along which Meta's shards divide a weight; -1 for
// norms, of which every shard has a copy. Source: meta-llama/llama, model.py:
// ParallelEmbedding and RowParallelLinear divide columns, ColumnParallelLinear
// divides rows.
func (r Role) shardAxis() int {
	switch r {
	case Embed, O, Down:
		return 1
	case AttnNorm, FFNNorm, Norm:
		return -1
	}
	return 0
}

// shardName is Meta's name of a shard.
func shardName(i int) string { return fmt.Sprintf("consolidated.%02d.pth", i) }

var shardPattern = regexp.MustCompile(`^consolidated\.\d\d\.pth$`)

// openMeta reads a directory of Meta's shards, none of which may be missing
// between the first and the last.
func (c *Checkpoint) openMeta(names []string) error {
	c.Format = FormatTorch
	var shards [][]*Tensor
	for _, found := range names { // sorted
		if !shardPattern.MatchString(found) {
			continue
		}
		name := shardName(len(shards))
		if found != name {
			return whole(c.Format, c.Path, ErrMalformed, "shard %s is missing beside %s", name, found)
		}
		f, err := c.openBeside(name)
		if err != nil {
			return err
		}
		tensors, err := c.readFile(f)
		if err != nil {
			return err
		}
		shards = append(shards, tensors)
	}
	var err error
	c.Tensors, err = joinShards(shards)
	return err
}

// joinShards makes one list of tensors of the lists of several shards. What
// is no weight is taken from the first.
func joinShards(shards [][]*Tensor) ([]*Tensor, error) {
	if len(shards) == 1 {
		return shards[0], nil
	}
	byName := make([]map[string]*Tensor, len(shards))
	for i, tensors := range shards {
		byName[i] = make(map[string]*Tensor, len(tensors))
		for _, t := range tensors {
			byName[i][t.Name] = t
		}
	}
	for i := range byName[1:] {
		for name, t := range byName[i+1] {
			if byName[0][name] == nil && Meta.Param(name).IsWeight() {
				return nil, shardError(t, "is not in the first shard")
			}
		}
	}
	var joined []*Tensor
	for _, first := range shards[0] {
		t, err := joinTensor(first, byName)
		if err != nil {
			return nil, err
		}
		joined = append(joined, t)
	}
	return joined, nil
}

// joinTensor joins the pieces of one weight.
func joinTensor(first *Tensor, shards []map[string]*Tensor) (*Tensor, error) {
	p := Meta.Param(first.Name)
	if !p.IsWeight() {
		return first, nil
	}
	axis := p.Role.shardAxis()
	var pieces []*Tensor
	for _, shard := range shards {
		t := shard[first.Name]
		switch {
		case t == nil:
			return nil, shardError(first, "is not in every shard")
		case t.DType != first.DType || len(t.Shape) != len(first.Shape):
			return nil, shardError(t, "differs in type or shape from the first shard's")
		case axis >= 0 && len(t.Shape) != 2, axis >= 0 && t.Shape[1-axis] != first.Shape[1-axis], axis < 0 && !slices.Equal(t.Shape, first.Shape):
			return nil, shardError(t, "has a shape %v that does not fit the first shard's %v", t.Shape, first.Shape)
		}
		pieces = append(pieces, t)
	}
	if axis < 0 {
		return first, nil
	}
	all := *first
	all.Shape = slices.Clone(first.Shape)
	all.Shape[axis], all.extents = 0, nil
	for _, t := range pieces {
		all.extents = append(all.extents, t.extents...)
		all.Shape[axis] += t.Shape[axis]
	}
	if _, ok := all.DType.Bytes(all.Shape); !ok {
		return nil, shardError(first, "has shards of too many elements")
	}
	all.data, all.turned = join(axis, pieces), nil
	return &all, nil
}

// join reads matrices of one type as one, along an axis.
func join(axis int, pieces []*Tensor) io.ReaderAt {
	data, bytes := make([]io.ReaderAt, len(pieces)), make([]int64, len(pieces))
	rows := pieces[0].Shape[0]
	row := int64(0)
	for i, t := range pieces {
		data[i], bytes[i] = t.data, t.Bytes()
		if axis == 1 {
			bytes[i] = t.Shape[1] * t.DType.Size()
		}
		row += bytes[i]
	}
	if axis == 0 {
		return stacked(newParts(data, bytes))
	}
	return &beside{newParts(data, bytes), row, rows}
}

func shardError(t *Tensor, text string, args ...any) error {
	return &FormatError{Format: FormatTorch, Path: t.Path, Offset: t.Offset, Tensor: t.Name, Err: refusal.Reason(ErrMalformed, text, args...)}
}
