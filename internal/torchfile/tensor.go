package torchfile

import (
	"io"
	"strconv"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// maxRank is the number of dimensions that torch allows.
const maxRank = 64

// maxNesting bounds dictionaries within dictionaries.
const maxNesting = 16

// tensor is what _rebuild_tensor_v2 is given.
type pickledTensor struct {
	storage        *storage
	first          int64   // element of the storage
	shape, strides []int64 // strides count elements
	at             int64   // file offset of the opcode
	name           string  // the first of its names, "" when it has none
	opened         tensor.Tensor
}

// pushTensor makes a tensor of (storage, offset, shape, strides,
// requires_grad, hooks).
func (p *machine) pushTensor(args tuple) error {
	if len(args) == 7 {
		return p.unsupported("pickle has a tensor with metadata (a conjugate or negative view)")
	}
	if len(args) != 6 {
		return p.malformed("pickle makes a tensor of %d arguments, not 6", len(args))
	}
	s, ok1 := args[0].(*storage)
	first, ok2 := args[1].(int64)
	_, ok3 := args[4].(bool)
	if !ok1 || !ok2 || !ok3 || first < 0 {
		return p.malformed("pickle makes a tensor of (%s, %s, …, %s)", describe(args[0]), describe(args[1]), describe(args[4]))
	}
	shape, ok1 := numbers(args[2])
	strides, ok2 := numbers(args[3])
	if !ok1 || !ok2 || len(shape) != len(strides) {
		return p.malformed("pickle makes a tensor whose shape and strides are no whole numbers, as many of each and at most %d", maxRank)
	}
	if !noHooks(args[5]) {
		return p.unsupported("pickle has a tensor with hooks")
	}
	if err := p.spend(costTensor + costRank*len(shape)); err != nil {
		return err
	}
	t := &pickledTensor{storage: s, first: first, shape: shape, strides: strides, at: p.at()}
	p.tensors = append(p.tensors, t)
	return p.push(t)
}

// pushParameter makes a parameter of (tensor, requires_grad, hooks): it is
// the tensor.
func (p *machine) pushParameter(args tuple) error {
	if len(args) != 3 {
		return p.malformed("pickle makes a Parameter of %d arguments, not 3", len(args))
	}
	t, ok := args[0].(*pickledTensor)
	if _, isBool := args[1].(bool); !ok || !isBool {
		return p.malformed("pickle makes a Parameter of (%s, %s, …)", describe(args[0]), describe(args[1]))
	}
	if !noHooks(args[2]) {
		return p.unsupported("pickle has a Parameter with hooks")
	}
	return p.push(t)
}

// noHooks is whether a tensor's last argument is the empty OrderedDict.
func noHooks(v any) bool {
	d, ok := v.(*dict)
	return ok && d.ordered && len(d.entries) == 0
}

// numbers reads a tuple of at most maxRank whole numbers.
func numbers(v any) ([]int64, bool) {
	t, ok := v.(tuple)
	if !ok || len(t) > maxRank {
		return nil, false
	}
	list := make([]int64, len(t))
	for i, item := range t {
		if list[i], ok = item.(int64); !ok {
			return nil, false
		}
	}
	return list, true
}

// collector gathers the tensors that have names.
type collector struct {
	p     *machine
	named []namedTensor
}

type namedTensor struct {
	name string
	*pickledTensor
}

// collect names the tensors of the root, and checks all that were made.
func (p *machine) collect(root any, z *archive) ([]tensor.Tensor, error) {
	d, ok := root.(*dict)
	if !ok {
		return nil, p.unsupported("pickle holds %s, not a dictionary of tensors", describe(root))
	}
	c := &collector{p: p}
	if err := c.walk(d, "", maxNesting); err != nil {
		return nil, err
	}
	for _, t := range p.tensors {
		if err := t.open(z); err != nil {
			return nil, err
		}
	}
	for _, s := range p.storages {
		if _, err := s.check(z, ""); err != nil {
			return nil, err
		}
	}
	return c.unique()
}

// walk names the tensors of one dictionary and of those in it.
func (c *collector) walk(d *dict, prefix string, depth int) error {
	if depth == 0 {
		return refusal.Malformed(d.at, "", "dictionaries are nested deeper than %d", maxNesting)
	}
	// The same dictionary may stand in many places.
	if err := c.p.spend(costBoxed * len(d.entries)); err != nil {
		return err
	}
	for _, e := range d.entries {
		switch v := e.value.(type) {
		case *dict:
			name, err := c.join(prefix, e.key)
			if err != nil {
				return err
			}
			if err := c.walk(v, name+".", depth-1); err != nil {
				return err
			}
		case *pickledTensor:
			name, err := c.join(prefix, e.key)
			if err != nil {
				return err
			}
			if v.name == "" {
				v.name = name
			}
			c.named = append(c.named, namedTensor{name, v})
		}
	}
	return nil
}

// join makes a name of a key and those above it.
func (c *collector) join(prefix string, key any) (string, error) {
	text, ok := key.(string)
	if !ok {
		text = strconv.FormatInt(key.(int64), 10)
	}
	if err := c.p.spend(costTensor + 2*len(prefix) + 2*len(text)); err != nil {
		return "", err
	}
	if prefix == "" {
		return text, nil
	}
	return prefix + text, nil
}

// unique lists the tensors, whose names must differ.
func (c *collector) unique() ([]tensor.Tensor, error) {
	list := make([]tensor.Tensor, len(c.named))
	seen := make(map[string]struct{}, len(c.named))
	for i, t := range c.named {
		if _, dup := seen[t.name]; dup {
			return nil, refusal.Malformed(t.at, t.name, "two tensors have this name when the keys above it are joined by dots")
		}
		seen[t.name] = struct{}{}
		list[i] = t.opened
		list[i].Name = t.name
	}
	return list, nil
}

// open checks that the tensor's elements lie in its storage, and makes its
// readers.
func (t *pickledTensor) open(z *archive) error {
	m, err := t.storage.check(z, t.name)
	if err != nil {
		return err
	}
	if err := t.checkExtent(); err != nil {
		return err
	}
	t.opened = tensor.Tensor{DType: t.storage.dtype, Shape: t.shape, Offset: m.data + t.first*t.storage.itemSize()}
	t.opened.Data, t.opened.Transposed = t.readers(z.r)
	return nil
}

func (t *pickledTensor) checkExtent() error {
	n, ok := dtype.Elements(t.shape)
	have := t.storage.numel
	if !ok {
		return refusal.Malformed(t.at, t.name, "shape %s has no valid size", brief(t.shape))
	}
	if t.first > have {
		return refusal.Malformed(t.at, t.name, "tensor begins at element %d of a storage of %d", t.first, have)
	}
	last := t.first // element of the storage
	for i, stride := range t.strides {
		if stride < 0 {
			return refusal.Malformed(t.at, t.name, "strides %s are negative", brief(t.strides))
		}
		if steps := t.shape[i] - 1; n > 0 && steps > 0 {
			if stride > (have-last)/steps {
				return t.outside()
			}
			last += steps * stride
		}
	}
	if n > 0 && last >= have {
		return t.outside()
	}
	if n > have {
		return refusal.Malformed(t.at, t.name, "shape %s with strides %s makes %d elements of a storage of %d", brief(t.shape), brief(t.strides), n, have)
	}
	return nil
}

func (t *pickledTensor) outside() error {
	return refusal.Malformed(t.at, t.name, "shape %s with strides %s from element %d on leaves the storage of %d elements",
		brief(t.shape), brief(t.strides), t.first, t.storage.numel)
}

// readers gives the elements row by row and, for a matrix that is stored
// column by column, column by column.
func (t *pickledTensor) readers(r io.ReaderAt) (data, turned io.ReaderAt) {
	size, base := t.opened.Bytes(), t.opened.Offset
	axes := merged(t.shape, t.strides)
	if size == 0 || len(axes) == 0 || len(axes) == 1 && axes[0].stride == 1 {
		return io.NewSectionReader(r, base, size), nil
	}
	if s := t.strides; len(s) == 2 && s[0] == 1 && s[1] == t.shape[0] {
		turned = io.NewSectionReader(r, base, size)
	}
	return &strided{r: r, base: base, size: size, item: t.storage.itemSize(), axes: axes}, turned
}
