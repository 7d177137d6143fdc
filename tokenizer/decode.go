package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// surfaces holds the texts that tokens decode to. A short text is in a cell of
// 16 bytes: up to 15 bytes of text, and their number in the last byte. In the
// cells of other tokens the last byte is surfaceLong, surfaceByte or
// surfaceOther.
type surfaces struct {
	cells [][16]byte // by id
	long  []string   // by id, for cells with surfaceLong
	v     *vocabulary
}

// Values of the last byte of a cell that are not a length.
const (
	surfaceLong  = 0x80 // the text is in surfaces.long
	surfaceByte  = 0x81 // a byte piece, whose byte is the first of the cell
	surfaceOther = 0x82 // a control or unknown piece
)

// newSurfaces returns the surfaces of a vocabulary.
func newSurfaces(v *vocabulary) *surfaces {
	s := &surfaces{cells: make([][16]byte, len(v.pieces)), v: v}
	for id := range v.pieces {
		p, cell := &v.pieces[id], &s.cells[id]
		text := strings.ReplaceAll(p.text, spaceText, " ")
		switch {
		case p.typ == Byte:
			cell[0], _ = byteOf(p.text)
			cell[15] = surfaceByte
		case p.typ == Control || p.typ == Unknown:
			cell[15] = surfaceOther
		case len(text) < len(cell):
			cell[15] = byte(copy(cell[:], text))
		default:
			cell[15] = surfaceLong
			if s.long == nil {
				s.long = make([]string, len(v.pieces))
			}
			s.long[id] = text
		}
	}
	return s
}

// Decode returns the text of tokens. AppendDecode describes it.
func (t *Tokenizer) Decode(ids []Token) (string, error) {
	text, err := t.AppendDecode(nil, ids)
	return string(text), err
}

// AppendDecode appends the text of tokens to dst, as SentencePiece decodes them.
// Control tokens have no text. The text of the unknown token is " ⁇ ", unless
// the model says otherwise. Each byte that is not part of UTF-8 becomes U+FFFD.
// The ▁ that encoding puts before a text is removed.
//
// If an id is out of range, AppendDecode returns the text of the tokens before
// it and a *RangeError. AppendDecode does not allocate if dst has enough
// capacity.
//
// Decoding the tokens of a text gives the text again, with these exceptions:
// invalid UTF-8 becomes U+FFFD, ▁ becomes a space, a model that trims spaces
// loses them, and text that a model without byte fallback does not know becomes
// " ⁇ ". A model without a piece for ▁ gives ▁ where the text has spaces.
// Encoding the decoded text then gives the same tokens again. That does not hold
// for arbitrary tokens, because a text has many token sequences besides its own.
func (t *Tokenizer) AppendDecode(dst []byte, ids []Token) ([]byte, error) {
	d := Decoder{t: t, surfaces: t.surface()}
	dst, err := d.Append(dst, ids)
	return d.Flush(dst), err
}

// Decoder decodes tokens as they arrive. Its output is whole UTF-8 at any time,
// because it holds back the bytes of an unfinished character. In total the
// output is that of AppendDecode for all the tokens.
//
// The zero Decoder is not valid; NewDecoder makes one.
type Decoder struct {
	t        *Tokenizer
	surfaces *surfaces
	position int     // number of tokens so far
	begun    bool    // the ▁ at the beginning was removed, or there is text before
	pending  [4]byte // the bytes of an unfinished character
	n        int     // the number of pending bytes
}

// NewDecoder returns a Decoder for a new text.
func (t *Tokenizer) NewDecoder() *Decoder { return &Decoder{t: t, surfaces: t.surface()} }

