package tokenizer

import (
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
)

// hfReader reads a tokenizer.json of Hugging Face's tokenizers.
type hfReader struct {
	*vocabulary
	json    *strictjson.Reader
	members map[string]*strictjson.Value // top-level members, except model
	model   map[string]*strictjson.Value // members of model, except vocab and merges

	ids     map[string]Token // text of a piece → id
	listed  []hfMerge        // nil if the file has no merges
	vocabAt int64            // offset of vocab, -1 if the file has none
}

// hfMerge is a merge as the file states it.
type hfMerge struct {
	left, right string
	at          int64 // offset in the file
}

// readHF reads a tokenizer.json with a BPE model like LLaMA's: with or without
// byte fallback, with ▁ for spaces, and without any other normalization or
// pre-tokenization.
func readHF(b []byte) (*vocabulary, error) {
	r := hfReader{
		vocabulary: newVocabulary(KindHuggingFace), json: strictjson.New(b, 0),
		members: map[string]*strictjson.Value{}, model: map[string]*strictjson.Value{}, ids: map[string]Token{}, vocabAt: -1,
	}
	r.trim = false
	err := r.json.Object(r.readMember)
	if err == nil {
		err = r.json.End()
	}
	for _, step := range []func() error{r.checkModel, r.readNormalizers, r.buildPieces, r.markSpecial, r.resolveMerges} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return nil, err
	}
	return r.vocabulary, nil
}

// readMember reads a top-level member.
func (r *hfReader) readMember(name string) (err error) {
	if name == "model" {
		return r.json.Object(r.readModelMember)
	}
	r.members[name], err = r.json.Value()
	return err
}

// readModelMember reads a member of model. The two large ones are read entry by
// entry, without a tree of values.
func (r *hfReader) readModelMember(name string) (err error) {
	switch name {
	case "vocab":
		r.vocabAt = r.json.Offset()
		return r.json.Object(r.readVocabEntry)
	case "merges":
		r.listed = []hfMerge{}
		return r.json.Array(r.readMergeEntry)
	}
	r.model[name], err = r.json.Value()
	return err
}

// readVocabEntry reads the id of a piece.
func (r *hfReader) readVocabEntry(text string) error {
	at := r.json.Offset()
	id, err := r.json.Uint()
	if err == nil && id >= maxLink {
		err = refusal.Malformed(at, "", "id %d of %q is out of range", id, text)
	}
	r.ids[text] = Token(id)
	return err
}

// readMergeEntry reads a merge, either "left right" or ["left", "right"].
func (r *hfReader) readMergeEntry() error {
	m := hfMerge{at: r.json.Offset()}
	if r.json.Peek() == '"' {
		line, err := r.json.String()
		if err != nil {
			return err
		}
		var ok bool
		if m.left, m.right, ok = strings.Cut(line, " "); !ok || strings.Contains(m.right, " ") {
			return refusal.Malformed(m.at, "", "merge %q does not have two pieces", line)
		}
		r.listed = append(r.listed, m)
		return nil
	}
	n := 0
	err := r.json.Array(func() (err error) {
		text, err := r.json.String()
		if n++; n == 1 {
			m.left = text
		} else {
			m.right = text
		}
		return err
	})
	if err == nil && n != 2 {
		err = refusal.Malformed(m.at, "", "a merge has %d pieces, want 2", n)
	}
	r.listed = append(r.listed, m)
	return err
}

// checkModel rejects models that are not BPE models like LLaMA's.
func (r *hfReader) checkModel() error {
	m := &strictjson.Value{Names: r.model}
	switch kind := m.Get("type"); {
	case kind == nil && r.vocabAt < 0:
		return refusal.Malformed(r.json.Offset(), "", "the file has no model with a vocabulary")
	case kind != nil && !kind.Is("BPE"):
		return refusal.Unsupported(kind.Offset, "", "the model has the type %q, want BPE", kind.Text)
	case r.vocabAt < 0 || r.listed == nil:
		return refusal.Malformed(r.json.Offset(), "", "the model has no vocab or no merges")
	}
	for _, name := range []string{"dropout", "continuing_subword_prefix", "end_of_word_suffix"} {
		if v := m.Get(name); v != nil && !v.Is("") && v.Text != "0.0" && v.Text != "0" {
			return refusal.Unsupported(v.Offset, "", "%s is set", name)
		}
	}
	if v := m.Get("ignore_merges"); v.True() {
		return refusal.Unsupported(v.Offset, "", "ignore_merges is set")
	}
	r.byteFallback = m.Get("byte_fallback").True()
	r.splitUnknown = !m.Get("fuse_unk").True()
	return nil
}

