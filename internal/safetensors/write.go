package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// Header returns the bytes in front of the data of a new file, the offset of
// each tensor's data in the file (in the order of tensors), and the size of the
// file. It uses the Name, DType and Shape of each tensor.
//
// The layout is that of the reference writer: tensors sorted by dtype, larger
// elements first, then by name, and the header padded with spaces to a multiple
// of 8 bytes.
func Header(tensors []tensor.Tensor, metadata map[string]string) (header []byte, offsets []int64, size int64, err error) {
	if err := checkNames(tensors, metadata); err != nil {
		return nil, nil, 0, err
	}
	order, err := writingOrder(tensors)
	if err != nil {
		return nil, nil, 0, err
	}
	offsets = make([]int64, len(tensors))
	header = append(make([]byte, prefix), '{')
	header = appendMetadata(header, metadata)
	for _, i := range order {
		offsets[i] = size
		size += tensors[i].Bytes()
		if len(header) > prefix+1 {
			header = append(header, ',')
		}
		header = appendEntry(header, &tensors[i], offsets[i], size)
	}
	header = append(header, '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	if len(header)-prefix > MaxHeader {
		return nil, nil, 0, refusal.Malformed(0, "", "the header of %d tensors exceeds the format's limit of %d bytes", len(tensors), MaxHeader)
	}
	binary.LittleEndian.PutUint64(header, uint64(len(header)-prefix))
	for i := range offsets {
		offsets[i] += int64(len(header))
	}
	return header, offsets, size + int64(len(header)), nil
}

func writingOrder(tensors []tensor.Tensor) ([]int, error) {
	order := make([]int, len(tensors))
	total := int64(0)
	for i := range tensors {
		order[i] = i
		n, ok := tensors[i].DType.Bytes(tensors[i].Shape)
		if total += n; !ok || total > maxSize || tensors[i].DType.Bits() == 0 {
			return nil, refusal.Malformed(0, tensors[i].Name, "the dtype %s is unknown, or the size of shape %v overflows or is not a whole number of bytes", tensors[i].DType, tensors[i].Shape)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &tensors[a], &tensors[b]
		return cmp.Or(cmp.Compare(dtypeRank[x.DType], dtypeRank[y.DType]), strings.Compare(x.Name, y.Name))
	})
	return order, nil
}

// dtypeRank is the rank of each dtype in a file: the reverse of the order in
// which the reference declares the dtypes.
var dtypeRank = ranks(
	"U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16",
	"F8_E5M2FNUZ", "F8_E4M3FNUZ", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8", "U8", "F6_E3M2", "F6_E2M3", "F4", "BOOL",
)

func ranks(dtypes ...dtype.Type) map[dtype.Type]int {
	m := make(map[dtype.Type]int, len(dtypes))
	for i, dt := range dtypes {
		m[dt] = i
	}
	return m
}

// checkNames refuses names and metadata that a reader could not restore.
func checkNames(tensors []tensor.Tensor, metadata map[string]string) error {
	seen := make(map[string]struct{}, len(tensors))
	for i := range tensors {
		name := tensors[i].Name
		if _, dup := seen[name]; dup {
			return refusal.Malformed(0, name, "two tensors have the same name")
		}
		if !utf8.ValidString(name) || name == metadataName {
			return refusal.Malformed(0, name, "the name is reserved or not UTF-8")
		}
		seen[name] = struct{}{}
	}
	for k, v := range metadata {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return refusal.Malformed(0, "", "the metadata %q is not UTF-8", k)
		}
	}
	return nil
}

func appendMetadata(dst []byte, metadata map[string]string) []byte {
	if len(metadata) == 0 {
		return dst
	}
	keys := make([]string, 0, len(metadata))
	for k := range metadata {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	dst = append(dst, `"`+metadataName+`":{`...)
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, k)
		dst = append(dst, ':')
		dst = appendString(dst, metadata[k])
	}
	return append(dst, '}')
}

func appendEntry(dst []byte, t *tensor.Tensor, begin, end int64) []byte {
	dst = appendString(dst, t.Name)
	dst = append(dst, `:{"dtype":"`...)
	dst = append(dst, t.DType...)
	dst = append(dst, `","shape":[`...)
	for i, d := range t.Shape {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, d, 10)
	}
	return fmt.Appendf(dst, `],"data_offsets":[%d,%d]}`, begin, end)
}

// appendString appends s as a JSON string, escaped as serde_json does: only
// quotes, backslashes and control characters.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\b':
			dst = append(dst, `\b`...)
		case c == '\f':
			dst = append(dst, `\f`...)
		case c < 0x20:
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
