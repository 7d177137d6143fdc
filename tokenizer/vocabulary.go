package tokenizer

import (
	"fmt"
	"math"
	"strconv"

	"github.com/koala-go/sdk/internal/refusal"
)

// PieceType is what a piece is for, numbered as in sentencepiece_model.proto
// and in GGUF.
type PieceType uint8

// The types of pieces.
const (
	Normal      PieceType = 1
	Unknown     PieceType = 2 // stands for what no piece can express
	Control     PieceType = 3 // never made from text
	UserDefined PieceType = 4 // always one token
	Unused      PieceType = 5 // merged, then taken apart again
	Byte        PieceType = 6 // <0x00> to <0xFF>
)

// piece is one entry of a vocabulary.
type piece struct {
	text  string
	score float32
	typ   PieceType
}

// merge is two pieces side by side and what they make.
type merge struct{ left, right, into Token }

// prefixRule says when ▁ is put before a text.
type prefixRule uint8

const (
	prefixAlways      prefixRule = iota // SentencePiece's add_dummy_prefix
	prefixNever                         //
	prefixUnlessSpace                   // Hugging Face's Metaspace: not before a space
)

// vocabulary is a model as a file describes it: what the loaders make, what
// build turns into tables and what Export writes.
type vocabulary struct {
	kind   Kind
	pieces []piece
	merges []merge // in order of rank; nil: each pair that makes a piece, by score
	halves []merge // the last merge of each piece by id, if known; left is -1 for a single character
	nodes  int     // different beginnings of pieces, if known

	queued bool // merge by the queue, for tests

	unk, bos, eos, pad Token // -1 when there is none
	byteFallback       bool
	splitUnknown       bool // give an unknown token a character, not a run of them
	prefix             prefixRule
	trim               bool // SentencePiece's remove_extra_whitespaces
	suffix             bool // the ▁ of the prefix stands behind instead
	unkSurface         string
}

// newVocabulary has the defaults of sentencepiece_model.proto.
func newVocabulary(kind Kind) *vocabulary {
	return &vocabulary{kind: kind, unk: -1, bos: -1, eos: -1, pad: -1, trim: true, unkSurface: " ⁇ "}
}

// check enforces what SentencePiece's ModelInterface::InitializePieces does,
// and that no text stands for two ids. Offsets are unknown here: -1.
func (v *vocabulary) check() error {
	if len(v.pieces) == 0 {
		return malformed("the vocabulary is empty")
	}
	if len(v.pieces) >= maxLink {
		return unsupported("the vocabulary has %d pieces, more than %d", len(v.pieces), maxLink-1)
	}
	var seen [256]bool
	unknown, bytes := 0, 0
	for id := range v.pieces {
		p := &v.pieces[id]
		if err := p.check(); err != nil {
			return fmt.Errorf("piece %d: %w", id, err)
		}
		switch p.typ {
		case Unknown:
			unknown++
			v.unk = Token(id)
		case Byte:
			b, ok := byteOf(p.text)
			if !v.byteFallback || !ok || seen[b] {
				return malformed("piece %d: %q is a byte, but byte_fallback is off or it is no byte or there twice", id, p.text)
			}
			seen[b] = true
			bytes++
		}
	}
	switch {
	case unknown != 1:
		return malformed("there are %d unknown pieces instead of one", unknown)
	case v.byteFallback && bytes != 256:
		return malformed("there are %d byte pieces instead of 256", bytes)
	}
	return nil
}

func (p *piece) check() error {
	switch {
	case p.text == "":
		return malformed("is empty")
	case len(p.text) > math.MaxUint16:
		return unsupported("is %d bytes long, more than %d", len(p.text), math.MaxUint16)
	case math.IsNaN(float64(p.score)) || math.IsInf(float64(p.score), 0):
		return malformed("has the score %v", p.score)
	case p.typ < Normal || p.typ > Byte:
		return malformed("has the unknown type %d", p.typ)
	}
	return nil
}

// mergeable is whether merging makes the piece.
func (p *piece) mergeable() bool { return p.typ == Normal || p.typ == Unused }

// byteOf reads <0x0A>.
func byteOf(text string) (byte, bool) {
	if len(text) != 6 || text[:3] != "<0x" || text[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(text[3:5], 16, 8)
	return byte(b), err == nil && byteText(byte(b)) == text
}

// byteText writes <0x0A>.
func byteText(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

func malformed(format string, args ...any) error {
	return refusal.Reason(ErrMalformed, format, args...)
}

func unsupported(format string, args ...any) error {
	return refusal.Reason(ErrUnsupported, format, args...)
}

// unique checks that no text stands for two ids, which SentencePiece allows
// for a control piece and another.
func (v *vocabulary) unique() error {
	seen := make(map[string]struct{}, len(v.pieces))
	for id := range v.pieces {
		text := v.pieces[id].text
		if _, ok := seen[text]; ok {
			return malformed("piece %d: %q is there twice", id, text)
		}
		seen[text] = struct{}{}
	}
	return nil
}
