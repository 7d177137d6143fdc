package dataset

import (
	"slices"
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
)

// Generation is a version of EasyLM's data code. The zero value means Gen2023.
type Generation string

// The generations.
const (
	// Gen2023 is the version of April 2023, with which Koala was trained. It is
	// the default.
	Gen2023 Generation = "2023"
	// Gen2024 is the last version. Each example begins with the
	// beginning-of-sequence token, lists of fields may have <|N|> and {key}, and
	// batches have inputs and targets.
	Gen2024 Generation = "2024"
)

// Generations returns all generations, the oldest first.
func Generations() []Generation { return []Generation{Gen2023, Gen2024} }

// resolve returns the generation, or the default for the zero value.
func (g Generation) resolve() (Generation, error) {
	switch {
	case g == "":
		return Gen2023, nil
	case !slices.Contains(Generations(), g):
		return "", badOption("unknown generation: %q: give one of %v", g, Generations())
	}
	return g, nil
}

// opKind is the kind of an item of a list of fields.
type opKind uint8

const (
	opText  opKind = iota // texts of fields
	opToken               // one token
	opIDs                 // ids in base64, in the text of a field
)

// op is one item of a list of fields.
type op struct {
	kind opKind
	mask uint8    // 1 if the item counts for the loss
	id   int64    // of an opToken
	keys []string // fields of an opText, or the field of an opIDs
}

// fieldsParser parses lists of fields.
type fieldsParser struct {
	gen      Generation
	bos, eos int64
}

// parse parses a list of fields: items separated by commas. Brackets exclude an
// item from the loss. <|bos|>, <|eos|> and <|N|> are tokens, {key} are ids in
// base64, and anything else is names of fields joined by pluses. Gen2023 knows
// neither <|N|> nor {key}.
func (p *fieldsParser) parse(text string) ([]op, error) {
	items := strings.Split(text, ",")
	ops := make([]op, len(items))
	for i, item := range items {
		ops[i].mask = 1
		if isEnclosed(item, "[", "]") {
			item, ops[i].mask = item[1:len(item)-1], 0
		}
		if err := p.parseItem(&ops[i], item); err != nil {
			return nil, err
		}
	}
	return ops, nil
}

func (p *fieldsParser) parseItem(o *op, item string) error {
	switch {
	case item == "<|bos|>":
		o.kind, o.id = opToken, p.bos
	case item == "<|eos|>":
		o.kind, o.id = opToken, p.eos
	case p.gen == Gen2024 && isEnclosed(item, "<|", "|>"):
		n, ok := parseInt(item[2 : len(item)-2])
		if !ok {
			return refusal.Reason(ErrMalformed, "%.40q in a list of fields is not a token", item)
		}
		o.kind, o.id = opToken, n
	case p.gen == Gen2024 && isEnclosed(item, "{", "}"):
		o.kind, o.keys = opIDs, []string{item[1 : len(item)-1]}
	default:
		o.keys = strings.Split(item, "+")
	}
	return nil
}

// isEnclosed reports whether a text begins and ends with the given marks, and
// has room for both.
func isEnclosed(s, before, after string) bool {
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}
