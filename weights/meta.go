package weights

import (
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/koala-go/sdk/internal/refusal"
)

// shardAxis returns the axis along which Meta's shards divide a weight, -1 for
// norms, which every shard has a copy of. Source: meta-llama/llama, model.py:
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

// shardName returns the name of Meta's shard i.
func shardName(i int) string { return fmt.Sprintf("consolidated.%02d.pth", i) }

var shardPattern = regexp.MustCompile(`^consolidated\.\d\d\.pth$`)

// openMetaShards reads a directory of Meta's shards. It reports false if the
// directory has none.
func openMetaShards(c *Checkpoint, names []string) (bool, error) {
	if !slices.ContainsFunc(names, shardPattern.MatchString) {
		return false, nil
	}
	return true, c.openMeta(names)
}

// openMeta reads Meta's shards, none of which may be missing between the first
// and the last.
func (c *Checkpoint) openMeta(names []string) error {
	var shards [][]*Tensor
	for _, found := range names { // sorted
		if !shardPattern.MatchString(found) {
			continue
		}
		name := shardName(len(shards))
		if found != name {
			return whole(c.Format, c.Path, ErrMalformed, "shard %s is missing, but %s exists", name, found)
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
	c.Tensors, err = mergeShards(shards)
	return err
}

// mergeShards merges the lists of tensors of several shards. Tensors that are
// not weights are taken from the first shard.
func mergeShards(shards [][]*Tensor) ([]*Tensor, error) {
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
	// Every tensor of the first shard is looked up in the others below. Here the
	// others are searched for weights that the first one lacks.
	for i := range byName[1:] {
		for name, t := range byName[i+1] {
			if byName[0][name] == nil && Meta.Param(name).IsWeight() {
				return nil, shardError(t, "is not in the first shard")
			}
		}
	}
	var joined []*Tensor
	for _, first := range shards[0] {
		t, err := mergeTensor(first, byName)
		if err != nil {
			return nil, err
		}
		joined = append(joined, t)
	}
	return joined, nil
}

// mergeTensor concatenates the parts of one weight.
func mergeTensor(first *Tensor, shards []map[string]*Tensor) (*Tensor, error) {
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
			return nil, shardError(t, "differs in type or rank from the tensor of the first shard")
		case axis >= 0 && len(t.Shape) != 2, axis >= 0 && t.Shape[1-axis] != first.Shape[1-axis], axis < 0 && !slices.Equal(t.Shape, first.Shape):
			return nil, shardError(t, "has shape %v, which does not fit %v of the first shard", t.Shape, first.Shape)
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
	// Each part has a valid size, but their sum may overflow.
	if _, ok := all.DType.Bytes(all.Shape); !ok {
		return nil, shardError(first, "has too many elements in all shards together")
	}
	all.data, all.columns = concat(axis, pieces), nil
	return &all, nil
}

// concat reads matrices of one type as one, concatenated along an axis.
func concat(axis int, pieces []*Tensor) io.ReaderAt {
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
		return rowConcat(newParts(data, bytes))
	}
	return &columnConcat{newParts(data, bytes), row, rows}
}

func shardError(t *Tensor, text string, args ...any) error {
	return &FormatError{Format: FormatTorch, Path: t.Path, Offset: t.Offset, Tensor: t.Name, Err: refusal.Reason(ErrMalformed, text, args...)}
}
