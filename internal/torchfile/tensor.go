package torchfile

import (
	"io"
	"strconv"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// maxRank is the greatest number of dimensions that torch allows.
const maxRank = 64

// maxNesting is the greatest depth of nested dictionaries.
const maxNesting = 16

// pickledTensor holds the arguments of _rebuild_tensor_v2.
type pickledTensor struct {
	storage        *storage
	first          int64         // index of the first element in the storage
	shape, strides []int64       // strides are in elements
	at             int64         // file offset of the opcode that built it
	name           string        // the first of its names, or "" without a name
	opened         tensor.Tensor // without its name, set by open
}

// pushTensor pushes the tensor that _rebuild_tensor_v2 makes of its arguments
// (storage, offset, shape, strides, requires_grad, hooks).
func (p *machine) pushTensor(args tuple) error {
	if len(args) == 7 {
		return p.unsupported("the pickle has a tensor with metadata (a conjugate or negative view)")
	}
	if len(args) != 6 {
		return p.malformed("the pickle rebuilds a tensor from %d arguments, want 6", len(args))
	}
	s, ok1 := args[0].(*storage)
	first, ok2 := args[1].(int64)
	_, ok3 := args[4].(bool)
	if !ok1 || !ok2 || !ok3 || first < 0 {
		return p.malformed("the pickle rebuilds a tensor from (%s, %s, …, %s), want (storage, offset, …, requires_grad, hooks)", describe(args[0]), describe(args[1]), describe(args[4]))
	}
	shape, ok1 := numbers(args[2])
	strides, ok2 := numbers(args[3])
	if !ok1 || !ok2 || len(shape) != len(strides) {
		return p.malformed("the pickle has a tensor whose shape and strides are not two tuples of as many integers, at most %d", maxRank)
	}
	if !noHooks(args[5]) {
		return p.unsupported("the pickle has a tensor with hooks")
	}
	if err := p.spend(costTensor + costRank*len(shape)); err != nil {
		return err
	}
	t := &pickledTensor{storage: s, first: first, shape: shape, strides: strides, at: p.at()}
	p.tensors = append(p.tensors, t)
	return p.push(t)
}

// pushParameter pushes the tensor that _rebuild_parameter makes of its
// arguments (tensor, requires_grad, hooks), which is the tensor argument
// itself.
func (p *machine) pushParameter(args tuple) error {
	if len(args) != 3 {
		return p.malformed("the pickle rebuilds a Parameter from %d arguments, want 3", len(args))
	}
	t, ok := args[0].(*pickledTensor)
	if _, isBool := args[1].(bool); !ok || !isBool {
		return p.malformed("the pickle rebuilds a Parameter from (%s, %s, …), want (tensor, requires_grad, hooks)", describe(args[0]), describe(args[1]))
	}
	if !noHooks(args[2]) {
		return p.unsupported("the pickle has a Parameter with hooks")
	}
	return p.push(t)
}

// noHooks reports whether the hooks argument of a tensor is an empty
// OrderedDict.
func noHooks(v any) bool {
	d, ok := v.(*dict)
	return ok && d.ordered && len(d.entries) == 0
}

// numbers converts a tuple of at most maxRank integers.
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

// collector collects the tensors that have names.
type collector struct {
	p     *machine
	named []namedTensor
}

type namedTensor struct {
	name string
	*pickledTensor
}

// collect returns the named tensors of the root dictionary. It also checks the
// tensors and storages without names.
func (p *machine) collect(root any, z *archive) ([]tensor.Tensor, error) {
	d, ok := root.(*dict)
	if !ok {
		return nil, p.unsupported("the pickle holds %s, not a dictionary of tensors", describe(root))
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

// walk collects the tensors of a dictionary and of the dictionaries nested in
// it.
func (c *collector) walk(d *dict, prefix string, depth int) error {
	if depth == 0 {
		return refusal.Malformed(d.at, "", "dictionaries are nested deeper than %d", maxNesting)
	}
	// A pickle may refer to the same dictionary in many places, so that walking
	// it costs more than the bytes of the pickle.
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

// join returns the name of a tensor: the prefix of its dictionary and its key.
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

// unique returns the collected tensors. Their names must differ.
func (c *collector) unique() ([]tensor.Tensor, error) {
	list := make([]tensor.Tensor, len(c.named))
	seen := make(map[string]struct{}, len(c.named))
	for i, t := range c.named {
		if _, dup := seen[t.name]; dup {
			return nil, refusal.Malformed(t.at, t.name, "two tensors have the same name after their keys are joined by dots")
		}
		seen[t.name] = struct{}{}
		list[i] = t.opened
		list[i].Name = t.name
	}
	return list, nil
}

// open checks that the elements of the tensor lie within its storage, and makes
// the readers of the tensor.
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
		return refusal.Malformed(t.at, t.name, "the number of elements of shape %s overflows", brief(t.shape))
	}
	if t.first > have {
		return refusal.Malformed(t.at, t.name, "the tensor begins at element %d of a storage of %d elements", t.first, have)
	}
	last := t.first // index of the last element in the storage
	for i, stride := range t.strides {
		if stride < 0 {
			return refusal.Malformed(t.at, t.name, "the strides %s are negative", brief(t.strides))
		}
		if steps := t.shape[i] - 1; n > 0 && steps > 0 {
			// Divide rather than multiply: last+steps*stride may overflow.
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
		return refusal.Malformed(t.at, t.name, "shape %s with strides %s repeats elements: it has %d, but the storage has only %d", brief(t.shape), brief(t.strides), n, have)
	}
	return nil
}

func (t *pickledTensor) outside() error {
	return refusal.Malformed(t.at, t.name, "shape %s with strides %s from element %d exceeds the storage of %d elements",
		brief(t.shape), brief(t.strides), t.first, t.storage.numel)
}

// readers returns a reader of the elements in row-major order. For a matrix
// that is stored in column-major order it also returns a reader of the columns.
func (t *pickledTensor) readers(r io.ReaderAt) (data, transposed io.ReaderAt) {
	size, base := t.opened.Bytes(), t.opened.Offset
	axes := merged(t.shape, t.strides)
	if size == 0 || len(axes) == 0 || len(axes) == 1 && axes[0].stride == 1 {
		return io.NewSectionReader(r, base, size), nil
	}
	if s := t.strides; len(s) == 2 && s[0] == 1 && s[1] == t.shape[0] {
		transposed = io.NewSectionReader(r, base, size)
	}
	return &strided{r: r, base: base, size: size, item: t.storage.itemSize(), axes: axes}, transposed
}
