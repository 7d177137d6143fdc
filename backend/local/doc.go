// Package local runs a model in this process: no server, nothing to install. It
// is for small models, demonstrations and tests; for others llama.cpp is the
// better place, above all with weights of fewer bits.
//
//	m, err := local.Open(ctx, "koala-3b", nil)
//	…
//	chat.Ask(ctx, m, "Hello!", os.Stdout)
//
// A [Model] is a koala.Completer. It reads checkpoints of every format that
// package weights knows, and keeps the weights in memory, each in its own type.
// What it remembers of one prompt it need not compute for the next that begins
// the same way, as those of a chat do.
//
// Greedy replies, those at temperature 0, are the same each time on one
// machine; on another the sums have other last bits, which can tip the scales
// between two tokens.
package local
