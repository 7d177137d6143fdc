package dataset

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/tokenizer"
)

// idType is a numpy type of ids, such as "i4", "<u2" or ">i4".
type idType struct {
	size   int // in bytes
	signed bool
	order  binary.ByteOrder
}

func parseIDType(name string) (idType, error) {
	t := idType{order: binary.LittleEndian}
	s := strings.TrimLeft(name, "<>=|")
	if strings.HasPrefix(name, ">") {
		t.order = binary.BigEndian
	}
	if len(s) != 2 || len(name)-len(s) > 1 || s[0] != 'i' && s[0] != 'u' || !slices.Contains([]byte("1248"), s[1]) {
		return t, badOption("unknown type of base64 ids: %q: give one of i1, i2, i4, i8, u1, u2, u4, u8", name)
	}
	t.size, t.signed = int(s[1]-'0'), s[0] == 'i'
	return t, nil
}

// value returns the first id of b.
func (t idType) value(b []byte) int64 {
	b = b[:t.size]
	var wide [8]byte
	var u uint64
	if t.order == binary.BigEndian {
		copy(wide[8-t.size:], b)
		u = binary.BigEndian.Uint64(wide[:])
	} else {
		copy(wide[:], b)
		u = binary.LittleEndian.Uint64(wide[:])
	}
	if shift := 64 - 8*t.size; t.signed {
		return int64(u<<shift) >> shift
	}
	return int64(min(u, math.MaxInt64)) // larger ids are out of any range
}

// appendIDs appends the ids of a base64 text. With lenient it decodes as Python
// does. It stops at the first id that check refuses.
func (t idType) appendIDs(dst []tokenizer.Token, text string, lenient bool, check func(int64) error) ([]tokenizer.Token, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if lenient {
		data, err = decodeLenient(text)
	}
	if err != nil {
		return dst, refusal.Reason(ErrMalformed, "the text is not base64: %v", err)
	}
	if len(data)%t.size != 0 {
		return dst, refusal.Reason(ErrMalformed, "%d bytes are not a whole number of ids of %d bytes", len(data), t.size)
	}
	for ; len(data) > 0; data = data[t.size:] {
		id := t.value(data)
		if err := check(id); err != nil {
			return dst, err
		}
		dst = append(dst, tokenizer.Token(id))
	}
	return dst, nil
}

// decodeLenient decodes base64 as Python's base64.b64decode does: it ignores
// characters outside the alphabet, and stops at padding that completes a group.
func decodeLenient(text string) ([]byte, error) {
	kept := make([]byte, 0, len(text))
	pads := 0
	for _, c := range []byte(text) {
		switch {
		case c == '=':
			if pads++; len(kept)%4 >= 2 && len(kept)%4+pads >= 4 {
				return base64.RawStdEncoding.DecodeString(string(kept))
			}
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '+', c == '/':
			kept = append(kept, c)
			pads = 0
		}
	}
	return base64.StdEncoding.DecodeString(string(kept))
}
