// Package forward runs LLaMA models: it takes tokens and computes logits, in
// fp32 arithmetic that gives the same bits on every machine. It proves that a
// checkpoint is right, and it runs small models without a server.
//
// Open a checkpoint with package weights, then call [Open]. [Model.Logits] runs
// a text through the model, [Model.Expect] compares the logits with those of a
// reference, and [Compare] compares two models. To generate text, call [Load]
// and [Model.NewSession].
//
// # The architecture
//
// A model of width d has a vector of d numbers for each token. The vector begins
// as the token's row of the embedding. Each layer adds to it twice:
//
//	x += O · attention(Q · n, K · n, V · n)   where n = norm(x)
//	x += Down · (silu(Gate · n) * (Up · n))   where n = norm(x)
//
// The logits, one for each token that could follow, are Output · norm(x).
//
//   - norm divides a vector by its root mean square and multiplies it by the
//     norm's weights (RMSNorm).
//   - Queries and keys are rotated by an angle that grows with the position, pair
//     by pair (rotary embeddings). Their product then depends on the distance
//     between the two tokens.
//   - attention works in heads. A head of D numbers of the query is multiplied by
//     that of every key up to the token's own position, softmax turns the products
//     into weights, and the weights sum up the values. Several query heads may
//     share one key and value head (grouped heads).
//   - silu(z) is z / (1 + e^-z).
//
// The file layer.go is these lines as code. It reads weights through
// [weights.Checkpoint.View] in Meta's layout, so that files of every format and
// layout are the same model.
//
// # Equal bits
//
// Sums follow a fixed tree of 16 lanes: lane j adds the terms with index j modulo
// 16 in ascending order, and then the lanes are folded in halves.
// Attention adds its values position by position. Products are rounded before
// they are added. Exponentials, sines and cosines are the module's own, because
// those of package math differ between processors. Therefore equal weights give
// equal bits, whatever the format, the number of workers, the kernel or the
// processor. [Options.Fast] gives this up for speed.
//
// # Weights in files and weights in memory
//
// [Model.Logits] reads the weights in blocks of rows, each block once, and
// applies each block to all tokens. Some workers read while others multiply, and
// the memory is bounded for a model of any size. [Load] keeps the weights in
// memory for a [Session], which adds tokens to a text one by one.
//
// # What logits show
//
// [Model.Expect] and [Compare] prove what digests of files cannot: that the
// weights are in the right place and order. The tests have two models of two
// layers, whose logits are of the order of one. In these, a fault changes a logit
// by at most
//
//	0.8 – 3.9      rotary order of q and k, or of one of them, in one layer
//	0.9 – 8        a matrix of one layer transposed; k and v, or layers, exchanged
//	0.08 – 3.7     gate and up of one layer exchanged
//	0.09 – 0.7     the base instead of the recovered model
//	0.02 – 0.1     a base that was rounded to bf16 before the diff was added
//	0.01 – 0.03    one matrix scaled by 1.01
//	5e-4 – 7e-3    half of one matrix truncated to bf16 instead of rounded
//
// and [DefaultTolerance] is 1e-4. Whether the last bit of a single weight shows
// is a matter of chance. In these bf16 models of width 64 it moves logits by 1e-5
// to 7e-4, which is its share of a sum; in wider models its share is smaller.
//
// Logits never show two kinds of fault. The first is a row of the embedding whose
// token is not in the text. The second is an exchange of heads, or of channels of
// the feed-forward network, in all their matrices alike: that is the same
// function. Digests find both kinds. [Compare], which compares bits, finds all
// but the first kind where the right checkpoint is at hand. Text that a model
// generates shows little of all this.
package forward
