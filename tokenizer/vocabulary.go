package tokenizer

import (
	"fmt"
	"math"
	"strconv"
)

// PieceType is the purpose of a piece. The numbers are those of
// sentencepiece_model.proto and of GGUF.
type PieceType uint8

// The types of pieces.
const (
	Normal      PieceType = 1 // made by merging
	Unknown     PieceType = 2 // the token for text that no other piece can express
	Control     PieceType = 3 // never made from text, such as BOS
	UserDefined PieceType = 4 // always one token, never merged
	Unused      PieceType = 5 // made by merging, then split into its halves again
	Byte        PieceType = 6 // one byte: <0x00> to <0xFF>
)

// piece is one entry of a vocabulary. Its id is its index.
type piece struct {
	text  string
	score float32
	typ   PieceType
}

// merge is a rule of BPE: the neighbours left and right become into.
type merge struct{ left, right, into Token }

// prefixRule is the rule for the ▁ that encoding puts before a text.
type prefixRule uint8

const (
	prefixAlways      prefixRule = iota // SentencePiece's add_dummy_prefix
	prefixNever                         // add_dummy_prefix is off
	prefixUnlessSpace                   // Hugging Face's Metaspace: not before a text that begins with a space
)

// vocabulary is a model as a file describes it. The readers make it, build turns
// it into tables, and Export writes it.
type vocabulary struct {
	kind   Kind
	pieces []piece
	merges []merge // by rank; nil means: every pair that forms a piece, by score
	halves []merge // the last merge of each piece, by id, if known; left is -1 for a single character
	nodes  int     // number of trie nodes, if known: the distinct non-empty prefixes of pieces

	queued bool // always merge by the queue; for tests

	unk, bos, eos, pad Token // -1 if the model has no such token
	byteFallback       bool  // unknown characters become the tokens of their bytes
	splitUnknown       bool  // each unknown character gets a token, instead of each run of them
	prefix             prefixRule
	trim               bool   // SentencePiece's remove_extra_whitespaces
	suffix             bool   // the ▁ of the prefix rule is put after the text instead (treat_whitespace_as_suffix)
	unkSurface         string // the text that the unknown token decodes to
}

// newVocabulary returns an empty vocabulary with the defaults of
// sentencepiece_model.proto.
func newVocabulary(kind Kind) *vocabulary {
	return &vocabulary{kind: kind, unk: -1, bos: -1, eos: -1, pad: -1, trim: true, unkSurface: " ⁇ "}
}

// check enforces the rules of SentencePiece's ModelInterface::InitializePieces.
// Errors have no offset, because vocabularies do not record where in the file a
// piece is.
func (v *vocabulary) check() error {
	if len(v.pieces) == 0 {
		return malformed("the vocabulary is empty")
	}
	if len(v.pieces) >= maxLink {
		return unsupported("the vocabulary has %d pieces, but at most %d are supported", len(v.pieces), maxLink-1)
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
				return malformed("piece %d: %q has the type byte, but byte_fallback is off, or the piece is not a byte or occurs twice", id, p.text)
			}
			seen[b] = true
			bytes++
		}
	}
	switch {
	case unknown != 1:
		return malformed("the vocabulary has %d unknown pieces, want 1", unknown)
	case v.byteFallback && bytes != 256:
		return malformed("the vocabulary has %d byte pieces, want 256", bytes)
	}
	return nil
}

// check enforces the rules for a single piece.
func (p *piece) check() error {
	switch {
	case p.text == "":
		return malformed("the text is empty")
	case len(p.text) > math.MaxUint16:
		return unsupported("the text has %d bytes, but at most %d are supported", len(p.text), math.MaxUint16)
	case math.IsNaN(float64(p.score)) || math.IsInf(float64(p.score), 0):
		return malformed("the score is %v", p.score)
	case p.typ < Normal || p.typ > Byte:
		return malformed("the type %d is unknown", p.typ)
	}
	return nil
}

// mergeable reports whether merging makes the piece.
func (p *piece) mergeable() bool { return p.typ == Normal || p.typ == Unused }

// byteOf returns the byte of a byte piece such as <0x0A>, and whether text is
// one.
func byteOf(text string) (byte, bool) {
	if len(text) != 6 || text[:3] != "<0x" || text[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(text[3:5], 16, 8)
	return byte(b), err == nil && byteText(byte(b)) == text
}

// byteText returns the text of a byte piece, such as <0x0A>.
func byteText(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// unique checks that no two ids have the same text. SentencePiece allows a
// control piece to have the text of another piece; this package does not,
// because ID could then not tell them apart.
func (v *vocabulary) unique() error {
	seen := make(map[string]struct{}, len(v.pieces))
	for id := range v.pieces {
		text := v.pieces[id].text
		if _, ok := seen[text]; ok {
			return malformed("piece %d: %q occurs twice", id, text)
		}
		seen[text] = struct{}{}
	}
	return nil
}
