package tokenizer

import (
	"errors"
	"io"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/koala-go/sdk/internal/refusal"
)

// Field numbers of sentencepiece_model.proto.
const (
	spmPieces, spmTrainer, spmNormalizer, spmDenormalizer = 1, 2, 3, 5

	spmText, spmScore, spmType = 1, 2, 3

	spmModelType, spmVocabSize, spmSuffix, spmByteFallback                   = 3, 4, 24, 35
	spmUnkID, spmBOSID, spmEOSID, spmPADID                                   = 40, 41, 42, 43
	spmUnkSurface, spmUnkPiece, spmBOSPiece, spmEOSPiece, spmPADPiece        = 44, 45, 46, 47, 48
	spmName, spmCharsmap, spmDummyPrefix, spmTrim, spmEscape                 = 1, 2, 3, 4, 5
	spmUnigram, spmBPE                                                uint64 = 1, 2
)

// field is one field of a protobuf message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	bytes  []byte // the content of a string, bytes or message
	value  uint64 // the value of a number
	at     int64  // offset in the file of the content or the number
}

// fields calls f for each field of a message that begins at offset at of the
// file.
func fields(b []byte, at int64, f func(field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return spmError(at, n)
		}
		x := field{number: number, kind: kind, at: at + int64(n)}
		size := n
		switch kind {
		case protowire.VarintType:
			x.value, n = protowire.ConsumeVarint(b[size:])
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b[size:])
			x.value = uint64(v)
		case protowire.Fixed64Type:
			x.value, n = protowire.ConsumeFixed64(b[size:])
		case protowire.BytesType:
			x.bytes, n = protowire.ConsumeBytes(b[size:])
		default:
			return refusal.Malformed(at, "", "field %d is a group or has an unknown wire type", number)
		}
		if n < 0 {
			return spmError(x.at, n)
		}
		// n is the length with the length prefix of bytes, which at skips.
		x.at += int64(n - len(x.bytes))
		if kind != protowire.BytesType {
			x.at -= int64(n)
		}
		if err := f(x); err != nil {
			return err
		}
		b, at = b[size+n:], at+int64(size+n)
	}
	return nil
}

// spmError returns the error of a negative length n that protowire returned for
// the field at offset at.
func spmError(at int64, n int) error {
	if err := protowire.ParseError(n); !errors.Is(err, io.ErrUnexpectedEOF) {
		return refusal.Malformed(at, "", "a number has too many bytes, or a tag is 0")
	}
	return refusal.Truncated(at, "", "a field extends beyond the end")
}

// expect checks the wire type of the field.
func (x *field) expect(kind protowire.Type) error {
	if x.kind != kind {
		return refusal.Malformed(x.at, "", "field %d has the wire type %d, want %d", x.number, x.kind, kind)
	}
	return nil
}

// readBool sets *p to the value of a bool field.
func (x *field) readBool(p *bool) error {
	*p = x.value != 0
	return x.expect(protowire.VarintType)
}

// readString sets *p to the value of a string field.
func (x *field) readString(p *string) error {
	if *p = string(x.bytes); !utf8.ValidString(*p) {
		return refusal.Malformed(x.at, "", "field %d is not UTF-8", x.number)
	}
	return x.expect(protowire.BytesType)
}

// spmReader reads a SentencePiece model.
type spmReader struct {
	*vocabulary
	byID    map[Token]int64 // ids of special tokens in the trainer's settings → their offsets
	special [3]string       // texts of BOS, EOS and PAD
	bpe     bool            // whether the trainer's settings say that it is a BPE model
	kindAt  int64           // offset of that setting
}

