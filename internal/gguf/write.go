package gguf

import (
	"math"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// maxSize bounds sums of sizes, so that adding one more size cannot overflow.
const maxSize = math.MaxInt64 / 4

// Header returns the bytes in front of the data of a new file of version 3,
// including padding, the offset of each tensor's data in the file, and the size
// of the file, including the padding after the last tensor. The caller must
// fill the gaps between the data of the tensors with zeros. Header uses the
// Name, DType and Shape of each tensor.
//
// The layout is that of GGUFWriter in the Python package gguf: pairs and
// tensors in the given order, and data aligned to general.alignment, or to 32
// if no pair has that key.
func Header(pairs []Pair, tensors []tensor.Tensor) (head []byte, offsets []int64, size int64, err error) {
	align, err := alignmentAmong(pairs)
	if err != nil {
		return nil, nil, 0, err
	}
	head = le.AppendUint32([]byte("GGUF"), 3)
	head = le.AppendUint64(head, uint64(len(tensors)))
	head = le.AppendUint64(head, uint64(len(pairs)))
	if head, err = appendPairs(head, pairs); err != nil {
		return nil, nil, 0, err
	}
	offsets = make([]int64, len(tensors))
	names := make(map[string]struct{}, len(tensors))
	for i := range tensors {
		t := &tensors[i]
		if _, dup := names[t.Name]; dup {
			return nil, nil, 0, refusal.Malformed(0, t.Name, "two tensors have the same name")
		}
		names[t.Name] = struct{}{}
		offsets[i] = size
		if head, size, err = appendTensor(head, t, size); err != nil {
			return nil, nil, 0, err
		}
		size = roundUp(size, align)
	}
	// Offsets in the file count from the start of the data, which is aligned too.
	head = append(head, make([]byte, roundUp(int64(len(head)), align)-int64(len(head)))...)
	for i := range offsets {
		offsets[i] += int64(len(head))
	}
	return head, offsets, size + int64(len(head)), nil
}

func alignmentAmong(pairs []Pair) (int64, error) {
	for i := range pairs {
		if pairs[i].Key == alignmentKey {
			return alignment(&pairs[i].Value)
		}
	}
	return alignment(nil)
}

func appendPairs(head []byte, pairs []Pair) ([]byte, error) {
	seen := make(map[string]struct{}, len(pairs))
	for i := range pairs {
		key, v := pairs[i].Key, &pairs[i].Value
		if _, dup := seen[key]; dup {
			return nil, refusal.Malformed(0, "", "two pairs have the key %q", key)
		}
		if !validKey(key) || !v.valid() {
			return nil, refusal.Malformed(0, "", "the key %.100q is empty, too long or not UTF-8, or its value is invalid", key)
		}
		seen[key] = struct{}{}
		head = v.append(appendText(head, key))
	}
	return head, nil
}

// valid reports whether the value has as many items as its Len. A Value that
// these functions did not make may be invalid.
func (v *Value) valid() bool {
	if v.Type >= Type(len(sizes)) || v.Type == Array || !v.List && v.Len != 1 {
		return false
	}
	if v.Type == String {
		return len(v.texts) == v.Len
	}
	return int64(len(v.raw)) == int64(v.Len)*sizes[v.Type]
}

// append appends the type and the value to dst.
func (v *Value) append(dst []byte) []byte {
	if v.List {
		dst = le.AppendUint32(dst, uint32(Array))
	}
	dst = le.AppendUint32(dst, uint32(v.Type))
	if v.List {
		dst = le.AppendUint64(dst, uint64(v.Len))
	}
	for _, s := range v.texts {
		dst = appendText(dst, s)
	}
	return append(dst, v.raw...)
}

func appendText(dst []byte, s string) []byte {
	return append(le.AppendUint64(dst, uint64(len(s))), s...)
}

// appendTensor appends the description of a tensor whose data is at offset, and
// returns the offset where the data ends.
func appendTensor(dst []byte, t *tensor.Tensor, offset int64) ([]byte, int64, error) {
	if err := checkName(0, t.Name); err != nil {
		return nil, 0, refusal.Named(err, t.Name)
	}
	kind, known := number(t.DType)
	n, ok := t.DType.Bytes(t.Shape)
	switch {
	case !known:
		return nil, 0, refusal.Unsupported(0, t.Name, "GGUF has no type %q", t.DType)
	case len(t.Shape) > MaxDims:
		return nil, 0, refusal.Unsupported(0, t.Name, "the tensor has %d dimensions, but GGUF allows at most %d", len(t.Shape), MaxDims)
	case !ok || n > maxSize-offset:
		return nil, 0, refusal.Malformed(0, t.Name, "the size of shape %v with dtype %s overflows or is not a number of whole blocks", t.Shape, t.DType)
	}
	dst = le.AppendUint32(appendText(dst, t.Name), uint32(len(t.Shape)))
	for i := range t.Shape {
		dst = le.AppendUint64(dst, uint64(t.Shape[len(t.Shape)-1-i]))
	}
	dst = le.AppendUint32(dst, kind)
	return le.AppendUint64(dst, uint64(offset)), offset + n, nil
}
