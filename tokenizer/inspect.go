package tokenizer

// Properties describes a model, and which fast paths its vocabulary allows.
type Properties struct {
	ByteFallback bool `json:"byte_fallback"` // unknown characters become the tokens of their bytes
	AddPrefix    bool `json:"add_prefix"`    // encoding puts a ▁ before a text
	TrimSpaces   bool `json:"trim_spaces"`   // spaces at the ends and extra spaces inside are removed

	Direct    bool `json:"direct"`      // texts are cut without being normalized first
	CutAtRuns bool `json:"cut_at_runs"` // texts are cut before runs of ▁, whose tokens follow from their length
	CutPairs  bool `json:"cut_pairs"`   // texts are cut between characters that are neighbours in no piece
	Words     bool `json:"words"`       // whole words are looked up in the cache
	Linear    bool `json:"linear"`      // merging takes time linear in the length of a chunk

	Characters int `json:"characters"` // number of characters that occur in pieces
	Pairs      int `json:"pairs"`      // number of pairs of characters that are neighbours in a piece
	Merges     int `json:"merges"`     // number of pieces whose halves the linear method knows
}

// Properties returns a description of the model.
func (t *Tokenizer) Properties() Properties {
	return Properties{
		ByteFallback: t.v.byteFallback, AddPrefix: t.v.prefix != prefixNever, TrimSpaces: t.v.trim,
		Direct: t.direct(), CutAtRuns: t.runs != nil, CutPairs: !t.noCuts, Words: t.words, Linear: t.isLinear,
		Characters: int(t.size), Pairs: t.pairs.n, Merges: t.linear.merge.n,
	}
}
