// Package tokenizer turns text into LLaMA's tokens and back, exactly as
// SentencePiece does, and says where in the text each token stands.
//
// Default is LLaMA's own vocabulary, which is Koala's and is part of this
// package. Open reads others: SentencePiece BPE models, tokenizer.json of a
// LLaMA-like BPE, and the vocabulary in a GGUF file.
//
// # From text to tokens
//
// BPE cuts a text into characters and merges neighbours that make a piece, the
// best piece first and the leftmost of equals, until no two make one. Three
// stages do the same with less work, each switched on by a property that is
// checked when a vocabulary is loaded:
//
//   - Cut. Two characters that are neighbours in no piece are never merged, so
//     the text may be cut between them; in LLaMA's vocabulary they are among
//     3,278 pairs. Where no piece has a ▁ inside and runs of ▁ are merged
//     last, runs are cut off and split by arithmetic.
//   - Look up. A chunk, or a word of up to 15 bytes between spaces and line ends,
//     that was met before has its tokens in a cache of bounded size, which all
//     goroutines share.
//   - Merge. A new chunk is merged pair by pair in a small array if it is short,
//     and in time linear in its length by backtracking if it is not, where each
//     piece encodes to itself and no two have the same rank; otherwise by a
//     queue.
//
// # Special tokens
//
// Text is text: <s> in it is three characters, unless Options.Specials says
// otherwise. BOS and EOS are added on request.
package tokenizer
