// Package koalago is a map of the module; it has no code.
//
// Koala is UC Berkeley's fine-tune of LLaMA. Its weights were released as a
// bf16 difference to LLaMA's fp16 weights. This module puts them together
// again, bit for bit as the reference does, turns text into the model's tokens,
// and holds conversations in the form that the model was trained on.
//
// What is here:
//
//   - [github.com/koala-go/sdk/diff] recovers a model from base and diff,
//     makes such diffs, and converts checkpoints.
//   - [github.com/koala-go/sdk/weights] opens checkpoints in any format and
//     layout, gives each tensor by what it is, and writes checkpoints.
//   - [github.com/koala-go/sdk/forward] runs models in plain fp32, with the same
//     bits on every machine: to prove a checkpoint by its logits, and to answer
//     with no server.
//   - [github.com/koala-go/sdk/koala] is what a bot imports: chats, with ids
//     and text for a server, budgets, and replies as they stream.
//   - [github.com/koala-go/sdk/backend] talks to the servers that run a model:
//     llama.cpp, vLLM and others of OpenAI's interface, Ollama, EasyLM.
//   - [github.com/koala-go/sdk/prompt] turns conversations into text and
//     segments and back; it knows no tokens.
//   - [github.com/koala-go/sdk/tokenizer] turns text into LLaMA's tokens and
//     back, exactly as SentencePiece does.
//   - [github.com/koala-go/sdk/dataset] turns public data sets into Koala's
//     training records, tokens and batches.
//   - [github.com/koala-go/sdk/backend/local] runs a small model in this process,
//     with no server.
//   - [github.com/koala-go/sdk/modeltest] makes small models from a seed, and a
//     tiny one that talks, for tests and examples.
//   - cmd/koala is the command; examples/applydiff, examples/prompt,
//     examples/bot and examples/dataset are the main jobs, each in one file
//     that runs as it is; examples/bots, a module of its own, has bots for
//     Telegram, Discord and Slack.
//
// Below them, in internal: wire (bounds-checked reading), safetensors,
// torchfile, flax, gguf and parquet (the formats), half and cpu (the arithmetic
// and its kernels), bleu (sacrebleu's BLEU), vfs (files), memory (the system's),
// fixture (shared test files).
//
// Imports go one way: internal formats and kernels → weights, tokenizer, prompt
// → diff, dataset, forward, backend → koala → cmd and examples. A test fails on
// any other edge.
package koalago
