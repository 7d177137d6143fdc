// Package weights reads and writes checkpoints of LLaMA-shaped models, in
// whatever format and layout they lie about.
//
// Open tells the format from the content and gives every tensor a Param: what
// the weight is, whatever the file calls it. A Layout is how one family of
// files stores the same weight: its name, whether a matrix is transposed,
// whether the rows of the query and key matrices are permuted for rotary
// embeddings. All four layouts are columns of one table, and Tensor.View
// derives every conversion between them from it.
//
//	format      read  write  layout
//	safetensors yes   yes    HuggingFace (a file, or a directory with config.json and shards)
//	torch       yes   yes    Meta (consolidated.*.pth and params.json); read also Hugging Face's .bin
//	easylm      yes   yes    EasyLM (a msgpack stream; also train states)
//	flax        yes   no     EasyLM (one msgpack map)
//	gguf        yes   yes    GGUF (F32, F16, BF16, Q8_0, with the metadata of llama.cpp)
//
// Reading touches headers only; tensors are read in pieces through
// Tensor.ReadAt or View.ReadRows. Files are untrusted: see FormatError.
package weights
