package koala

import "github.com/koala-go/sdk/prompt"

// Part is some tokens of a prompt and the reason for them.
type Part struct {
	Kind string  `json:"kind"` // bos, query, reply or end
	Turn int     `json:"turn"` // the index of the turn, -1 for bos
	Text string  `json:"text"` // the text that was encoded, "" for a control token
	IDs  []Token `json:"ids"`  // the tokens
	Loss bool    `json:"loss"` // whether the loss of the training counts them
	Why  string  `json:"why"`  // the reason, in English
}

var whys = map[prompt.Kind]string{
	prompt.Query: "the query and the marks around it, encoded as one text; training did not count it",
	prompt.Reply: "the reply, encoded on its own, so that it begins with its own ▁; training counted it",
	prompt.End:   "the EOS token, which no text makes; training counted it",
}

// Explain returns the tokens of AppendIDs, part by part.
func Explain(c prompt.Conversation, o *Options) ([]Part, error) {
	s := o.resolve()
	sc := getScratch()
	defer putScratch(sc)
	if err := sc.split(&s, c); err != nil {
		return nil, err
	}
	var parts []Part
	if bos := s.appendBOS(nil); bos != nil {
		parts = append(parts, Part{"bos", -1, "", bos, false, "asked for by the BOS option; Koala's training put none before an example"})
	}
	for i := range sc.segments {
		segment := &sc.segments[i]
		ids := sc.encode([]Token{}, &s, segment)
		parts = append(parts, Part{segment.Kind.String(), segment.Turn, segment.Text(), ids, segment.Loss(), whys[segment.Kind]})
	}
	return parts, nil
}