// readSPM reads a SentencePiece model, which is a protobuf message.
func readSPM(b []byte) (*vocabulary, error) {
	r := spmReader{vocabulary: newVocabulary(KindSentencePiece), byID: map[Token]int64{}, special: [3]string{"<s>", "</s>", "<pad>"}}
	if err := r.preallocate(b); err != nil {
		return nil, err
	}
	err := fields(b, 0, func(x field) error {
		switch x.number {
		case spmPieces, spmTrainer, spmNormalizer, spmDenormalizer:
			if err := x.expect(protowire.BytesType); err != nil {
				return err
			}
		}
		switch x.number {
		case spmPieces:
			return r.readPiece(x)
		case spmTrainer:
			return fields(x.bytes, x.at, r.readTrainer)
		case spmNormalizer:
			return fields(x.bytes, x.at, r.readNormalizer)
		case spmDenormalizer:
			return fields(x.bytes, x.at, r.rejectCharsmap)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.vocabulary, r.finish()
}

// preallocate counts the pieces and makes room for them.
func (r *spmReader) preallocate(b []byte) error {
	n := 0
	err := fields(b, 0, func(x field) error {
		if x.number == spmPieces {
			n++
		}
		return nil
	})
	r.pieces = make([]piece, 0, n)
	return err
}

// readPiece reads a piece.
func (r *spmReader) readPiece(message field) error {
	p := piece{typ: Normal}
	err := fields(message.bytes, message.at, func(x field) error {
		switch x.number {
		case spmText:
			return x.readString(&p.text)
		case spmScore:
			p.score = math.Float32frombits(uint32(x.value))
			return x.expect(protowire.Fixed32Type)
		case spmType:
			if x.value > uint64(Byte) {
				return refusal.Malformed(x.at, "", "a piece has the unknown type %d", x.value)
			}
			p.typ = PieceType(x.value)
			return x.expect(protowire.VarintType)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return &refusal.Error{Offset: message.at, Err: err}
	}
	r.pieces = append(r.pieces, p)
	return nil
}

// readTrainer reads a field of the trainer's settings.
func (r *spmReader) readTrainer(x field) error {
	switch x.number {
	case spmModelType:
		r.bpe, r.kindAt = x.value == spmBPE, x.at
		return x.expect(protowire.VarintType)
	case spmSuffix:
		return x.readBool(&r.suffix)
	case spmByteFallback:
		return x.readBool(&r.byteFallback)
	case spmUnkID, spmBOSID, spmEOSID, spmPADID:
		r.byID[Token(int32(x.value))] = x.at
		return x.expect(protowire.VarintType)
	case spmUnkSurface:
		return x.readString(&r.unkSurface)
	case spmBOSPiece, spmEOSPiece, spmPADPiece:
		return x.readString(&r.special[x.number-spmBOSPiece])
	}
	return nil
}

// readNormalizer reads a field of the normalizer's settings.
func (r *spmReader) readNormalizer(x field) error {
	switch x.number {
	case spmDummyPrefix:
		if x.value == 0 {
			r.prefix = prefixNever
		}
		return x.expect(protowire.VarintType)
	case spmTrim:
		return x.readBool(&r.trim)
	case spmEscape:
		if x.value == 0 {
			return refusal.Unsupported(x.at, "", "escape_whitespaces is off")
		}
	}
	return r.rejectCharsmap(x)
}

// rejectCharsmap rejects a field that holds a character map.
func (r *spmReader) rejectCharsmap(x field) error {
	if x.number == spmCharsmap && len(x.bytes) > 0 {
		return refusal.Unsupported(x.at, "", "the normalizer is not the identity")
	}
	return nil
}

// finish checks what depends on the whole model, and finds BOS, EOS and PAD by
// their texts.
func (r *spmReader) finish() error {
	if len(r.pieces) > 0 && !r.bpe {
		return refusal.Unsupported(r.kindAt, "", "the model is not a BPE model (the default is unigram)")
	}
	for id, at := range r.byID {
		if id < -1 || int(id) >= len(r.pieces) {
			return refusal.Malformed(at, "", "the id of a special token is %d, but the vocabulary has %d pieces", id, len(r.pieces))
		}
	}
	for id := range r.pieces {
		if p := &r.pieces[id]; p.typ == Control {
			for i, to := range []*Token{&r.bos, &r.eos, &r.pad} {
				if p.text == r.special[i] {
					*to = Token(id)
				}
			}
		}
	}
	return r.unique()
}