// readNormalizers reads the rules by which spaces become ▁ and a ▁ is put before
// a text. Either the normalizer or a Metaspace pre-tokenizer states them.
func (r *hfReader) readNormalizers() error {
	all := &strictjson.Value{Names: r.members}
	replaced := false
	r.prefix = prefixNever
	list := []*strictjson.Value{all.Get("normalizer")}
	if list[0].Get("type").Is("Sequence") {
		sequence := list[0].Get("normalizers")
		if sequence == nil || sequence.Kind != '[' {
			return refusal.Malformed(list[0].Offset, "", "the sequence of normalizers has no list")
		}
		list = sequence.Items
	}
	for _, n := range list {
		switch {
		case n == nil:
		case n.Get("type").Is("Prepend") && n.Get("prepend").Is(spaceText) && !replaced:
			r.prefix = prefixAlways
		case n.Get("type").Is("Replace") && n.Get("pattern").Get("String").Is(" ") && n.Get("content").Is(spaceText):
			replaced = true
		default:
			return refusal.Unsupported(n.Offset, "", "the normalizer of type %q is not supported, or not with these settings", textOf(n.Get("type")))
		}
	}
	pre := all.Get("pre_tokenizer")
	if pre == nil && !replaced {
		return refusal.Unsupported(r.json.Offset(), "", "neither a normalizer nor a pre-tokenizer replaces spaces by ▁")
	}
	if pre == nil {
		return nil
	}
	return r.readMetaspace(pre)
}

// readMetaspace reads a Metaspace pre-tokenizer.
func (r *hfReader) readMetaspace(pre *strictjson.Value) error {
	split := pre.Get("split")
	if !pre.Get("type").Is("Metaspace") || !pre.Get("replacement").Is(spaceText) || split == nil || split.True() || r.prefix != prefixNever {
		return refusal.Unsupported(pre.Offset, "", "the pre-tokenizer of type %q is not supported, or not with these settings", textOf(pre.Get("type")))
	}
	if scheme := pre.Get("prepend_scheme"); scheme.Is("always") || scheme.Is("first") {
		r.prefix = prefixUnlessSpace
	}
	return nil
}

// textOf returns the text of a value, or "" for nil.
func textOf(v *strictjson.Value) string {
	if v == nil {
		return ""
	}
	return v.Text
}

// buildPieces puts the vocabulary and the added tokens into pieces, by id.
func (r *hfReader) buildPieces() error {
	unk := (&strictjson.Value{Names: r.model}).Get("unk_token")
	if unk == nil {
		return refusal.Unsupported(r.vocabAt, "", "the model has no unk_token")
	}
	added := r.members["added_tokens"]
	if added != nil {
		for _, a := range added.Items {
			if err := r.addAddedToken(a); err != nil {
				return err
			}
		}
	}
	r.pieces = make([]piece, len(r.ids))
	for text, id := range r.ids {
		if int(id) >= len(r.pieces) || r.pieces[id].text != "" || text == "" {
			return refusal.Malformed(r.vocabAt, "", "id %d of %q is out of range or occurs twice, or the text is empty", id, text)
		}
		p := piece{text: text, typ: Normal}
		if _, ok := byteOf(text); ok && r.byteFallback {
			p.typ = Byte
		}
		if unk.Is(text) {
			p.typ = Unknown
		}
		r.pieces[id] = p
	}
	return nil
}

// addAddedToken adds the id of an added token to ids.
func (r *hfReader) addAddedToken(a *strictjson.Value) error {
	text, number := a.Get("content"), a.Get("id")
	if text == nil || number == nil || text.Kind != '"' {
		return refusal.Malformed(a.Offset, "", "an added token has no content or no id")
	}
	id, err := strictjson.New([]byte(number.Text), number.Offset).Uint()
	if err != nil {
		return err
	}
	if old, ok := r.ids[text.Text]; id >= maxLink || ok && old != Token(id) {
		return refusal.Malformed(a.Offset, "", "added token %q has the id %d, which is out of range or differs from the id in the vocabulary", text.Text, id)
	}
	r.ids[text.Text] = Token(id)
	return nil
}

// markSpecial makes the added tokens control pieces, and finds BOS, EOS and PAD
// among them by their texts.
func (r *hfReader) markSpecial() error {
	added := r.members["added_tokens"]
	if added == nil {
		return nil
	}
	for _, a := range added.Items {
		text := a.Get("content").Text
		p := &r.pieces[r.ids[text]]
		if !a.Get("special").True() || a.Get("lstrip").True() || a.Get("rstrip").True() || a.Get("single_word").True() {
			return refusal.Unsupported(a.Offset, "", "added token %q is not special, strips spaces or matches whole words only", text)
		}
		if p.typ != Unknown {
			p.typ = Control
		}
		for name, to := range map[string]*Token{"<s>": &r.bos, "</s>": &r.eos, "<pad>": &r.pad} {
			if text == name {
				*to = r.ids[text]
			}
		}
	}
	return nil
}

// resolveMerges finds the pieces of the merges.
func (r *hfReader) resolveMerges() error {
	r.merges = make([]merge, 0, len(r.listed))
	seen := make(map[uint64]struct{}, len(r.listed))
	for _, m := range r.listed {
		left, ok1 := r.ids[m.left]
		right, ok2 := r.ids[m.right]
		into, ok3 := r.ids[m.left+m.right]
		if !ok1 || !ok2 || !ok3 {
			return refusal.Malformed(m.at, "", "the merge of %q and %q has a side or a result that is not a piece", m.left, m.right)
		}
		for _, id := range []Token{left, right, into} {
			if r.pieces[id].typ != Normal {
				return refusal.Unsupported(m.at, "", "a merge contains the special piece %q", r.pieces[id].text)
			}
		}
		key := uint64(left)<<32 | uint64(right)
		if _, ok := seen[key]; ok {
			return refusal.Malformed(m.at, "", "the merge of %q and %q occurs twice", m.left, m.right)
		}
		seen[key] = struct{}{}
		r.merges = append(r.merges, merge{left, right, into})
	}
	return nil
}
