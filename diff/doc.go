// Package diff recovers a model from a base and a difference, makes such
// differences, and converts checkpoints; it is all one engine.
//
// The released Koala weights are a bf16 difference to the fp16 weights of
// LLaMA. Recovery is their sum under the rules of numpy with ml_dtypes, which
// the difference was made with: operands of different types are added in
// fp32, operands of one type in that type, and the sum is rounded once more,
// to nearest with ties to even, to the type of the output (bf16 by default).
// Results are the same bits as the reference's, on every machine.
//
// Base and difference may be of any format and layout that package weights
// reads; they are matched by what a weight is, never by position, and
// transposed and permuted on the way. The work goes block by block in a fixed
// amount of memory. Before the first byte is written, the inputs are checked
// for the mistakes that people make; see CheckError. The output appears whole
// or not at all.
//
// A Manifest is written with the output, and Verify compares the two. While a
// run works it keeps a journal of what is durable with the output in the
// making, in a hidden directory beside the output's place; Options.Resume goes
// on from there. journal.go documents its format.
package diff
