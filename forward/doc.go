// Package forward runs LLaMA models: tokens in, logits out, in plain fp32
// arithmetic that gives the same bits on every machine. It exists to prove that
// a checkpoint is right, and to run small models without a server.
//
// # The architecture
//
// A model of width d has a vector of d numbers for each token, which begins as
// the token's row of the embedding. Each layer adds to it twice:
//
//	x += O · attention(Q · n, K · n, V · n)   where n = norm(x)
//	x += Down · (silu(Gate · n) * (Up · n))   where n = norm(x)
//
// and the logits, one for each token that could follow, are Output · norm(x).
//
//   - norm divides a vector by its root mean square and multiplies with the
//     norm's weights (RMSNorm).
//   - Queries and keys are turned by an angle that grows with the position, pair
//     by pair (rotary embeddings), so that their product depends on how far
//     apart two tokens are.
//   - attention works in heads: a head of D numbers of the query is multiplied
//     with that of every key up to its own position, softmax makes weights of
//     the products, and the values are summed by them. Several heads of queries
//     may share one of keys and values (grouped heads).
//   - silu(z) is z / (1 + e^-z).
//
// The file layer.go is these lines as code. It reads weights as
// [weights.Checkpoint.View] presents them in Meta's layout, so that files of
// every format and layout are the same model.
//
// # One answer
//
// Sums are made by a fixed tree: 16 lanes, of which lane j adds the terms with
// index j modulo 16 in their order, and the lanes are then folded in halves.
// Products are rounded before they are added. Exponentials, sines and cosines
// are computed here, because those of package math differ between processors.
// So equal weights give equal bits, whatever the format, the number of workers,
// the kernel or the processor. [Options.Fast] gives that up for speed.
//
// # Weights that are read, weights that are kept
//
// [Model.Logits] reads the weights in blocks of rows, each once, and applies
// each to all tokens; some blocks are read while others are multiplied, and the
// memory is bounded at any size of the model. [Load] keeps the weights in
// memory, for a [Session], which adds tokens to a text one by one.
//
// # What logits can see
//
// [Model.Expect] and [Compare] prove what weights alone do not: that they are
// in the right place and order. Measured on the fixtures and made models of the
// tests, a wrong rotary order, a transposed or exchanged matrix or the wrong
// base moves logits by 0.1 and more, half a tensor that was truncated instead of
// rounded by some 1e-3, and all of these are found. A change of one unit in the
// last place of one weight is not: digests find that, which package diff
// compares. Text that a model generates shows little of all this.
package forward
