package parquet

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/refusal"
)

// value appends a value as JSON. A value that JSON cannot represent sets bad.
func (r *Rows) value(c *column, v value) {
	switch n := c.leaf; n.typ {
	case typeBoolean:
		r.out = strconv.AppendBool(r.out, v.bits&1 == 1)
	case typeInt32:
		if n.unsigned {
			r.out = strconv.AppendUint(r.out, uint64(uint32(v.bits)), 10)
			return
		}
		r.out = strconv.AppendInt(r.out, int64(int32(v.bits)), 10)
	case typeInt64:
		if n.unsigned {
			r.out = strconv.AppendUint(r.out, v.bits, 10)
			return
		}
		r.out = strconv.AppendInt(r.out, int64(v.bits), 10)
	case typeFloat:
		r.float(c, float64(math.Float32frombits(uint32(v.bits))), 32)
	case typeDouble:
		r.float(c, math.Float64frombits(v.bits), 64)
	default:
		if !utf8.Valid(v.text) {
			r.note(c, refusal.Reason(refusal.ErrMalformed, "the text is not UTF-8"))
			v.text = nil
		}
		r.out = appendString(r.out, v.text)
	}
}

func (r *Rows) float(c *column, f float64, size int) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		r.note(c, refusal.Reason(refusal.ErrMalformed, "JSON cannot represent the number %v", f))
		f = 0
	}
	r.out = strconv.AppendFloat(r.out, f, 'g', -1, size)
}

// note records the first invalid value of a row.
func (r *Rows) note(c *column, err error) {
	if r.bad == nil {
		r.bad = r.errorAt(c, err)
	}
}

// appendString appends s as a JSON string.
func appendString[T []byte | string](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(append(dst, s[start:i]...), '\\')
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, c)
		case '\n':
			dst = append(dst, 'n')
		default:
			const hex = "0123456789abcdef"
			dst = append(dst, 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}
