package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Format is a file format that Export writes.
type Format string

// The formats.
const (
	FormatSPM Format = "spm" // SentencePiece's tokenizer.model
	FormatHF  Format = "hf"  // Hugging Face's tokenizer.json
)

// Formats returns all formats that Export writes.
func Formats() []Format { return []Format{FormatSPM, FormatHF} }

// Export writes the tokenizer in a format for SentencePiece or for Hugging
// Face's tokenizers. The error matches ErrOptions if the format does not exist,
// and is a *ModelError that matches ErrUnsupported if the format cannot express
// the model.
func (t *Tokenizer) Export(w io.Writer, format Format) error {
	var b []byte
	var err error
	switch format {
	case FormatSPM:
		b, err = t.exportSPM()
	case FormatHF:
		b, err = t.exportHF()
	default:
		return optionError("unknown format %q: tokenizer.Export: use one of %s", format, joinStrings(Formats()))
	}
	if err != nil {
		return modelError(t.v.kind, err)
	}
	_, err = w.Write(b)
	return err
}

// exportSPM returns the bytes of a SentencePiece model.
func (t *Tokenizer) exportSPM() ([]byte, error) {
	if t.v.prefix == prefixUnlessSpace || t.v.splitUnknown && !t.v.byteFallback || t.v.merges != nil && !t.isLinear {
		return nil, unsupported("SentencePiece cannot express the model's rule for ▁ before a text, its rule for unknown characters, or its merges")
	}
	var out []byte
	scores := t.Scores()
	for id := range t.v.pieces {
		p := &t.v.pieces[id]
		m := appendText(nil, spmText, p.text)
		m = appendFloat(m, spmScore, scores[id])
		if p.typ != Normal {
			m = appendNumber(m, spmType, uint64(p.typ))
		}
		out = appendText(out, spmPieces, string(m))
	}
	out = appendText(out, spmTrainer, string(t.trainerSpec()))
	n := appendText(nil, spmName, "identity")
	n = appendNumber(n, spmDummyPrefix, boolNumber(t.v.prefix == prefixAlways))
	n = appendNumber(n, spmTrim, boolNumber(t.v.trim))
	n = appendNumber(n, spmEscape, 1)
	return appendText(out, spmNormalizer, string(n)), nil
}

// trainerSpec returns the trainer's settings that affect how the model is used.
func (t *Tokenizer) trainerSpec() []byte {
	m := appendNumber(nil, spmModelType, spmBPE)
	m = appendNumber(m, spmVocabSize, uint64(t.Len()))
	m = appendNumber(m, spmSuffix, boolNumber(t.v.suffix))
	m = appendNumber(m, spmByteFallback, boolNumber(t.v.byteFallback))
	special := []Token{t.v.unk, t.v.bos, t.v.eos, t.v.pad}
	for i, id := range special {
		m = appendNumber(m, spmUnkID+int32(i), uint64(int64(id)))
	}
	m = appendText(m, spmUnkSurface, t.v.unkSurface)
	for i, id := range special {
		if id >= 0 {
			m = appendText(m, spmUnkPiece+int32(i), t.v.pieces[id].text)
		}
	}
	return m
}

// Scores returns the scores of the pieces, by id, as a SentencePiece model holds
// them. For a model that lists its merges, they are the negated numbers of the
// symbols, which fall in the order of merging.
func (t *Tokenizer) Scores() []float32 {
	scores := make([]float32, t.Len())
	for id := range scores {
		scores[id] = t.v.pieces[id].score
	}
	if t.v.merges == nil {
		return scores
	}
	for s, id := range t.ids { // symbols are numbered in the order of merging
		if id >= 0 {
			scores[id] = -float32(s)
		}
	}
	return scores
}

// boolNumber returns the protobuf encoding of a bool.
func boolNumber(on bool) uint64 {
	if on {
		return 1
	}
	return 0
}

