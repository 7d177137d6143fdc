// Package koalago is a map of the module; it has no code.
//
// Koala is UC Berkeley's fine-tune of LLaMA. Its weights were released as a
// bf16 difference to LLaMA's fp16 weights. This module puts them together
// again, bit for bit as the reference does, and turns text into the model's
// tokens.
//
// What is here:
//
//   - [github.com/koala-go/sdk/diff] recovers a model from base and diff,
//     makes such diffs, and converts checkpoints.
//   - [github.com/koala-go/sdk/weights] opens checkpoints in any format and
//     layout, gives each tensor by what it is, and writes checkpoints.
//   - [github.com/koala-go/sdk/tokenizer] turns text into LLaMA's tokens and
//     back, exactly as SentencePiece does.
//   - [github.com/koala-go/sdk/dataset] turns public data sets into Koala's
//     training records, tokens and batches.
//   - cmd/koala is the command; examples/applydiff is the main job in one
//     file that runs as it is.
//
// Below them, in internal: wire (bounds-checked reading), safetensors, flax
// and gguf (the formats), half and cpu (the arithmetic and its kernels), bleu
// (sacrebleu's BLEU), vfs (files), testmodel (models made of a seed), fixture
// (shared test files).
//
// Imports go one way: internal formats and kernels → weights, tokenizer →
// diff, dataset → cmd and examples. A test fails on any other edge.
package koalago
