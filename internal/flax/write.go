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

// maxArray is the size over which flax splits an array into chunks; the
// writer does not write such arrays (65B's largest has half of it).
const maxArray = 1 << 30

// toNumpy is the inverse of fromNumpy for the types that a weight may have.
var toNumpy = map[dtype.Type]string{"F16": "float16", "BF16": "bfloat16", "F32": "float32"}

// AppendRecord appends what stands in front of a tensor's bytes in a stream:
// the key path (Name split at "/"), and the heads of the byte string, the ext
// and the array. The tensor's bytes follow it, then the next record. Name,
// DType and Shape are used.
func AppendRecord(dst []byte, t *tensor.Tensor) ([]byte, error) {
	numpy, ok := toNumpy[t.DType]
	if !ok {
		return nil, refusal.Unsupported(0, t.Name, "dtype %s is not written to a stream", t.DType)
	}
	size, ok := t.DType.Bytes(t.Shape)
	switch {
	case !ok:
		return nil, refusal.Malformed(0, t.Name, "shape %v of %s has no valid size", t.Shape, t.DType)
	case size > maxArray:
		return nil, refusal.Unsupported(0, t.Name, "array of %d bytes is over flax's limit of 2^30 for one chunk", size)
	case len(t.Shape) > maxRank:
		return nil, refusal.Unsupported(0, t.Name, "array has %d dimensions, not at most %d", len(t.Shape), maxRank)
	case !utf8.ValidString(t.Name):
		return nil, refusal.Malformed(0, t.Name, "name is not UTF-8")
	}
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

// appendExt uses the fixed forms for 1, 2, 4, 8 and 16 bytes, as msgpack's
// packers do.
func appendExt(dst []byte, n int, ext byte) []byte {
	for i := range 5 {
		if n == 1<<i {
			return append(dst, 0xd4+byte(i), ext)
		}
	}
	return append(appendLength(dst, 0xc7, n), ext)
}

// appendLength appends a length of 8, 16 or 32 bits after the mark for its
// width; the three marks follow each other.
func appendLength(dst []byte, mark byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(dst, mark, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, mark+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, mark+2), uint32(n))
}