// exportHF returns the bytes of a tokenizer.json. It has the legacy behaviour of
// LLaMA's first tokenizer.json: the normalizer puts a ▁ before each stretch of
// text between special tokens.
func (t *Tokenizer) exportHF() ([]byte, error) {
	v := t.v
	if v.trim || v.suffix || t.user != nil || t.noCuts || v.prefix == prefixUnlessSpace {
		return nil, unsupported("tokenizer.json cannot express the model's rules for spaces, its user-defined symbols or its unused pieces")
	}
	if v.merges == nil && (!t.isLinear || slices.Contains(t.ids, -1)) {
		return nil, unsupported("the model's merges cannot be put into one order, or join characters that are not pieces")
	}
	type object map[string]any
	normalizers := []object{{"type": "Replace", "pattern": object{"String": " "}, "content": spaceText}}
	decoders := []object{{"type": "Replace", "pattern": object{"String": spaceText}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}
	if v.prefix == prefixAlways {
		normalizers = slices.Insert(normalizers, 0, object{"type": "Prepend", "prepend": spaceText})
		decoders = append(decoders, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	added := []object{}
	for id := range v.pieces {
		if p := &v.pieces[id]; p.typ == Unknown || p.typ == Control {
			added = append(added, object{"id": id, "content": p.text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer": object{"type": "Sequence", "normalizers": normalizers}, "pre_tokenizer": nil,
		"post_processor": t.template(), "decoder": object{"type": "Sequence", "decoders": decoders},
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": v.pieces[v.unk].text, "continuing_subword_prefix": nil,
			"end_of_word_suffix": nil, "fuse_unk": !v.splitUnknown, "byte_fallback": v.byteFallback, "ignore_merges": false,
			"vocab": orderedVocab(v.pieces), "merges": t.exportMerges(),
		},
	})
	return b.Bytes(), err
}

// template returns the post-processor that puts BOS before a text.
func (t *Tokenizer) template() any {
	if t.v.bos < 0 {
		return nil
	}
	type object map[string]any
	bos := t.v.pieces[t.v.bos].text
	token := func(typ int) object { return object{"SpecialToken": object{"id": bos, "type_id": typ}} }
	text := func(name string, typ int) object { return object{"Sequence": object{"id": name, "type_id": typ}} }
	return object{
		"type": "TemplateProcessing", "single": []object{token(0), text("A", 0)},
		"pair":           []object{token(0), text("A", 0), token(1), text("B", 1)},
		"special_tokens": object{bos: object{"id": bos, "ids": []Token{t.v.bos}, "tokens": []string{bos}}},
	}
}

// orderedVocab encodes as a JSON object from texts to ids, in the order of ids.
type orderedVocab []piece

// MarshalJSON returns the object. A map would be sorted by text.
func (o orderedVocab) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for id := range o {
		if id > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(o[id].text); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(id); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// exportMerges returns the merges by rank. For a model without a list of merges
// it lists every pair of pieces that makes a piece, because a pair that is not
// listed is not merged.
//
// The merges of runs of ▁ come last. For each length of the right side, the
// longest left side comes first, so that the leftmost run grows to its full
// length before the next one begins.
func (t *Tokenizer) exportMerges() [][2]string {
	var list [][2]string
	if t.v.merges != nil {
		for _, m := range t.v.merges {
			list = append(list, [2]string{t.v.pieces[m.left].text, t.v.pieces[m.right].text})
		}
		return list
	}
	for s := int(t.size); s < len(t.ids); s++ {
		list = t.appendSplits(list, t.texts[s])
	}
	var runs [][2]string
	for n := range t.runs {
		if n > 1 {
			runs = t.appendSplits(runs, strings.Repeat(spaceText, n))
		}
	}
	slices.SortStableFunc(runs, func(x, y [2]string) int {
		return cmp.Or(cmp.Compare(len(x[1]), len(y[1])), cmp.Compare(len(y[0]), len(x[0])))
	})
	return append(list, runs...)
}

// appendSplits appends each pair of pieces whose joined text is text.
func (t *Tokenizer) appendSplits(list [][2]string, text string) [][2]string {
	for i := range text {
		left, ok1 := t.ID(text[:i])
		right, ok2 := t.ID(text[i:])
		if ok1 && ok2 && t.v.pieces[left].mergeable() && t.v.pieces[right].mergeable() && utf8.RuneStart(text[i]) {
			list = append(list, [2]string{text[:i], text[i:]})
		}
	}
	return list
}

// joinStrings joins the values of a list for a message.
func joinStrings[S ~string](list []S) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}
