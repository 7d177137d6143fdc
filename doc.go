// Package koalago documents the module. It has no code.
//
// Koala is UC Berkeley's fine-tune of LLaMA. Its weights were released as a
// bf16 difference to LLaMA's fp16 weights. This module recovers them bit for bit
// as the reference does. It also encodes text into the model's tokens, and holds
// conversations in the form that the model was trained on.
//
// To recover a model, call [github.com/koala-go/sdk/diff.Recover]. To chat with
// one, begin with [github.com/koala-go/sdk/koala.New]. The packages are:
//
//   - [github.com/koala-go/sdk/diff] recovers a model from base and diff, makes
//     diffs, converts checkpoints, and verifies outputs.
//   - [github.com/koala-go/sdk/weights] opens and writes checkpoints in any
//     format and layout, and gives each tensor its role in the model.
//   - [github.com/koala-go/sdk/forward] runs models in fp32, with the same bits
//     on every machine, to prove a checkpoint by its logits.
//   - [github.com/koala-go/sdk/koala] holds chats: ids and text for a server,
//     budgets, and replies as they stream. It is the import of a bot.
//   - [github.com/koala-go/sdk/backend] has clients of the servers that run a
//     model: llama.cpp, vLLM and others with OpenAI's interface, Ollama, EasyLM.
//   - [github.com/koala-go/sdk/backend/local] runs a small model in the process.
//   - [github.com/koala-go/sdk/prompt] renders conversations as text and
//     segments, and parses them. It knows no tokens.
//   - [github.com/koala-go/sdk/tokenizer] encodes text as LLaMA's tokens and
//     decodes it, exactly as SentencePiece does.
//   - [github.com/koala-go/sdk/dataset] converts public data sets to Koala's
//     training records, tokens and batches.
//   - [github.com/koala-go/sdk/eval] computes the statistics of an evaluation by
//     people, and Rouge-L.
//   - [github.com/koala-go/sdk/arith] computes with arrays of fp16, bf16 and fp32
//     numbers.
//   - [github.com/koala-go/sdk/source] is the interface for inputs that are not
//     local files.
//   - [github.com/koala-go/sdk/dtype] names the element types of tensors, and
//     [github.com/koala-go/sdk/progress] reports the progress of long jobs.
//   - [github.com/koala-go/sdk/modeltest] makes small models for tests.
//
// Command cmd/koala is built on them. The programs in examples are the main
// jobs, each in one file. The page docs/architecture.md describes the internal
// packages and how data flows through all of them.
package koalago
