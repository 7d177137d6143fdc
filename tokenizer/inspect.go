package tokenizer

// Properties says what a model is and which of its fast paths hold.
type Properties struct {
	ByteFallback bool `json:"byte_fallback"` // unknown characters become bytes
	AddPrefix    bool `json:"add_prefix"`    // a ▁ is put before a text
	TrimSpaces   bool `json:"trim_spaces"`   // spaces at the ends and extra ones inside are dropped

	Direct    bool `json:"direct"`      // texts are cut as they are, not normalized first
	CutAtRuns bool `json:"cut_at_runs"` // before runs of ▁, which are split by arithmetic
	CutPairs  bool `json:"cut_pairs"`   // between characters that are neighbours in no piece
	Words     bool `json:"words"`       // words between spaces are looked up whole
	Linear    bool `json:"linear"`      // merging takes time linear in a chunk's length

	Characters int `json:"characters"` // that occur in pieces
	Pairs      int `json:"pairs"`      // of characters that are neighbours in pieces
	Merges     int `json:"merges"`     // last merges of pieces that the linear method knows
}

// Properties says what the model is and which of its fast paths hold.
func (t *Tokenizer) Properties() Properties {
	return Properties{
		ByteFallback: t.v.byteFallback, AddPrefix: t.v.prefix != prefixNever, TrimSpaces: t.v.trim,
		Direct: t.direct(), CutAtRuns: t.runs != nil, CutPairs: !t.whole, Words: t.words, Linear: t.fast,
		Characters: int(t.size), Pairs: t.pairs.n, Merges: t.linear.merge.n,
	}
}
