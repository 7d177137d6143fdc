package koala

import "github.com/koala-go/sdk/prompt"

// Part is some tokens of a prompt and why they are there.
type Part struct {
	Kind string  `json:"kind"` // bos, query, reply or end
	Turn int     `json:"turn"` // -1 for BOS
	Text string  `json:"text"` // what was encoded, "" for a control token
	IDs  []Token `json:"ids"`
	Loss bool    `json:"loss"` // whether training counted them
	Why  string  `json:"why"`
}

var whys = map[prompt.Kind]string{
	prompt.Query: "the query and the marks around it, encoded as one text; training did not count it",
	prompt.Reply: "the reply, encoded on its own, so that it begins with its own ▁; training counted it",
	prompt.End:   "the EOS token, which no text makes; training counted it",
}

// Explain shows what AppendIDs makes, part by part. The ids of all parts are
// those of AppendIDs.
func Explain(c prompt.Conversation, o *Options) ([]Part, error) {
	m := o.resolve()
	sc := getScratch()
	defer putScratch(sc)
	if err := sc.split(&m, c); err != nil {
		return nil, err
	}
	var parts []Part
	if bos := m.appendBOS(nil); bos != nil {
		parts = append(parts, Part{"bos", -1, "", bos, false, "asked for by the BOS option; Koala's training put none before an example"})
	}
	for i := range sc.segments {
		s := &sc.segments[i]
		ids := sc.encode([]Token{}, &m, s)
		parts = append(parts, Part{s.Kind.String(), s.Turn, s.Text(), ids, s.Loss(), whys[s.Kind]})
	}
	return parts, nil
}
