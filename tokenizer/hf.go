package tokenizer

import (
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
)

// hfReader reads a tokenizer.json of Hugging Face's tokenizers.
type hfReader struct {
	*vocabulary
	json  *strictjson.Reader
	rest  map[string]*strictjson.Value // members of the text but the model
	model map[string]*strictjson.Value // members of the model but vocab and merges

	ids     map[string]Token
	listed  []hfMerge
	vocabAt int64
}

// hfMerge is a merge as the file has it.
type hfMerge struct {
	left, right string
	at          int64
}

// readHF reads a tokenizer.json with a LLaMA-like BPE model: byte fallback or
// not, spaces replaced by ▁, no other normalizing or splitting.
func readHF(b []byte) (*vocabulary, error) {
	r := hfReader{
		vocabulary: newVocabulary(KindHuggingFace), json: strictjson.New(b, 0),
		rest: map[string]*strictjson.Value{}, model: map[string]*strictjson.Value{}, ids: map[string]Token{}, vocabAt: -1,
	}
	r.trim = false
	err := r.json.Object(r.member)
	if err == nil {
		err = r.json.End()
	}
	for _, step := range []func() error{r.checkModel, r.spaces, r.takePieces, r.takeAdded, r.takeMerges} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return nil, err
	}
	return r.vocabulary, nil
}

func (r *hfReader) member(name string) (err error) {
	if name == "model" {
		return r.json.Object(r.modelMember)
	}
	r.rest[name], err = r.json.Value()
	return err
}

func (r *hfReader) modelMember(name string) (err error) {
	switch name {
	case "vocab":
		r.vocabAt = r.json.Offset()
		return r.json.Object(r.vocabEntry)
	case "merges":
		r.listed = []hfMerge{}
		return r.json.Array(r.mergeEntry)
	}
	r.model[name], err = r.json.Value()
	return err
}

func (r *hfReader) vocabEntry(text string) error {
	at := r.json.Offset()
	id, err := r.json.Uint()
	if err == nil && id >= maxLink {
		err = refusal.Malformed(at, "", "id %d of %q is out of range", id, text)
	}
	r.ids[text] = Token(id)
	return err
}

