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

// Generation is a version of EasyLM's data code.
type Generation int

// The generations.
const (
	// Gen2024 is the last: each example begins with BOS; <|N|> and {key} are
	// known; batches have inputs and targets. It is the default.
	Gen2024 Generation = iota
	// Gen2023 is the one with which Koala was trained (EasyLM in April 2023).
	Gen2023
)

// opKind is what an item of a fields text does.
type opKind uint8

const (
	opText  opKind = iota // the texts of some fields
	opToken               // a token
	opIDs                 // base64 of a field's ids
)

// op is one item of a fields text.
type op struct {
	kind opKind
	mask uint8
	id   int64
	keys []string
}

// parseFields reads a text of the fields language: items with commas between
// them. An item in brackets has no loss. <|bos|>, <|eos|> and <|N|> are
// tokens, {key} is ids in base64, anything else is names of fields with pluses
// between them. The generation of 2023 has neither <|N|> nor {key}.
func parseFields(text string, gen Generation, bos, eos int64) ([]op, error) {
	items := strings.Split(text, ",")
	ops := make([]op, len(items))
	for i, item := range items {
		ops[i].mask = 1
		if enclosed(item, "[", "]") {
			item, ops[i].mask = item[1:len(item)-1], 0
		}
		if err := ops[i].parse(item, gen, bos, eos); err != nil {
			return nil, err
		}
	}
	return ops, nil
}

// enclosed says whether a text begins and ends with some marks, which may
// overlap, as in Python's startswith and endswith.
func enclosed(s, open, shut string) bool {
	return len(s) >= len(open)+len(shut) && strings.HasPrefix(s, open) && strings.HasSuffix(s, shut)
}

func (o *op) parse(item string, gen Generation, bos, eos int64) error {
	switch {
	case item == "<|bos|>":
		o.kind, o.id = opToken, bos
	case item == "<|eos|>":
		o.kind, o.id = opToken, eos
	case gen != Gen2023 && enclosed(item, "<|", "|>"):
		n, ok := parseInt(item[2 : len(item)-2])
		if !ok {
			return refusal.Reason(ErrMalformed, "%.40q is no token in a list of fields", item)
		}
		o.kind, o.id = opToken, n
	case gen != Gen2023 && enclosed(item, "{", "}"):
		o.kind, o.keys = opIDs, []string{item[1 : len(item)-1]}
	default:
		o.keys = strings.Split(item, "+")
	}
	return nil
}

// idType is a numpy type of ids, as in "i4", "<u2", ">i4".
type idType struct {
	size   int
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
		return t, refusal.Reason(ErrUnsupported, "type %q of base64 ids is none of i1 to u8", name)
	}
	t.size, t.signed = int(s[1]-'0'), s[0] == 'i'
	return t, nil
}

// value reads one id.
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
	return int64(min(u, math.MaxInt64)) // more is out of range anyway
}

// appendIDs appends the ids that a base64 text holds.
func (t idType) appendIDs(dst []tokenizer.Token, text string, lenient bool, check func(int64) error) ([]tokenizer.Token, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if lenient {
		data, err = decodeLenient(text)
	}
	if err != nil {
		return dst, refusal.Reason(ErrMalformed, "the text is not base64: %v", err)
	}
	if len(data)%t.size != 0 {
		return dst, refusal.Reason(ErrMalformed, "%d bytes are no whole number of ids of %d", len(data), t.size)
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

// decodeLenient is Python's base64.b64decode, which passes over what is not in
// the alphabet and stops at the padding that ends a group.
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
