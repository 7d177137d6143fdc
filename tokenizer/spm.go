package tokenizer

import (
	"math"

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
			if err := x.expect(wireBytes); err != nil {
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
			return x.expect(wireFixed32)
		case spmType:
			if x.value > uint64(Byte) {
				return refusal.Malformed(x.at, "", "a piece has the unknown type %d", x.value)
			}
			p.typ = PieceType(x.value)
			return x.expect(wireVarint)
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
		return x.expect(wireVarint)
	case spmSuffix:
		return x.readBool(&r.suffix)
	case spmByteFallback:
		return x.readBool(&r.byteFallback)
	case spmUnkID, spmBOSID, spmEOSID, spmPADID:
		r.byID[Token(int32(x.value))] = x.at
		return x.expect(wireVarint)
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
		return x.expect(wireVarint)
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
