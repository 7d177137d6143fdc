// Package local runs a model in this process, without a server. It is for small
// models, demonstrations and tests. For other models use llama.cpp, which is
// faster, above all with quantized weights.
//
// Begin with [Open] and pass the [Model] to koala.Chat.Ask:
//
//	m, err := local.Open(ctx, "koala-3b", nil)
//	ending, err := chat.Ask(ctx, m, "Hello!", os.Stdout)
//
// A [Model] is a koala.Completer. It reads checkpoints of every format of package
// weights and keeps each tensor in memory in its own dtype. It keeps the state of
// the last prompt and reply, so it need not compute again what the next prompt has
// in common with them, which is most of the prompt in a chat.
//
// Replies at temperature 0 are the same each time on one machine. On another
// machine, rounding may differ in the last bits and change the choice between two
// tokens.
package local
