// Package weights reads and writes checkpoints of LLaMA models in the formats
// of safetensors, torch, EasyLM, flax and llama.cpp (GGUF).
//
// To read a checkpoint, call Open with a path, or NewReader with an
// io.ReaderAt; then Checkpoint.Complete, which reports what is missing from a
// whole model. Tensor.ReadAt and Tensor.Float32s read a tensor as the file
// stores it. View.ReadRows reads a weight as another layout stores it. To write
// a checkpoint, fill in a Spec and call Spec.Plan, Plan.Create, Writer.WriteAt
// and Writer.Commit.
//
// A Param names a weight whatever the file calls it: the role of the weight in
// the model and the number of its layer. A Layout describes how one family of
// files stores the weights: their names, whether matrices are transposed, and
// whether the rows of the query and key matrices are permuted for rotary
// embeddings. All four layouts are columns of one table, and Checkpoint.View
// derives every conversion between them from it.
//
//	format      read  write  layout
//	safetensors yes   yes    HuggingFace (a file, or a directory with config.json and shards)
//	easylm      yes   yes    EasyLM (a msgpack stream; train states are read too)
//	gguf        yes   yes    GGUF (F32, F16, BF16, Q8_0, with the metadata of llama.cpp)
//	torch       yes   yes    Meta (consolidated.*.pth and params.json); Hugging Face's .bin is read too
//	flax        yes   no     EasyLM (one msgpack map)
//
// Open reads headers only; tensors are read when they are asked for. Files are
// not trusted: see FormatError.
package weights
