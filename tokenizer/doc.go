// Package tokenizer turns text into LLaMA's tokens and back, with exactly the
// results of SentencePiece, and reports which bytes of the text each token
// covers.
//
// Call [Default] first. It returns LLaMA's own tokenizer, which is also
// Koala's and whose vocabulary is part of this package:
//
//	t := tokenizer.Default()
//	ids := t.Encode("Hello world", nil) // [15043 3186]
//	text, err := t.Decode(ids)          // "Hello world"
//
// [Open] reads other vocabularies from a file, and [NewReader] from any
// io.ReaderAt: SentencePiece BPE models, the tokenizer.json of a BPE model like
// LLaMA's, and the vocabulary of a GGUF file.
//
// # From text to tokens
//
// BPE splits a text into characters and merges neighbours that form a piece:
// the best piece first and the leftmost of equals, until no two neighbours form
// one. Three stages give the same result with less work. Each relies on a
// property of the vocabulary that is checked when the vocabulary is loaded, and
// is off where the property does not hold:
//
//   - Cut. Two characters that are neighbours in no piece are never merged, so
//     the text can be cut between them. In LLaMA's vocabulary 3,278 pairs of
//     characters are neighbours. If no piece has a ▁ inside and runs of ▁ are
//     merged last, runs are cut off and split by arithmetic.
//   - Look up. A chunk, or a word of up to 15 bytes between spaces and line
//     ends, that was encoded before has its tokens in a cache of bounded size,
//     which all goroutines share.
//   - Merge. A short new chunk is merged pair by pair in a small array. A long
//     one is merged by backtracking, in time linear in its length, if each
//     piece encodes to itself and no two pieces have the same rank. Otherwise
//     a queue merges it.
//
// # Special tokens
//
// Special tokens in a text are ordinary text: <s> is three characters, unless
// Options.Specials asks for something else. Options.BOS and Options.EOS add the
// special tokens at the ends.
package tokenizer
