package flax

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// maxArray is the size beyond which flax splits an array into chunks.
// AppendRecord does not write such arrays: the largest of LLaMA 65B has half of
// it.
const maxArray = 1 << 30

// toNumpy is the inverse of fromNumpy for the dtypes of weights.
var toNumpy = map[dtype.Type]string{"F16": "float16", "BF16": "bfloat16", "F32": "float32"}

// AppendRecord appends the part of a stream's record that precedes the tensor's
// data: the key path (Name split at "/") and the heads of the byte string, the
// ext and the array. The data of the tensor follows, then the next record.
// AppendRecord uses the Name, DType and Shape of the tensor.
func AppendRecord(dst []byte, t *tensor.Tensor) ([]byte, error) {
	numpy, ok := toNumpy[t.DType]
	if !ok {
		return nil, refusal.Unsupported(0, t.Name, "a stream cannot hold the dtype %s", t.DType)
	}
	size, ok := t.DType.Bytes(t.Shape)
	switch {
	case !ok:
		return nil, refusal.Malformed(0, t.Name, "the size of shape %v with dtype %s overflows", t.Shape, t.DType)
	case size > maxArray:
		return nil, refusal.Unsupported(0, t.Name, "the array of %d bytes exceeds flax's limit of 2^30 for one chunk", size)
	case len(t.Shape) > maxRank:
		return nil, refusal.Unsupported(0, t.Name, "the array has %d dimensions, want at most %d", len(t.Shape), maxRank)
	case !utf8.ValidString(t.Name):
		return nil, refusal.Malformed(0, t.Name, "the tensor's name is not UTF-8")
	}
	// Each head contains the length of what it encloses, so build them from the
	// inside out.
	array := appendList(nil, 3)
	array = appendList(array, len(t.Shape))
	for _, d := range t.Shape {
		array = appendUint(array, uint64(d))
	}
	array = appendString(array, numpy)
	array = appendBin(array, int(size))

	ext := appendExt(nil, len(array)+int(size), extArray)

	keys := strings.Split(t.Name, "/")
	dst = appendList(dst, 2)
	dst = appendList(dst, len(keys))
	for _, k := range keys {
		dst = appendString(dst, k)
	}
	dst = appendBin(dst, len(ext)+len(array)+int(size))
	return append(append(dst, ext...), array...), nil
}

// appendList appends the head of a list of n values.
func appendList(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x90|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xdc), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
}

func appendUint(dst []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xcc, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), n)
}

func appendString(dst []byte, s string) []byte {
	if len(s) < 32 {
		return append(append(dst, 0xa0|byte(len(s))), s...)
	}
	return append(appendLength(dst, 0xd9, len(s)), s...)
}

func appendBin(dst []byte, n int) []byte { return appendLength(dst, 0xc4, n) }

// appendExt appends the head of an ext of n bytes. Like the packers of msgpack
// it uses the fixed forms for 1, 2, 4, 8 and 16 bytes.
func appendExt(dst []byte, n int, ext byte) []byte {
	for i := range 5 {
		if n == 1<<i {
			return append(dst, 0xd4+byte(i), ext)
		}
	}
	return append(appendLength(dst, 0xc7, n), ext)
}

// appendLength appends a length of 8, 16 or 32 bits. The marks of these widths
// are consecutive, and mark is the first.
func appendLength(dst []byte, mark byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(dst, mark, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, mark+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, mark+2), uint32(n))
}