// mergeEntry reads "left right" or ["left", "right"].
func (r *hfReader) mergeEntry() error {
	m := hfMerge{at: r.json.Offset()}
	if r.json.Peek() == '"' {
		line, err := r.json.String()
		if err != nil {
			return err
		}
		var ok bool
		if m.left, m.right, ok = strings.Cut(line, " "); !ok || strings.Contains(m.right, " ") {
			return refusal.Malformed(m.at, "", "merge %q is not of two pieces", line)
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
		err = refusal.Malformed(m.at, "", "merge of %d pieces", n)
	}
	r.listed = append(r.listed, m)
	return err
}

// checkModel refuses what is no LLaMA-like BPE.
func (r *hfReader) checkModel() error {
	m := &strictjson.Value{Names: r.model}
	switch kind := m.Get("type"); {
	case kind == nil && r.vocabAt < 0:
		return refusal.Malformed(r.json.Offset(), "", "there is no model with a vocabulary")
	case kind != nil && !kind.Is("BPE"):
		return refusal.Unsupported(kind.Offset, "", "a model of the type %q", kind.Text)
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

// spaces finds out how spaces become ▁ and when one is put before a text.
func (r *hfReader) spaces() error {
	all := &strictjson.Value{Names: r.rest}
	replaced := false
	r.prefix = prefixNever
	list := []*strictjson.Value{all.Get("normalizer")}
	if list[0].Get("type").Is("Sequence") {
		sequence := list[0].Get("normalizers")
		if sequence == nil || sequence.Kind != '[' {
			return refusal.Malformed(list[0].Offset, "", "a sequence of normalizers without its list")
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
			return refusal.Unsupported(n.Offset, "", "a normalizer of the type %q or with such settings", textOf(n.Get("type")))
		}
	}
	pre := all.Get("pre_tokenizer")
	if pre == nil && !replaced {
		return refusal.Unsupported(r.json.Offset(), "", "spaces are not replaced by ▁")
	}
	if pre == nil {
		return nil
	}
	return r.metaspace(pre)
}

func (r *hfReader) metaspace(pre *strictjson.Value) error {
	split := pre.Get("split")
	if !pre.Get("type").Is("Metaspace") || !pre.Get("replacement").Is(spaceText) || split == nil || split.True() || r.prefix != prefixNever {
		return refusal.Unsupported(pre.Offset, "", "a pre-tokenizer of the type %q or with such settings", textOf(pre.Get("type")))
	}
	if scheme := pre.Get("prepend_scheme"); scheme.Is("always") || scheme.Is("first") {
		r.prefix = prefixUnlessSpace
	}
	return nil
}

func textOf(v *strictjson.Value) string {
	if v == nil {
		return ""
	}
	return v.Text
}

// takePieces puts the vocabulary and the added tokens in order of their ids.
func (r *hfReader) takePieces() error {
	unk := (&strictjson.Value{Names: r.model}).Get("unk_token")
	if unk == nil {
		return refusal.Unsupported(r.vocabAt, "", "the model has no unk_token")
	}
	added := r.rest["added_tokens"]
	if added != nil {
		for _, a := range added.Items {
			if err := r.addID(a); err != nil {
				return err
			}
		}
	}
	r.pieces = make([]piece, len(r.ids))
	for text, id := range r.ids {
		if int(id) >= len(r.pieces) || r.pieces[id].text != "" || text == "" {
			return refusal.Malformed(r.vocabAt, "", "id %d of %q is out of range or there twice, or the text is empty", id, text)
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

// addID notes the id of an added token.
func (r *hfReader) addID(a *strictjson.Value) error {
	text, number := a.Get("content"), a.Get("id")
	if text == nil || number == nil || text.Kind != '"' {
		return refusal.Malformed(a.Offset, "", "an added token has no content or no id")
	}
	id, err := strictjson.New([]byte(number.Text), number.Offset).Uint()
	if err != nil {
		return err
	}
	if old, ok := r.ids[text.Text]; id >= maxLink || ok && old != Token(id) {
		return refusal.Malformed(a.Offset, "", "added token %q has the id %d, which is out of range or not that of the vocabulary", text.Text, id)
	}
	r.ids[text.Text] = Token(id)
	return nil
}

// takeAdded makes control pieces of the special tokens.
func (r *hfReader) takeAdded() error {
	added := r.rest["added_tokens"]
	if added == nil {
		return nil
	}
	for _, a := range added.Items {
		text := a.Get("content").Text
		p := &r.pieces[r.ids[text]]
		if !a.Get("special").True() || a.Get("lstrip").True() || a.Get("rstrip").True() || a.Get("single_word").True() {
			return refusal.Unsupported(a.Offset, "", "added token %q is not special, or strips spaces or is for whole words", text)
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

// takeMerges finds the pieces of the merges.
func (r *hfReader) takeMerges() error {
	r.merges = make([]merge, 0, len(r.listed))
	seen := make(map[uint64]struct{}, len(r.listed))
	for _, m := range r.listed {
		left, ok1 := r.ids[m.left]
		right, ok2 := r.ids[m.right]
		into, ok3 := r.ids[m.left+m.right]
		if !ok1 || !ok2 || !ok3 {
			return refusal.Malformed(m.at, "", "merge of %q and %q names no piece", m.left, m.right)
		}
		for _, id := range []Token{left, right, into} {
			if r.pieces[id].typ != Normal {
				return refusal.Unsupported(m.at, "", "a merge with the special piece %q", r.pieces[id].text)
			}
		}
		key := uint64(left)<<32 | uint64(right)
		if _, ok := seen[key]; ok {
			return refusal.Malformed(m.at, "", "merge of %q and %q is there twice", m.left, m.right)
		}
		seen[key] = struct{}{}
		r.merges = append(r.merges, merge{left, right, into})
	}
	return nil
}
