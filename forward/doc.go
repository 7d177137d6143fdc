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
// index j modulo 16 in their order, and the lanes are then folded in halves;
// attention adds its values position by position. Products are rounded before
// they are added. Exponentials, sines and cosines are the module's own, because
// those of package math differ between processors. So equal weights give equal
// bits, whatever the format, the number of workers, the kernel or the processor.
// [Options.Fast] gives that up for speed.
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
// [Model.Expect] and [Compare] prove what digests of files cannot: that the
// weights are in the right place and order. In the tests' two models of two
// layers, whose logits are of the order of one, the largest change of a logit is
//
//	0.8 – 3.9      rotary order of q and k, or of one of them, in one layer
//	0.9 – 8        a matrix of one layer transposed; k and v, or layers, exchanged
//	0.08 – 3.7     gate and up of one layer exchanged
//	0.09 – 0.7     the base instead of the recovered model
//	0.02 – 0.1     a base that was rounded to bf16 before the diff was added
//	0.01 – 0.03    one matrix scaled by 1.01
//	5e-4 – 7e-3    half of one matrix truncated to bf16 instead of rounded
//
// and [DefaultTolerance] is 1e-4. The last bit of one weight is a matter of
// chance: in these models of width 64 and of bf16 it moves logits by 1e-5 to
// 7e-4, which is its share of a sum, and so less in wider models. What cannot be
// seen at all: rows of the embedding that are not in the text, and heads, or
// channels of the feed-forward network, that are exchanged in all their matrices
// alike, for that is the same function. Digests find all of these; so does
// [Compare], which compares bits, where the right checkpoint is at hand, but for
// the rows that are not in the text. Text that a model generates shows little of
// all this.
package forward
