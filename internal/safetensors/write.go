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

// Header lays out a file as the reference writer does: tensors by dtype, of
// which larger elements come first, then by name; the header padded with
// spaces to 8 bytes. It returns the bytes in front of the data, the offset of each
// tensor's data in the file (in the order given), and the file's length.
// Name, DType and Shape are used of each tensor.
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
		return nil, nil, 0, refusal.Malformed(0, "", "header of %d tensors is over the format's limit", len(tensors))
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
			return nil, refusal.Malformed(0, tensors[i].Name, "%s %v has no valid size", tensors[i].DType, tensors[i].Shape)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &tensors[a], &tensors[b]
		return cmp.Or(cmp.Compare(dtypeRank[x.DType], dtypeRank[y.DType]), strings.Compare(x.Name, y.Name))
	})
	return order, nil
}

// dtypeRank is the place of each dtype in a file: the reverse of the order in
// which the reference declares them.
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

// checkNames refuses what could not be read again under the same names.
func checkNames(tensors []tensor.Tensor, metadata map[string]string) error {
	seen := make(map[string]struct{}, len(tensors))
	for i := range tensors {
		name := tensors[i].Name
		if _, dup := seen[name]; dup {
			return refusal.Malformed(0, name, "two tensors have this name")
		}
		if !utf8.ValidString(name) || name == metadataName {
			return refusal.Malformed(0, name, "a tensor cannot have this name")
		}
		seen[name] = struct{}{}
	}
	for k, v := range metadata {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return refusal.Malformed(0, "", "metadata %q is not UTF-8", k)
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

// appendString writes UTF-8 as serde_json does: only the quote, the backslash
// and control characters escaped.
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
