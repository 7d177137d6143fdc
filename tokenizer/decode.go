package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// surfaces are the texts that tokens decode to. A short one lies in a cell of
// 16 bytes: up to 15 bytes and how many they are. The cells of others have
// surfaceLong or surfaceOther there.
type surfaces struct {
	cells [][16]byte
	long  []string // by id, where the cell says so
	v     *vocabulary
}

const (
	surfaceLong  = 0x80 // in long
	surfaceByte  = 0x81 // a byte, which is the first
	surfaceOther = 0x82 // a special token
)

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

// Decode is AppendDecode to nothing.
func (t *Tokenizer) Decode(ids []Token) (string, error) {
	text, err := t.AppendDecode(nil, ids)
	return string(text), err
}

// AppendDecode appends the text of tokens, as SentencePiece makes it: control
// tokens have none, the unknown token has " ⁇ ", bytes that are no UTF-8 become
// one U+FFFD each, and the ▁ that encoding put before a text is taken away.
// It allocates nothing when dst has room. The error is a *RangeError, with the
// text of the tokens before it.
//
// Decoding what was encoded gives the text again, if it is UTF-8 and, where
// the model trims spaces, has none to trim; but a ▁ in it becomes a space, and
// what a model without byte fallback does not know becomes " ⁇ ", and spaces
// come back as ▁ from a model that has no piece for ▁. Encoding
// what was decoded gives a text's own tokens again, and other rows of tokens
// need not come back: there are many for one text.
func (t *Tokenizer) AppendDecode(dst []byte, ids []Token) ([]byte, error) {
	d := Decoder{t: t, surfaces: t.surface()}
	dst, err := d.Append(dst, ids)
	return d.Flush(dst), err
}

// Decoder turns tokens into text as they come. What it has given out is whole
// UTF-8 at any time: the bytes of an unfinished character wait. All that it
// gives is what AppendDecode gives for all the tokens at once.
//
// The zero Decoder is not valid; NewDecoder makes one.
type Decoder struct {
	t        *Tokenizer
	surfaces *surfaces
	position int     // of the next token
	begun    bool    // the ▁ at the beginning was taken away, or there is text
	pending  [4]byte // the bytes of an unfinished character
	n        int
}

// NewDecoder makes a decoder.
func (t *Tokenizer) NewDecoder() *Decoder { return &Decoder{t: t, surfaces: t.surface()} }

// Append appends the text of further tokens to dst. The error is a *RangeError
// with the position among all tokens; the token is passed over.
func (d *Decoder) Append(dst []byte, ids []Token) ([]byte, error) {
	cells := d.surfaces.cells
	for i := 0; i < len(ids); i++ {
		if d.begun && d.n == 0 {
			dst, i = d.plain(dst, ids, i)
			if i == len(ids) {
				break
			}
		}
		if id := ids[i]; id < 0 || int(id) >= len(cells) {
			d.position += i + 1
			return dst, &RangeError{d.position - 1, id, len(cells)}
		}
		if cell := &cells[ids[i]]; cell[15] == surfaceByte {
			dst = d.add(dst, cell[0])
		} else {
			dst = d.token(dst, ids[i])
		}
	}
	d.position += len(ids)
	return dst, nil
}

// plain appends tokens that are text as they are, from the i-th on, and
// returns which one is not.
func (d *Decoder) plain(dst []byte, ids []Token, i int) ([]byte, int) {
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

// token appends one token that is no byte.
func (d *Decoder) token(dst []byte, id Token) []byte {
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
	return d.begin(dst, p.text)
}

func (d *Decoder) appendText(dst []byte, id Token) []byte {
	cell := &d.surfaces.cells[id]
	if cell[15] == surfaceLong {
		return append(dst, d.surfaces.long[id]...)
	}
	return append(dst, cell[:cell[15]]...)
}

// begin appends the first token that is text, less a ▁ at its beginning if
// encoding puts one there. Where the model trims spaces, all ▁ up to the
// first other character go.
func (d *Decoder) begin(dst []byte, piece string) []byte {
	v := d.surfaces.v
	if v.prefix != prefixNever || v.trim {
		var stripped bool
		piece, stripped = strings.CutPrefix(piece, spaceText)
		d.begun = stripped && !v.trim
	}
	d.begun = d.begun || piece != ""
	return append(dst, strings.ReplaceAll(piece, spaceText, " ")...)
}

// add appends a byte, or keeps it when its character is unfinished.
func (d *Decoder) add(dst []byte, b byte) []byte {
	d.begun = true
	if d.n == 0 && b < utf8.RuneSelf {
		return append(dst, b)
	}
	d.pending[d.n] = b
	d.n++
	for d.n > 0 && utf8.FullRune(d.pending[:d.n]) {
		dst = d.char(dst)
	}
	return dst
}

// char appends the first pending character, U+FFFD if it is none.
func (d *Decoder) char(dst []byte) []byte {
	r, size := utf8.DecodeRune(d.pending[:d.n])
	dst = utf8.AppendRune(dst, r)
	d.n = copy(d.pending[:], d.pending[size:d.n])
	return dst
}

// Flush appends what waits for the rest of its character: a U+FFFD a byte.
// It is called when no token follows.
func (d *Decoder) Flush(dst []byte) []byte {
	for d.n > 0 {
		dst = d.char(dst)
	}
	return dst
}