// Append appends the text of more tokens to dst. If an id is out of range,
// Append returns a *RangeError with its position among all tokens so far; it has
// then decoded the tokens before that one, and drops the rest of ids.
func (d *Decoder) Append(dst []byte, ids []Token) ([]byte, error) {
	cells := d.surfaces.cells
	for i := 0; i < len(ids); i++ {
		if d.begun && d.n == 0 {
			dst, i = d.appendPlain(dst, ids, i)
			if i == len(ids) {
				break
			}
		}
		if id := ids[i]; id < 0 || int(id) >= len(cells) {
			d.position += i + 1
			return dst, &RangeError{d.position - 1, id, len(cells)}
		}
		if cell := &cells[ids[i]]; cell[15] == surfaceByte {
			dst = d.appendByte(dst, cell[0])
		} else {
			dst = d.appendToken(dst, ids[i])
		}
	}
	d.position += len(ids)
	return dst, nil
}

// appendPlain appends tokens from ids[i] on while their texts are in their
// cells, and returns the index of the first token that it leaves.
func (d *Decoder) appendPlain(dst []byte, ids []Token, i int) ([]byte, int) {
	cells := d.surfaces.cells
	for ; i < len(ids); i++ {
		if uint(ids[i]) >= uint(len(cells)) {
			break
		}
		cell := &cells[ids[i]]
		size := int(cell[15])
		if size >= surfaceLong {
			break
		}
		// With room for a whole cell, copying 16 bytes is one load and one
		// store, whatever the length of the text.
		if n := len(dst); n+16 <= cap(dst) {
			dst = dst[:n+16]
			*(*[16]byte)(dst[n:]) = *cell
			dst = dst[:n+size]
		} else {
			dst = append(dst, cell[:size]...)
		}
	}
	return dst, i
}

// appendToken appends the text of a token that is not a byte.
func (d *Decoder) appendToken(dst []byte, id Token) []byte {
	p := &d.surfaces.v.pieces[id]
	dst = d.Flush(dst)
	switch {
	case p.typ == Control:
		return dst
	case p.typ == Unknown:
		d.begun = d.begun || d.surfaces.v.unkSurface != ""
		return append(dst, d.surfaces.v.unkSurface...)
	case d.begun:
		return d.appendText(dst, id)
	}
	return d.appendFirst(dst, p.text)
}

// appendText appends the text of a token that is not special.
func (d *Decoder) appendText(dst []byte, id Token) []byte {
	cell := &d.surfaces.cells[id]
	if cell[15] == surfaceLong {
		return append(dst, d.surfaces.long[id]...)
	}
	return append(dst, cell[:cell[15]]...)
}

// appendFirst appends the first token with text, without a ▁ at its beginning if
// encoding puts one there. If the model trims spaces, all ▁ before the first
// other character are removed.
func (d *Decoder) appendFirst(dst []byte, piece string) []byte {
	v := d.surfaces.v
	if v.prefix != prefixNever || v.trim {
		var stripped bool
		piece, stripped = strings.CutPrefix(piece, spaceText)
		d.begun = stripped && !v.trim
	}
	d.begun = d.begun || piece != ""
	return append(dst, strings.ReplaceAll(piece, spaceText, " ")...)
}

// appendByte appends a byte, or holds it back while its character is unfinished.
func (d *Decoder) appendByte(dst []byte, b byte) []byte {
	d.begun = true
	if d.n == 0 && b < utf8.RuneSelf {
		return append(dst, b)
	}
	d.pending[d.n] = b
	d.n++
	for d.n > 0 && utf8.FullRune(d.pending[:d.n]) {
		dst = d.appendPending(dst)
	}
	return dst
}

// appendPending appends the first pending character, or U+FFFD for a byte that
// does not belong to one.
func (d *Decoder) appendPending(dst []byte) []byte {
	r, size := utf8.DecodeRune(d.pending[:d.n])
	dst = utf8.AppendRune(dst, r)
	d.n = copy(d.pending[:], d.pending[size:d.n])
	return dst
}

// Flush appends U+FFFD for each byte that waits for the rest of its character.
// Call it after the last token.
func (d *Decoder) Flush(dst []byte) []byte {
	for d.n > 0 {
		dst = d.appendPending(dst)
	}
	return dst
}
